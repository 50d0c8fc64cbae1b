"""Text that comes from data, written so that YAML and Markdown take it for text."""

from __future__ import annotations

import html
import json
import re
import unicodedata
from typing import Any

# Inline markup, tables, mentions, formulas, and what makes a link of a bare address.
_SPECIAL = re.compile(r"([\\`*_\[\]|~$@]|(?<=:)/|(?<=www)\.)")
# What YAML readers refuse or take for a line break inside quotes, though JSON allows it.
_UNPRINTABLE = re.compile("[\x7f-\xa0\u2028\u2029\ufeff\ufffe\uffff]")
_UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
_READ_OTHERWISE = ("yes", "off", "null", "true", "false")
_LONGEST = 4_000


def plain(text: str, longest: int = 200) -> str:
    """One line of visible characters: no control, direction or half characters."""
    seen = "".join(" " if unicodedata.category(c) in _UNSEEN else c for c in text[:longest])
    return " ".join(seen.split())


def markdown(text: str) -> str:
    """Text inside a line of Markdown: no character of it is markup, HTML, a mention or a link."""
    return _SPECIAL.sub(r"\\\1", html.escape(plain(text, _LONGEST), quote=False))


def yaml(value: Any, indent: int = 0) -> str:
    """A value as YAML: block lists and maps, and JSON for scalars, which YAML reads as they are.

    Args:
        value: maps with text keys, lists, text, numbers, booleans.
        indent: columns before each line.

    Returns:
        Whole lines.
    """
    margin = " " * indent
    if isinstance(value, dict) and value:
        return "".join(f"{margin}{_key(k)}:{_beside(part, indent)}" for k, part in value.items())
    if isinstance(value, list) and value:
        return "".join(f"{margin}- {yaml(part, indent + 2).lstrip()}" for part in value)
    return f"{margin}{_scalar(value)}\n"


def _beside(value: Any, indent: int) -> str:
    """What follows `key:`: a scalar on its line, or a block below it."""
    if isinstance(value, dict | list) and value:
        return f"\n{yaml(value, indent + 2)}"
    return f" {_scalar(value)}\n"


def _key(key: str) -> str:
    bare = re.fullmatch(r"[a-z][a-z0-9_-]{2,}", key) and key not in _READ_OTHERWISE
    return key if bare else _scalar(key)


def _scalar(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return _UNPRINTABLE.sub(lambda c: f"\\u{ord(c[0]):04x}", whole)
