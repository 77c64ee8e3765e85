"""Settings as JSON, from which they come back as they were: tuples as tuples, arrays as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rommeo_rllib.joint_action.spaces.space_json import DTYPES, Json

_TUPLE, _NUMPY = "__tuple__", "__numpy__"


def settings_to_json(value: Any) -> Json:
    """A value in JSON's terms, from which :func:`settings_from_json` makes an equal one.

    Raises:
        TypeError: if it holds anything else than numbers, texts, None, NumPy's numbers and arrays,
            and lists, tuples and dicts of these with texts as keys.
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) is list:
        return [settings_to_json(one) for one in value]
    if type(value) is tuple:
        return {_TUPLE: [settings_to_json(one) for one in value]}
    is_array = isinstance(value, np.ndarray) and value.ndim > 0
    if (is_array or isinstance(value, np.generic)) and str(value.dtype) in DTYPES:
        return {_NUMPY: str(value.dtype), "values": value.tolist()}
    if type(value) is dict and not value.keys() & {_TUPLE, _NUMPY}:
        for key in value:
            if type(key) is not str:
                raise TypeError(f"it has the key {key!r} in its settings, which is no text")
        return {key: settings_to_json(one) for key, one in value.items()}
    raise TypeError(f"it has a {type(value).__name__} in its settings")


def settings_from_json(content: Json) -> Any:
    """The value that :func:`settings_to_json` has written down.

    Raises:
        ValueError: if there is an array in it that is none.
    """
    if isinstance(content, list):
        return [settings_from_json(one) for one in content]
    if not isinstance(content, Mapping):
        return content
    if _TUPLE in content:
        return tuple(settings_from_json(one) for one in content[_TUPLE])
    if _NUMPY in content:
        if content[_NUMPY] not in DTYPES:
            raise ValueError(f"an array of {str(content[_NUMPY])[:60]!r}")
        array = np.array(content.get("values"), content[_NUMPY])
        return array if array.ndim else array[()]
    return {key: settings_from_json(one) for key, one in content.items()}
