"""The texts of an entry: card.md, cite.bib, config.json. Looked at as text; nothing is interpreted.

A front matter of YAML, HTML, Markdown, TeX: all of it is signs here. Pages that show it escape it.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

from threedie.errors import EntryError, ManifestError
from threedie.leaderboard.folder import CARD, CITATION, CONFIG
from threedie.manifests.dataset import parse_json

DEEPEST = 32
"""Levels of lists and objects in config.json."""
_LONGEST_LINE = 4000
_JOINER = "\u200d"  # within emoji and some scripts; every other format sign can hide something


def text_problems(contents: Mapping[str, bytes]) -> Iterator[EntryError]:
    """What is wrong with the texts of an entry.

    Args:
        contents: its files, by name.
    """
    for name in (CARD, CITATION):
        if name in contents:
            yield from _plain_text(contents[name], name)
    try:
        config = parse_json(contents[CONFIG], CONFIG)
    except ManifestError as err:
        yield EntryError("config", str(err))
        return
    if (fault := _fault_of_json(config)) is not None:
        yield EntryError("config", f"{CONFIG}: {fault}")


def _plain_text(content: bytes, name: str) -> Iterator[EntryError]:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as err:
        yield EntryError("text", f"{name}: no UTF-8 text (byte {err.start}).")
        return
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        if sign := hidden_sign(line):
            yield EntryError("text", f"{name}, line {number}: holds the control sign {sign}.")
            return
        if len(line) > _LONGEST_LINE:
            yield EntryError("text", f"{name}, line {number}: longer than {_LONGEST_LINE} signs.")
            return


def hidden_sign(text: str) -> str | None:
    """The first sign of a text that shows nothing or changes what is shown, as U+XXXX."""
    for sign in text:
        kind = unicodedata.category(sign)
        if kind in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") and sign not in ("\t", _JOINER):
            return f"U+{ord(sign):04X}"
    return None


def _fault_of_json(config: dict[str, Any]) -> str | None:
    """Of a parsed value: too deep, a number that JSON does not have, a sign that shows nothing."""
    waiting: list[tuple[Any, int]] = [(config, 1)]
    while waiting:
        value, depth = waiting.pop()
        if isinstance(value, (dict, list)):
            if depth > DEEPEST:
                return f"deeper than {DEEPEST} levels."
            inside = [*value, *value.values()] if isinstance(value, dict) else value
            waiting += [(one, depth + 1) for one in inside]
        elif isinstance(value, str):
            for line in value.split("\n"):
                if sign := hidden_sign(line):
                    return f"a text holds the control sign {sign}."
        elif isinstance(value, float) and not math.isfinite(value):
            return "a number is too large for a float."
    return None
