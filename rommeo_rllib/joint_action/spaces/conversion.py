"""Values of users' environments, converted to what their spaces declare.

What comes out is a copy in the space's own type and shape, nested as the space is. A value that the
space cannot hold as it is raises :class:`Misfit`: nothing is rounded, cut off or guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from numpy import vdot

Convert = Callable[[Any], Any]
"""From a value to its copy in the declared type; raises :class:`Misfit`."""

_LARGEST = float(np.finfo(np.float32).max)
_NUMBERS = "biuf"
_INTEGERS = (int, np.integer)


class Misfit(ValueError):
    """A value that its space cannot hold.

    Args:
        reason: what is wrong, such as "has the shape (2,)".
        path: where in a nested value, such as "['position'][0]".
    """

    def __init__(self, reason: str, path: str = ""):
        self.reason, self.path = reason, path
        super().__init__(f"{path} {reason}".strip())


def converter(space: gym.Space) -> Convert:
    """A function that converts values of `space`; made once, since it is called at every step.

    Args:
        space: Discrete, MultiDiscrete, MultiBinary, Box, and Dict and Tuple of these are converted;
            values of any other space pass as they are. The numbers of a Box must be finite as
            float32, in which networks compute.
    """
    if isinstance(space, gym.spaces.Dict):
        return _dict_converter(space)
    if isinstance(space, gym.spaces.Tuple):
        return _tuple_converter(space)
    if isinstance(space, gym.spaces.Discrete):
        return _discrete_converter(space)
    if isinstance(space, gym.spaces.Box):
        return _box_converter(space)
    if isinstance(space, gym.spaces.MultiDiscrete | gym.spaces.MultiBinary):
        return _choices_converter(space)
    return lambda value: value


def check_bounds(space: gym.Space, value: Any, path: str = "") -> None:
    """Raises :class:`Misfit` if a converted value is outside of the bounds of a Box."""
    if isinstance(space, gym.spaces.Dict):
        for key, part in space.spaces.items():
            check_bounds(part, value[key], f"{path}[{key!r}]")
    elif isinstance(space, gym.spaces.Tuple):
        for index, part in enumerate(space.spaces):
            check_bounds(part, value[index], f"{path}[{index}]")
    elif isinstance(space, gym.spaces.Box):
        outside = (value < space.low) | (value > space.high)
        if outside.any():
            worst = np.asarray(value)[outside][0]
            raise Misfit(f"holds {worst}, outside of the bounds", path)


def _dict_converter(space: gym.spaces.Dict) -> Convert:
    parts = [(key, converter(part)) for key, part in space.items()]
    keys = set(space.spaces)

    def convert(value: Any) -> dict[Any, Any]:
        if not isinstance(value, Mapping):
            raise Misfit(f"is of the type {type(value).__name__}, not a dict")
        if value.keys() != keys:
            missing, unknown = keys - value.keys(), value.keys() - keys
            said = f"lacks the key {min(missing, key=str)!r}" if missing else ""
            said = said or f"has the unknown key {min(unknown, key=str)!r}"
            raise Misfit(said)
        return {key: _within(convert_part, value[key], key) for key, convert_part in parts}

    return convert


def _tuple_converter(space: gym.spaces.Tuple) -> Convert:
    parts = [converter(part) for part in space.spaces]

    def convert(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, Sequence | np.ndarray) or isinstance(value, str):
            raise Misfit(f"is of the type {type(value).__name__}, not a tuple")
        if len(value) != len(parts):
            raise Misfit(f"has {len(value)} parts, not {len(parts)}")
        pairs = zip(parts, value, strict=True)
        return tuple(_within(part, one, index) for index, (part, one) in enumerate(pairs))

    return convert


def _within(convert: Convert, value: Any, place: Any) -> Any:
    try:
        return convert(value)
    except Misfit as misfit:
        raise Misfit(misfit.reason, f"[{place!r}]{misfit.path}") from None


def _discrete_converter(space: gym.spaces.Discrete) -> Convert:
    first, last = int(space.start), int(space.start + space.n - 1)
    make = np.dtype(space.dtype).type
    as_integer = _array_converter(np.dtype(np.int64), ())

    def convert(value: Any) -> np.integer:
        number = value if isinstance(value, _INTEGERS) else as_integer(value)
        if not first <= number <= last:
            raise Misfit(f"is none of the choices {first} to {last}")
        return make(number)

    return convert


def _choices_converter(space: gym.spaces.MultiDiscrete | gym.spaces.MultiBinary) -> Convert:
    assert space.shape is not None
    first = np.asarray(getattr(space, "start", 0))
    last = first + np.asarray(getattr(space, "nvec", 2)) - 1
    as_array = _array_converter(np.dtype(space.dtype), space.shape)

    def convert(value: Any) -> np.ndarray:
        array = as_array(value)
        outside = (array < first) | (array > last)
        if outside.any():
            place = tuple(int(i) for i in np.argwhere(outside)[0])
            low, high = (int(np.broadcast_to(bound, array.shape)[place]) for bound in (first, last))
            index = "".join(f"[{i}]" for i in place)
            raise Misfit(f"has {array[place]} at {index}, none of the choices {low} to {high}")
        return array

    return convert


def _box_converter(space: gym.spaces.Box) -> Convert:
    dtype, shape = np.dtype(space.dtype), space.shape
    as_array = _array_converter(dtype, shape)
    if dtype.kind != "f":
        return as_array

    def convert(value: Any) -> np.ndarray:
        # This is the way of nearly all observations: no call more than it needs.
        if type(value) is np.ndarray and value.dtype == dtype and value.shape == shape:
            array = value.copy()
        else:
            array = as_array(value)
        # The sum of squares is the fastest proof that all numbers are finite and small enough.
        squares = float(vdot(array, array))
        if not squares < _LARGEST:
            finite = np.abs(array) <= _LARGEST  # False for NaN, too.
            if not finite.all():
                worst = np.atleast_1d(array)[~np.atleast_1d(finite)][0]
                raise Misfit(f"holds {worst}; allowed: finite numbers")
        return array

    return convert


def _array_converter(dtype: np.dtype, shape: tuple[int, ...]) -> Convert:
    """From anything that numpy can make an array of, to a copy of that type and shape."""

    def convert(value: Any) -> np.ndarray:
        if type(value) is np.ndarray and value.dtype == dtype and value.shape == shape:
            return value.copy()
        try:
            array = np.asarray(value)
        except (TypeError, ValueError, RuntimeError) as error:
            raise Misfit(f"cannot be made an array: {error}") from None
        if array.dtype.kind not in _NUMBERS:
            raise Misfit(f"is of the type {type(value).__name__}, which holds no plain numbers")
        if array.shape != shape:
            raise Misfit(f"has the shape {array.shape}, not {shape}")
        with np.errstate(all="ignore"):  # What does not fit is said below or by the caller.
            converted = array.astype(dtype)
            if dtype.kind in "biu" and array.dtype != dtype and not (converted == array).all():
                raise Misfit(f"does not fit into {dtype} as it is")
        return converted

    return convert
