"""Values of users' environments become what their spaces declare, or are refused."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Text, Tuple
from hypothesis import given, settings
from hypothesis import strategies as st

from rommeo_rllib.joint_action.spaces.conversion import Misfit, check_bounds, converter

FLOATS = Box(-1.0, 1.0, (2,), np.float32)
WIDE = Box(-np.inf, np.inf, (2,), np.float64)
IMAGE = Box(0, 255, (2, 2, 1), np.uint8)
CHOICES = MultiDiscrete([3, 4])
NESTED = Dict({"b": Tuple((Discrete(2), FLOATS)), "a": MultiBinary(2)})


def equal(one, other) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[k], other[k]) for k in one)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    one, other = np.asarray(one), np.asarray(other)
    return one.dtype == other.dtype and one.shape == other.shape and bool((one == other).all())


@pytest.mark.parametrize(
    ("space", "value", "expected"),
    [
        (FLOATS, np.zeros(2, np.int16), np.zeros(2, np.float32)),
        (FLOATS, [0, 1], np.array([0, 1], np.float32)),
        (FLOATS, (True, False), np.array([1, 0], np.float32)),
        (FLOATS, np.array([0.25, 1.0]), np.array([0.25, 1.0], np.float32)),
        (FLOATS, np.array([0.5, 1.0], np.float16), np.array([0.5, 1.0], np.float32)),
        (FLOATS, torch.tensor([0.5, 1.0]), np.array([0.5, 1.0], np.float32)),
        (Box(-1.0, 1.0, (), np.float32), 0.5, np.array(0.5, np.float32)),
        (IMAGE, np.full((2, 2, 1), 255), np.full((2, 2, 1), 255, np.uint8)),
        (IMAGE, np.full((2, 2, 1), 7.0), np.full((2, 2, 1), 7, np.uint8)),
        (Discrete(3), np.int8(2), np.int64(2)),
        (Discrete(3), 2.0, np.int64(2)),
        (Discrete(3), np.array(2), np.int64(2)),
        (Discrete(3, start=5), 7, np.int64(7)),
        (CHOICES, (2, 3), np.array([2, 3])),
        (MultiBinary(2), [True, False], np.array([1, 0], np.int8)),
        (
            NESTED,
            {"a": [0, 1], "b": [1, [0, 1]]},
            {"b": (np.int64(1), np.array([0, 1], np.float32)), "a": np.array([0, 1], np.int8)},
        ),
    ],
)
def test_a_value_takes_the_declared_type(space, value, expected):
    assert equal(converter(space)(value), expected)


@pytest.mark.parametrize(
    ("space", "value", "reason"),
    [
        (FLOATS, np.zeros(3), r"has the shape \(3,\), not \(2,\)"),
        (FLOATS, np.zeros((1, 2)), r"has the shape \(1, 2\), not \(2,\)"),
        (FLOATS, 0.0, r"has the shape \(\), not \(2,\)"),
        (FLOATS, None, "is of the type NoneType"),
        (FLOATS, ["a", "b"], "is of the type list, which holds no plain numbers"),
        (FLOATS, [[1], [1, 2]], "cannot be made an array"),
        (FLOATS, {"x": 1}, "is of the type dict"),
        (FLOATS, np.array([0, np.nan]), "holds nan; allowed: finite numbers"),
        (FLOATS, [0.0, float("inf")], "holds inf; allowed: finite numbers"),
        (FLOATS, np.array([0, 1e300]), "holds inf; allowed: finite numbers"),
        (WIDE, np.array([0, 1e300]), r"holds 1e\+300; allowed: finite numbers"),
        (WIDE, np.array([0, np.nan]), "holds nan; allowed: finite numbers"),
        (IMAGE, np.full((2, 2, 1), 256), "does not fit into uint8 as it is"),
        (IMAGE, np.full((2, 2, 1), -1), "does not fit into uint8 as it is"),
        (IMAGE, np.full((2, 2, 1), 0.5), "does not fit into uint8 as it is"),
        (Discrete(3), 3.7, "does not fit into int64 as it is"),
        (Discrete(3), 3, "is none of the choices 0 to 2"),
        (Discrete(3), -1, "is none of the choices 0 to 2"),
        (Discrete(3, start=5), 4, "is none of the choices 5 to 7"),
        (Discrete(3), np.array([1]), r"has the shape \(1,\), not \(\)"),
        (Discrete(3), float("nan"), "does not fit into int64 as it is"),
        (CHOICES, [3, 0], r"has 3 at \[0\], none of the choices 0 to 2"),
        (CHOICES, [0, -1], r"has -1 at \[1\], none of the choices 0 to 3"),
        (CHOICES, [0.5, 0], "does not fit into int64 as it is"),
        (MultiBinary(2), [0, 2], r"has 2 at \[1\], none of the choices 0 to 1"),
        (NESTED, [1], "is of the type list, not a dict"),
        (NESTED, {"a": [0, 1]}, "lacks the key 'b'"),
        (NESTED, {"a": [0, 1], "b": (0, [0, 0]), "c": 1}, "has the unknown key 'c'"),
        (NESTED, {"a": [0, 1], "b": (0,)}, r"\['b'\] has 1 parts, not 2"),
        (NESTED, {"a": [0, 1], "b": 0}, r"\['b'\] is of the type int, not a tuple"),
        (NESTED, {"a": [0, 1], "b": (0, [0, np.nan])}, r"\['b'\]\[1\] holds nan"),
    ],
)
def test_what_a_space_cannot_hold_is_refused_with_its_place(space, value, reason):
    with pytest.raises(Misfit, match=reason):
        converter(space)(value)


@pytest.mark.parametrize(
    ("space", "value", "reason"),
    [
        (FLOATS, np.array([0.0, 1.5], np.float32), "^holds 1.5, outside of the bounds"),
        (NESTED, {"a": [0, 1], "b": (0, np.array([-2, 0]))}, r"\['b'\]\[1\] holds -2"),
    ],
)
def test_what_is_out_of_bounds_is_named_with_its_place(space, value, reason):
    with pytest.raises(Misfit, match=reason):
        check_bounds(space, value)


LEAVES = st.sampled_from(
    [FLOATS, WIDE, IMAGE, CHOICES, Discrete(4, start=-1), MultiBinary((2, 2)), Box(0, 9, (3,), int)]
)
SPACES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: Tuple(tuple(parts)))
        | st.dictionaries(st.sampled_from("xyz"), inner, min_size=1, max_size=3).map(Dict)
    ),
    max_leaves=4,
)


def arrays_in(value) -> list[np.ndarray]:
    if isinstance(value, dict | tuple):
        parts = value.values() if isinstance(value, dict) else value
        return [array for part in parts for array in arrays_in(part)]
    return [value] if isinstance(value, np.ndarray) else []


@settings(max_examples=100, deadline=None)
@given(SPACES, st.integers(0, 1000))
def test_a_sample_of_any_space_arrives_as_a_copy_of_itself(space: gym.Space, seed: int):
    space.seed(seed)
    sample = space.sample()
    converted = converter(space)(sample)
    assert space.contains(converted)
    assert equal(converted, sample)
    check_bounds(space, converted)
    for one, other in zip(arrays_in(converted), arrays_in(sample), strict=True):
        assert not np.shares_memory(one, other)


def test_a_value_of_another_space_passes_as_it_is():
    assert converter(Text(3))("abc") == "abc"
