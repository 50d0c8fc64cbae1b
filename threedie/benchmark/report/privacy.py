"""Text fit for a page that is passed on: no path of a user, no host, no secret, no control signs.

Results are somebody's file: whatever stands in them is shown as text, shortened, and without what
would name a person's machine.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from threedie.data.gallery import printable

_SECRET_KEY = re.compile(r"token|secret|passw|credential|api_?key|private", re.IGNORECASE)
_SECRET = re.compile(
    r"\b(?:hf|ghp|gho|github_pat|sk|xox[abp]|glpat)[_-][A-Za-z0-9_-]{12,}|\bAKIA[A-Z0-9]{16}\b"
    r"|(?i:\b(?:token|secret|password|api_?key)\s*[=:]\s*\S+)"
)
_PLACE = re.compile(
    r"\b[A-Za-z][A-Za-z0-9+.-]{0,20}://[^\s'\"<>]*"  # an address
    r"|(?<![\w.…/])(?:~[\w.-]*)?/[^\s'\"<>:,;)]+"  # /home/me/x, ~/x
    r"|\b[A-Za-z]:\\[^\s'\"<>:,;)]*|\\\\[^\s'\"<>:,;)]+"  # C:\x, \\host\x
)
_WHOLE_PLACE = re.compile(r"(?:~|/|[A-Za-z]:\\|\\\\|[A-Za-z][A-Za-z0-9+.-]*://)[^\n]*")
WITHHELD = "[withheld]"
_LONGEST, _DEEPEST, _MOST, _LINE = 2000, 12, 2000, 100


def shown(text: object, *, longest: int = 120) -> str:
    """One line of text: places become `…/name`, secrets a word, control signs �."""
    return printable(_private(str(text)[: 4 * longest + 4096]), longest=longest)


def last_name(address: str) -> str:
    """`demo` of `/home/me/data/demo` or of an address, without what follows a `?`."""
    bare = re.split(r"[?#]", address)[0].rstrip("/\\")
    return re.split(r"[/\\]", bare)[-1] or "…"


def private(value: Any, *, depth: int = 0) -> Any:
    """The same value for JSON, its texts (keys too) without places and secrets, and bounded."""
    if isinstance(value, str):
        return shown(value, longest=_LONGEST)
    if depth > _DEEPEST:
        return "… (deeper)"
    if isinstance(value, Mapping):
        kept = list(value.items())[:_MOST]
        return {
            shown(key): WITHHELD if _SECRET_KEY.search(str(key)) else private(v, depth=depth + 1)
            for key, v in kept
        }
    if isinstance(value, Sequence):
        return [private(v, depth=depth + 1) for v in value[:_MOST]]
    return value


def as_json(value: Any) -> str:
    """Private, as JSON text of ASCII; what is short stands on one line."""
    return _laid_out(private(value), "")


def _laid_out(value: Any, indent: str) -> str:
    flat = json.dumps(value, allow_nan=False, ensure_ascii=True)
    if len(flat) <= _LINE or not isinstance(value, (dict, list)):
        return flat
    deeper = f"{indent} "
    if isinstance(value, dict):
        inner = [f"{json.dumps(k)}: {_laid_out(v, deeper)}" for k, v in value.items()]
    else:
        inner = [_laid_out(v, deeper) for v in value]
    first, last = "{}" if isinstance(value, dict) else "[]"
    return f"{first}\n{deeper}" + f",\n{deeper}".join(inner) + f"\n{indent}{last}"


def _private(text: str) -> str:
    text = _SECRET.sub(WITHHELD, text)
    if _WHOLE_PLACE.fullmatch(text):  # spaces and all
        return f"…/{last_name(text)}"
    return _PLACE.sub(lambda found: f"…/{last_name(found[0])}", text)
