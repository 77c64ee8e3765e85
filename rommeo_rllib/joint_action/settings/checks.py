"""Checks of a configuration's values.

Each raises a ValueError that names the field, its value and what is allowed.
"""

from __future__ import annotations

import numbers
from collections.abc import Collection
from typing import Any

from rommeo_rllib.naming import shown
from rommeo_rllib.schedules import is_finite_number

MOST_COPIES = 100_000
"""More copies of an environment, a learner or a policy than any cluster holds."""


def check(name: str, value: Any, is_right: bool, allowed: str) -> None:
    """Raises unless `is_right`; `allowed` says in words what would have been."""
    if not is_right:
        raise ValueError(f"`{name}` is {shown(value)}; allowed: {allowed}.")


def check_positive(config: Any, *names: str, none: bool = False) -> None:
    """Settings that are finite numbers above 0; with `none`, or None."""
    for name in names:
        value = getattr(config, name)
        is_right = (none and value is None) or (is_finite_number(value) and value > 0)
        check(name, value, is_right, _or_none(none, "a finite number above 0"))


def check_at_least_0(config: Any, *names: str, none: bool = False) -> None:
    """Settings that are finite numbers of at least 0; with `none`, or None."""
    for name in names:
        value = getattr(config, name)
        is_right = (none and value is None) or (is_finite_number(value) and value >= 0)
        check(name, value, is_right, _or_none(none, "a finite number of at least 0"))


def check_count(
    config: Any,
    *names: str,
    least: int = 1,
    most: int | None = None,
    none: bool = False,
) -> None:
    """Settings that are integers from `least` to `most`; with `none`, or None."""
    allowed = f"an integer of at least {least}" if most is None else f"{least} to {most}"
    for name in names:
        value = getattr(config, name)
        is_right = is_integer(value) and value >= least and (most is None or value <= most)
        check(name, value, is_right or (none and value is None), _or_none(none, allowed))


def check_count_or_range(config: Any, name: str) -> None:
    """A setting that is a positive integer, or two of them, (least, most)."""
    value = getattr(config, name)
    is_range = isinstance(value, tuple | list) and len(value) == 2
    least, most = value if is_range else (value, value)
    is_right = is_integer(least) and is_integer(most) and 1 <= least <= most
    check(name, value, is_right, "an integer of at least 1, or two of them, (least, most)")


def check_fraction(config: Any, *names: str) -> None:
    """Settings in [0, 1)."""
    for name in names:
        value = getattr(config, name)
        check(name, value, is_finite_number(value) and 0 <= value < 1, "a number in [0, 1)")


def check_flag(config: Any, *names: str) -> None:
    """Settings that are True or False; a text such as "False" would count as True."""
    for name in names:
        value = getattr(config, name)
        check(name, value, isinstance(value, bool), "True or False")


def check_choice(config: Any, name: str, allowed: Collection[Any]) -> None:
    """A setting that is one of `allowed`."""
    value = getattr(config, name)
    is_right = any(type(value) is type(one) and value == one for one in allowed)
    check(name, value, is_right, " or ".join(map(repr, allowed)))


def is_integer(value: Any) -> bool:
    """Whether it is an integer, Python's or NumPy's."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _or_none(none: bool, allowed: str) -> str:
    return f"{allowed}, or None" if none else allowed
