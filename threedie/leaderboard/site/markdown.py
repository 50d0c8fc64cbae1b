"""A card's Markdown as HTML: paragraphs, headings, lists, code, emphasis and https links.

All else is text, HTML and pictures too. Every piece of text is escaped before a tag is put around
it, so there is nothing that could get through.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from markupsafe import Markup, escape
from pydantic import TypeAdapter, ValidationError

from threedie.data.gallery import printable
from threedie.manifests.entries import Url

LONGEST = 20_000
_LINE = 4000
_INLINE = re.compile(
    r"`(?P<code>[^`]{1,300})`"
    r"|\*\*(?P<strong>[^*\s][^*]{0,300})\*\*"
    r"|\*(?P<em>[^*\s][^*]{0,300})\*"
    r"|\[(?P<text>[^\[\]]{1,300})\]\((?P<url>[^()\s]{1,300})\)"
)
_HEADING = re.compile(r"(#{1,6})\s+(.*)")
_ITEM = re.compile(r"\s{0,3}(?:[-*+]|(\d{1,3})[.)])\s+(.*)")
_ADDRESS = TypeAdapter(Url)


def rendered(text: str, *, top: int = 3) -> Markup:
    """The HTML of a card.

    Args:
        text: the card, not trusted.
        top: level of the heading that `#` gives.
    """
    body = Markup("\n").join(_blocks(plain_lines(text[:LONGEST]), top))
    return body + Markup("<p>… (cut here)</p>") if len(text) > LONGEST else body


def plain_lines(text: str) -> list[str]:
    """Its lines without control and direction signs; tabs become spaces."""
    found = re.split(r"\r\n|\n|\r", text)
    return [printable(line.expandtabs(4), longest=_LINE) for line in found]


def _blocks(lines: list[str], top: int) -> Iterator[Markup]:
    i, deepest = 0, top
    while i < len(lines):
        line = lines[i]
        if line.startswith("```"):
            end = next(
                (j for j in range(i + 1, len(lines)) if lines[j].startswith("```")), len(lines)
            )
            yield Markup('<pre tabindex="0">{}</pre>').format("\n".join(lines[i + 1 : end]))
            i = end + 1
        elif heading := _HEADING.fullmatch(line):
            level = min(6, deepest, top - 1 + len(heading[1]))  # no level is left out
            deepest = level + 1
            yield Markup("<h{0}>{1}</h{0}>").format(level, _inline(heading[2].rstrip("# ")))
            i += 1
        elif _ITEM.fullmatch(line):
            end = i + 1
            while end < len(lines) and _stays_in_list(lines, end):
                end += 1
            yield _list(lines[i:end])
            i = end
        elif not line.strip():
            i += 1
        else:
            end = i + 1
            while end < len(lines) and _goes_on(lines[end]):
                end += 1
            yield Markup("<p>{}</p>").format(_inline(" ".join(lines[i:end])))
            i = end


def _goes_on(line: str) -> bool:
    starts = line.startswith("```") or _HEADING.fullmatch(line) or _ITEM.fullmatch(line)
    return bool(line.strip()) and not starts


def _stays_in_list(lines: list[str], i: int) -> bool:
    """An item, a line that goes on with one, or an empty line before another."""
    if not lines[i].strip():
        return i + 1 < len(lines) and bool(_ITEM.fullmatch(lines[i + 1]))
    return bool(_ITEM.fullmatch(lines[i])) or lines[i].startswith("  ")


def _list(lines: list[str]) -> Markup:
    items = list[str]()
    for line in filter(str.strip, lines):
        found = _ITEM.fullmatch(line)
        if found:
            items.append(found[2])
        else:
            items[-1] += f" {line.strip()}"
    first = _ITEM.fullmatch(lines[0])
    kind = Markup("ol" if first and first[1] else "ul")
    body = Markup("").join(Markup("<li>{}</li>").format(_inline(item)) for item in items)
    return Markup("<{0}>{1}</{0}>").format(kind, body)


def _inline(text: str) -> Markup:
    out, last = Markup(""), 0
    for found in _INLINE.finditer(text):
        out += escape(text[last : found.start()]) + _piece(found)
        last = found.end()
    return out + escape(text[last:])


def _piece(found: re.Match[str]) -> Markup:
    for tag in ("code", "strong", "em"):
        if found[tag] is not None:
            return Markup("<{0}>{1}</{0}>").format(Markup(tag), found[tag])
    return link(found["url"], found["text"]) or escape(found[0])


def link(url: str, text: str) -> Markup | None:
    """A link that leaves the site; None for an address that submission.json could not have."""
    try:
        _ADDRESS.validate_python(url)
    except ValidationError:
        return None
    return Markup('<a href="{}" rel="nofollow noopener ugc">{}</a>').format(url, text)
