"""Spaces survive being written down as JSON."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from rommeo_rllib.joint_action.spaces.space_json import space_from_json, space_to_json

INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


@st.composite
def boxes(draw: Any) -> spaces.Box:
    name = draw(st.sampled_from(["float16", "float32", "float64", *INTEGERS]))
    dtype = np.dtype(name)
    shape = draw(arrays.array_shapes(min_dims=0, max_dims=3, max_side=3))
    numbers = arrays.from_dtype(dtype, allow_nan=False)
    one, other = (draw(arrays.arrays(dtype, shape, elements=numbers)) for _ in range(2))
    return spaces.Box(np.minimum(one, other), np.maximum(one, other), shape, dtype.type)


discretes = st.builds(
    lambda n, start: spaces.Discrete(n, start=start), st.integers(1, 9), st.integers(-9, 9)
)
multi_discretes = st.builds(
    lambda nvec, dtype: spaces.MultiDiscrete(nvec, dtype=np.dtype(dtype).type, start=nvec - 3),
    arrays.arrays(np.int64, arrays.array_shapes(max_dims=2), elements=st.integers(1, 9)),
    st.sampled_from(["int32", "int64"]),
)
multi_binaries = st.builds(spaces.MultiBinary, st.integers(1, 4) | st.just([2, 3]))
leaves = st.one_of(boxes(), discretes, multi_discretes, multi_binaries)
any_space = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(spaces.Tuple),
        st.lists(st.tuples(st.text(max_size=3), inner), max_size=3, unique_by=lambda p: p[0]).map(
            spaces.Dict
        ),
    ),
    max_leaves=4,
)


def strictly(content: Any) -> Any:
    return json.loads(json.dumps(content, allow_nan=False))


@settings(max_examples=150, deadline=None)
@given(any_space)
def test_a_space_comes_back_as_it_was(space):
    made = space_from_json(strictly(space_to_json(space)))
    assert made == space
    # Zeros with and without a sign are equal, and which of them is met first is kept.
    assert repr(made).replace("-0.0", "0.0") == repr(space).replace("-0.0", "0.0")
    same_leaves(made, space)


def same_leaves(made: Any, space: Any) -> None:
    assert type(made) is type(space)
    assert made.dtype == space.dtype
    assert made.shape == space.shape
    if isinstance(space, spaces.Box):
        np.testing.assert_array_equal(made.bounded_below, space.bounded_below)
        np.testing.assert_array_equal(made.bounded_above, space.bounded_above)
    if isinstance(space, spaces.Dict):
        assert list(made.spaces) == list(space.spaces)
        for key, one in space.spaces.items():
            same_leaves(made[key], one)
    if isinstance(space, spaces.Tuple):
        for one, other in zip(made, space, strict=True):
            same_leaves(one, other)


@pytest.mark.parametrize(
    "space",
    [
        spaces.Box(-np.inf, np.inf, (2,), np.float32),
        spaces.Box(np.array([-np.inf, 0.0]), np.array([1.0, np.inf]), dtype=np.float64),
        spaces.Box(-np.inf, 5, (2,), np.int64),
        spaces.Box(0, 2**64 - 1, (1,), np.uint64),
    ],
)
def test_bounds_without_an_end_come_back(space):
    made = space_from_json(strictly(space_to_json(space)))
    assert made == space
    same_leaves(made, space)


@pytest.mark.parametrize("space", [spaces.Text(3), spaces.Dict({("a", 1): spaces.Discrete(2)})])
def test_a_space_that_json_cannot_tell_is_refused(space):
    with pytest.raises(ValueError, match="allowed: "):
        space_to_json(space)


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        {},
        {"type": "Graph"},
        {"type": "os.system"},
        {"type": "Discrete", "n": "3", "start": 0, "dtype": "int64"},
        {"type": "Discrete", "n": -1, "start": 0, "dtype": "int64"},
        {"type": "Box", "shape": [2], "dtype": "object", "low": 0, "high": 1},
        {"type": "Box", "shape": [2], "dtype": "float32", "low": "x", "high": 1},
        {"type": "Box", "shape": [2], "dtype": "float32", "low": [1, 2, 3], "high": 1},
        {"type": "Box", "shape": 3, "dtype": "float32", "low": 0, "high": 1},
        {"type": "Dict", "spaces": {"a": 1}},
        {"type": "Tuple", "spaces": [1]},
        {"type": "MultiDiscrete", "nvec": [[1], [2, 3]], "start": 0, "dtype": "int64"},
    ],
)
def test_what_is_no_space_is_a_value_error(content):
    with pytest.raises(ValueError, match=r"\w"):
        space_from_json(content)
