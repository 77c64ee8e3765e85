"""What is reported of an iteration: numbers that schedulers can compare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def finite_or_before(values: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """`values` with what was reported before in place of what is missing or NaN.

    Args:
        values: metrics by name, nested.
        before: earlier metrics of that form; none of them is NaN.

    Returns:
        A new dict. What is NaN and was never reported before is left out.
    """
    merged: dict[str, Any] = dict(before)
    for name, value in values.items():
        if isinstance(value, Mapping):
            earlier = before.get(name, {})
            merged[name] = finite_or_before(value, earlier if isinstance(earlier, Mapping) else {})
        elif not (isinstance(value, float) and value != value):
            merged[name] = value
    return merged
