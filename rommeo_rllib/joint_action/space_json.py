"""Spaces as JSON, and back: what a bundle says of observations and actions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import gymnasium as gym
import numpy as np
from gymnasium import spaces

Json: TypeAlias = Any

_DTYPES = {
    *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)),
    *("float16", "float32", "float64", "bool"),
}


def space_to_json(space: gym.Space) -> dict[str, Json]:
    """A space in numbers, texts and lists, from which :func:`space_from_json` makes it again.

    Raises:
        ValueError: for a space of another kind than Discrete, MultiDiscrete, MultiBinary, Box,
            Dict and Tuple, or with a type or key that JSON cannot tell.
    """
    for name, (kind, write, _) in _KINDS.items():
        if type(space) is kind:
            return {"type": name, **write(space)}
    raise ValueError(f"a {type(space).__name__}; allowed: {', '.join(_KINDS)}")


def space_from_json(content: Json) -> gym.Space:
    """The space that :func:`space_to_json` has written down.

    Raises:
        ValueError: if it is none of these, or its numbers make no space.
    """
    if not isinstance(content, dict) or content.get("type") not in _KINDS:
        raise ValueError(f"{str(content)[:60]!r} is no space")
    _, _, read = _KINDS[content["type"]]
    try:
        return read(content)
    except ValueError:
        raise
    except (AssertionError, AttributeError, KeyError, OverflowError, TypeError) as error:
        raise ValueError(f"no {content['type']} can be made of it: {error}") from error


def _discrete_to_json(space: Any) -> dict[str, Json]:
    return {"n": int(space.n), "start": int(space.start), "dtype": _name(space.dtype)}


def _discrete_from_json(content: Mapping[str, Json]) -> gym.Space:
    made: Any = spaces.Discrete(content["n"], start=content["start"])
    dtype = _dtype(content)
    if made.dtype != dtype:  # Older versions of Gymnasium have one only.
        made = spaces.Discrete(content["n"], start=content["start"], dtype=dtype.type)
    return made


def _multi_discrete_to_json(space: Any) -> dict[str, Json]:
    return {
        "nvec": space.nvec.tolist(),
        "start": space.start.tolist(),
        "dtype": _name(space.dtype),
    }


def _multi_discrete_from_json(content: Mapping[str, Json]) -> gym.Space:
    dtype = _dtype(content)
    return spaces.MultiDiscrete(
        np.array(content["nvec"], dtype), dtype=dtype.type, start=np.array(content["start"], dtype)
    )


def _multi_binary_to_json(space: Any) -> dict[str, Json]:
    return {"n": int(space.n) if isinstance(space.n, int | np.integer) else list(space.shape)}


def _multi_binary_from_json(content: Mapping[str, Json]) -> gym.Space:
    return spaces.MultiBinary(content["n"])


def _box_to_json(space: Any) -> dict[str, Json]:
    content = {
        "shape": list(space.shape),
        "dtype": _name(space.dtype),
        "low": _bound_to_json(space.low),
        "high": _bound_to_json(space.high),
    }
    if space.dtype.kind in "iu":
        # For these "without a bound" is not a number but a mark of its own.
        for side in ("below", "above"):
            bounded = getattr(space, f"bounded_{side}")
            if not bounded.all():
                content[f"bounded_{side}"] = bounded.tolist()
    return content


def _box_from_json(content: Mapping[str, Json]) -> gym.Space:
    dtype, shape = _dtype(content), tuple(content["shape"])
    low, high = (
        np.broadcast_to(_bound_from_json(content[side], dtype), shape) for side in ("low", "high")
    )
    made = spaces.Box(low, high, shape, dtype.type)
    for side in ("below", "above"):
        if f"bounded_{side}" in content:
            marks = np.array(content[f"bounded_{side}"], bool)
            setattr(made, f"bounded_{side}", np.broadcast_to(marks, shape))
    return made


def _bound_to_json(bound: np.ndarray) -> Json:
    """One number if all are equal; infinity, which JSON does not know, as text."""
    values = np.unique(bound) if bound.size else bound.reshape(-1)
    return _number_to_json((values[0] if len(values) == 1 else bound).tolist())


def _number_to_json(value: Any) -> Json:
    if isinstance(value, list):
        return [_number_to_json(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        if math.isnan(value):
            raise ValueError("a Box with a bound that is not a number")
        return "inf" if value > 0 else "-inf"
    return value


def _bound_from_json(content: Json, dtype: np.dtype) -> np.ndarray:
    return np.array(_number_from_json(content), dtype)


def _number_from_json(content: Json) -> Any:
    if isinstance(content, list):
        return [_number_from_json(one) for one in content]
    if isinstance(content, str):
        if content not in ("inf", "-inf"):
            raise ValueError(f"a bound is {content[:60]!r}; allowed: numbers, 'inf', '-inf'")
        return float(content)
    return content


def _dict_to_json(space: Any) -> dict[str, Json]:
    for key in space.spaces:
        if type(key) not in (str, int):
            raise ValueError(f"a Dict with the key {key!r}; allowed: texts and integers")
    return {"spaces": [[key, space_to_json(one)] for key, one in space.spaces.items()]}


def _dict_from_json(content: Mapping[str, Json]) -> gym.Space:
    # Pairs keep their order; a dict would be sorted.
    return spaces.Dict([(key, space_from_json(one)) for key, one in content["spaces"]])


def _tuple_to_json(space: Any) -> dict[str, Json]:
    return {"spaces": [space_to_json(one) for one in space.spaces]}


def _tuple_from_json(content: Mapping[str, Json]) -> gym.Space:
    return spaces.Tuple([space_from_json(one) for one in content["spaces"]])


def _name(dtype: Any) -> str:
    name = np.dtype(dtype).name
    if name not in _DTYPES:
        raise ValueError(f"a space of {name}; allowed: {', '.join(sorted(_DTYPES))}")
    return name


def _dtype(content: Mapping[str, Json]) -> np.dtype:
    if content["dtype"] not in _DTYPES:
        raise ValueError(f"a space of {str(content['dtype'])[:60]!r}")
    return np.dtype(content["dtype"])


_KINDS: dict[str, tuple[type, Callable[..., dict[str, Json]], Callable[..., gym.Space]]] = {
    "Discrete": (spaces.Discrete, _discrete_to_json, _discrete_from_json),
    "MultiDiscrete": (spaces.MultiDiscrete, _multi_discrete_to_json, _multi_discrete_from_json),
    "MultiBinary": (spaces.MultiBinary, _multi_binary_to_json, _multi_binary_from_json),
    "Box": (spaces.Box, _box_to_json, _box_from_json),
    "Dict": (spaces.Dict, _dict_to_json, _dict_from_json),
    "Tuple": (spaces.Tuple, _tuple_to_json, _tuple_from_json),
}
