"""Values of `--set key=value` and of config.json, read by the type of the field they are for."""

from __future__ import annotations

import difflib
import types
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from threedie.errors import ConfigError

_WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    type(None): "none",
}


def field_types(config: type[Any]) -> dict[str, Any]:
    """Names and types of a dataclass's fields."""
    hints = get_type_hints(config)
    return {f.name: hints[f.name] for f in fields(config)}


def parse_setting(key: str, text: str, annotation: Any) -> Any:
    """The value that a text says, for a field of this type; tuples are written 512,512.

    Raises:
        ConfigError: it says none.
    """
    if text.lower() == "none" and type(None) in get_args(annotation):
        return None
    adapter: TypeAdapter[Any] = TypeAdapter(annotation)
    try:
        if any(get_origin(kind) is tuple for kind in _alternatives(annotation)):
            parts = text.strip("()[]").split(",")
            return adapter.validate_python(tuple(p.strip() for p in parts if p.strip()))
        return adapter.validate_strings(text)
    except ValidationError as err:
        raise ConfigError(f"{key} is '{text}'; it must be {describe(annotation)}.") from err


def read_setting(key: str, value: Any, annotation: Any, where: object) -> Any:
    """The same for a value from JSON, where tuples are lists.

    Raises:
        ConfigError: another type.
    """
    try:
        return TypeAdapter(annotation).validate_python(value)
    except ValidationError as err:
        raise ConfigError(
            f"{key} is {value!r} in {where}; it must be {describe(annotation)}."
        ) from err


def describe(annotation: Any) -> str:
    """A type in words."""
    if get_origin(annotation) is Literal:
        return "one of " + ", ".join(str(choice) for choice in get_args(annotation))
    if get_origin(annotation) is tuple:
        return "numbers such as 512,512"
    if len(alternatives := _alternatives(annotation)) > 1:
        return " or ".join(describe(one) for one in alternatives)
    return _WORDS.get(annotation, str(annotation))


def unknown_key(key: str, known: Sequence[str], method: str) -> ConfigError:
    """The error that names the nearest keys."""
    near = difflib.get_close_matches(key, known, n=3)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(known)}."
    return ConfigError(f"unknown setting '{key}' for method {method}. {hint}")


def _alternatives(annotation: Any) -> Sequence[Any]:
    if get_origin(annotation) in (Union, types.UnionType):
        return get_args(annotation)
    return (annotation,)
