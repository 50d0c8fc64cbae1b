"""Checks of a method's settings: each raises one line naming field, value and allowed range."""

from __future__ import annotations

import math
from typing import Any, get_args

from threedie.errors import ConfigError


def require(holds: bool, field: str, value: object, allowed: str) -> None:
    """Raise unless it holds.

    Raises:
        ConfigError: naming the field, what it is and what it may be.
    """
    if not holds:
        raise ConfigError(f"{field} is {value!r}; it must be {allowed}.")


def check_weights(config: object, *fields: str) -> None:
    """Each field is a finite number that is not negative."""
    for field in fields:
        value = getattr(config, field)
        require(_number(value) and value >= 0, field, value, "a finite number, 0 or more")


def check_temperature(config: object, field: str = "temperature") -> None:
    """The field is a finite number above 0."""
    value = getattr(config, field)
    require(_number(value) and value > 0, field, value, "a finite number above 0")


def check_share(config: object, field: str, *, may_be_zero: bool = False) -> None:
    """The field is a share of a whole, below 1."""
    value = getattr(config, field)
    fits = _number(value) and 0 <= value < 1 and (may_be_zero or value > 0)
    require(fits, field, value, f"{'at least' if may_be_zero else 'more than'} 0, less than 1")


def check_widths(config: object, field: str, *, may_be_empty: bool = False) -> None:
    """The field is a tuple of positive integers."""
    value = getattr(config, field)
    fits = isinstance(value, tuple) and all(_whole(width) for width in value)
    example = "a tuple of positive widths such as (2048, 2048, 2048)"
    require(fits and (may_be_empty or len(value) > 0), field, value, example)


def check_choice(config: object, field: str, literal: Any) -> None:
    """The field is one of a Literal's values."""
    value, known = getattr(config, field), get_args(literal)
    require(value in known, field, value, "one of " + ", ".join(map(repr, known)))


def check_flags(config: object, *fields: str) -> None:
    """Each field is True or False (the word "no" would count as true)."""
    for field in fields:
        value = getattr(config, field)
        require(isinstance(value, bool), field, value, "true or false")


def check_rows(config: object, field: str) -> None:
    """The field is None or at least 2 rows."""
    value = getattr(config, field)
    require(value is None or (_whole(value) and value > 1), field, value, "none, or 2 or more")


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
