"""Spaces as JSON, and back: what a bundle says of observations and actions."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import gymnasium as gym
import numpy as np
from gymnasium import spaces

Json: TypeAlias = Any

DTYPES = frozenset(
    {
        *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)),
        *("float16", "float32", "float64", "bool"),
    }
)
"""NumPy's types that a file may name."""

_KINDS: dict[str, type[gym.Space]] = {
    kind.__name__: kind
    for kind in (
        spaces.Discrete,
        spaces.MultiDiscrete,
        spaces.MultiBinary,
        spaces.Box,
        spaces.Dict,
        spaces.Tuple,
    )
}


def space_to_json(space: gym.Space) -> dict[str, Json]:
    """A space in numbers, texts and lists, from which :func:`space_from_json` makes it again.

    Raises:
        ValueError: for a space of another kind than Discrete, MultiDiscrete, MultiBinary, Box,
            Dict and Tuple, or with a type or key that JSON cannot tell.
    """
    given: Any = space
    kind = type(space).__name__
    if _KINDS.get(kind) is not type(space):
        raise ValueError(f"a {kind}; allowed: {', '.join(_KINDS)}")
    content: dict[str, Json] = {"type": kind}
    match kind:
        case "Dict":
            # Pairs keep their order; a dict would be sorted.
            content["spaces"] = [
                [_checked_key(key), space_to_json(one)] for key, one in given.spaces.items()
            ]
        case "Tuple":
            content["spaces"] = [space_to_json(one) for one in given.spaces]
        case "MultiBinary":
            content["n"] = given.n if isinstance(given.n, int) else list(given.shape)
        case "Box":
            content |= {"dtype": _checked_dtype(given.dtype), "shape": list(given.shape)}
            content |= {"low": _bound_to_json(given.low), "high": _bound_to_json(given.high)}
            if given.dtype.kind in "iu":
                # For these "without a bound" is not a number but a mark of its own.
                for name in ("bounded_below", "bounded_above"):
                    content[name] = _bound_to_json(getattr(given, name))
        case _:
            content["dtype"] = _checked_dtype(given.dtype)
            for name in ("n" if kind == "Discrete" else "nvec", "start"):
                content[name] = np.asarray(getattr(given, name)).tolist()
    return content


def space_from_json(content: Json) -> gym.Space:
    """The space that :func:`space_to_json` has written down.

    Raises:
        ValueError: if it is none of these, or its numbers make no space.
    """
    if not isinstance(content, dict) or content.get("type") not in _KINDS:
        raise ValueError(f"{str(content)[:60]!r} is no space")
    try:
        return _made(content["type"], content)
    except (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError) as error:
        raise ValueError(f"no {content['type']} can be made of it: {error}") from error


def _made(kind: str, content: dict[str, Json]) -> gym.Space:
    if kind == "Dict":
        return spaces.Dict(
            [(_checked_key(k), space_from_json(one)) for k, one in content["spaces"]]
        )
    if kind == "Tuple":
        return spaces.Tuple([space_from_json(one) for one in content["spaces"]])
    if kind == "MultiBinary":
        return spaces.MultiBinary(content["n"])
    dtype = np.dtype(_checked_dtype(content["dtype"]))
    if kind == "Discrete":
        n, start = content["n"], content["start"]
        made: Any = spaces.Discrete(n, start=start)
        # Older versions of Gymnasium have one type only.
        return made if made.dtype == dtype else spaces.Discrete(n, start=start, dtype=dtype.type)
    if kind == "MultiDiscrete":
        nvec, start = (np.array(content[name], dtype) for name in ("nvec", "start"))
        return spaces.MultiDiscrete(nvec, dtype=dtype.type, start=start)
    shape = tuple(content["shape"])
    low, high = (_bound_from_json(content[side], dtype, shape) for side in ("low", "high"))
    made = spaces.Box(low, high, shape, dtype.type)
    for name in ("bounded_below", "bounded_above"):
        if name in content:
            setattr(made, name, _bound_from_json(content[name], np.dtype(bool), shape))
    return made


def num_values(content: Json) -> int:
    """How many numbers a sample of a space has, before anything so large is made.

    Raises:
        ValueError: if its shape is none.
    """
    kind = content.get("type") if isinstance(content, dict) else None
    if kind in ("Dict", "Tuple"):
        inner = content.get("spaces")
        if not isinstance(inner, list):
            raise ValueError(f"a {kind} of {str(inner)[:60]}")
        return sum(num_values(one[-1] if isinstance(one, list) and one else one) for one in inner)
    if kind not in ("Box", "MultiBinary"):
        return 1  # Or as many as are written down.
    given = content.get("shape" if kind == "Box" else "n")
    shape = given if isinstance(given, list) else [given]
    if not all(type(length) is int and length >= 0 for length in shape):
        raise ValueError(f"a {kind} of the shape {str(given)[:60]}")
    # An axis of length 0 must not hide the others.
    return math.prod(max(length, 1) for length in shape)


def _bound_to_json(bound: np.ndarray) -> Json:
    """One number if all are equal; infinity, which JSON does not know, as text."""
    if np.isnan(bound).any():
        raise ValueError("a Box with a bound that is not a number")
    values = np.unique(bound)
    return _told((values[0] if len(values) == 1 else bound).tolist())


def _told(value: Json) -> Json:
    if isinstance(value, list):
        return [_told(one) for one in value]
    return str(value) if isinstance(value, float) and math.isinf(value) else value


def _bound_from_json(content: Json, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    return np.broadcast_to(np.array(_number(content), dtype), shape)


def _number(content: Json) -> Json:
    if isinstance(content, list):
        return [_number(one) for one in content]
    if content in ("inf", "-inf"):
        return float(content)
    if not isinstance(content, int | float) or content != content:
        raise ValueError(f"a bound is {str(content)[:60]!r}; allowed: numbers, 'inf', '-inf'")
    return content


def _checked_key(key: Any) -> Any:
    if type(key) not in (str, int):
        raise ValueError(f"a Dict with the key {str(key)[:60]!r}; allowed: texts and integers")
    return key


def _checked_dtype(dtype: Any) -> str:
    name = str(dtype)
    if name not in DTYPES:
        raise ValueError(f"a space of {name[:60]!r}; allowed: {', '.join(sorted(DTYPES))}")
    return name
