"""Checks of values that a user gives.

Each raises a ValueError that names the field, its value and what is allowed.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

from rommeo_rllib.naming import shown

MOST_COPIES = 100_000
"""More copies of an environment, a learner or a policy than any cluster holds."""


def check(name: str, value: Any, is_right: bool, allowed: str) -> None:
    """Raises unless `is_right`; `allowed` says in words what would have been."""
    if not is_right:
        raise ValueError(f"`{name}` is {shown(value)}; allowed: {allowed}.")


@dataclass(frozen=True)
class Check:
    """What values a field may have; called with its name and its value, it raises or does nothing.

    Attributes:
        is_right: whether a value may be.
        allowed: the same in words.
    """

    is_right: Callable[[Any], bool]
    allowed: str

    def __call__(self, name: str, value: Any) -> None:
        """Raises a ValueError if that value may not be."""
        check(name, value, self.is_right(value), self.allowed)

    def of(self, config: Any, *names: str) -> None:
        """Checks several attributes."""
        for name in names:
            self(name, getattr(config, name))

    def or_none(self) -> Check:
        """The same, and None."""
        return Check(
            lambda value: value is None or self.is_right(value), f"{self.allowed}, or None"
        )


def is_finite_number(value: Any) -> bool:
    """Whether it is a number, Python's or NumPy's, that is neither infinite nor NaN."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # An integer that no float can hold.
        return False


def is_integer(value: Any) -> bool:
    """Whether it is an integer, Python's or NumPy's."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


POSITIVE = Check(lambda value: is_finite_number(value) and value > 0, "a finite number above 0")
NOT_NEGATIVE = Check(
    lambda value: is_finite_number(value) and value >= 0, "a finite number of at least 0"
)
FRACTION = Check(lambda value: is_finite_number(value) and 0 <= value < 1, "a number in [0, 1)")
FLAG = Check(lambda value: isinstance(value, bool), "True or False")
"""A text such as "False" would count as True."""


def count(least: int = 1, most: int | None = None) -> Check:
    """Integers from `least` to `most`."""
    allowed = f"an integer of at least {least}" if most is None else f"{least} to {most}"
    return Check(
        lambda value: is_integer(value) and value >= least and (most is None or value <= most),
        allowed,
    )


def one_of(allowed: Iterable[Any]) -> Check:
    """One of some values, of the same type."""
    choices: Collection[Any] = tuple(allowed)
    return Check(
        lambda value: any(type(value) is type(one) and value == one for one in choices),
        " or ".join(map(repr, choices)),
    )


def _is_count_or_range(value: Any) -> bool:
    is_range = isinstance(value, tuple | list) and len(value) == 2
    least, most = value if is_range else (value, value)
    return is_integer(least) and is_integer(most) and 1 <= least <= most


COUNT_OR_RANGE = Check(
    _is_count_or_range, "an integer of at least 1, or two of them, (least, most)"
)


def positive_int(name: str, value: Any) -> int:
    """`value` as a Python integer of at least 1, else a ValueError that names it."""
    count()(name, value)
    return int(value)
