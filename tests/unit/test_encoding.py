"""Values of all kinds of spaces: packed for the replay, encoded for the networks."""

from __future__ import annotations

import copy
from collections import OrderedDict

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Text, Tuple
from ray.rllib.utils.spaces.space_utils import batch, unsquash_action

from rommeo_rllib.components import ActionComponent, action_size
from rommeo_rllib.joint_action.spaces.encoding import (
    action_components,
    decode_actions,
    decode_nested_actions,
    encode_actions,
    encode_observations,
    env_action,
    env_actions,
    layout,
    observation_size,
    to_env_units,
)
from rommeo_rllib.joint_action.spaces.packing import pack, pack_batch, packed_shape

PLANE = Box(np.array([-1.0, 0.0], np.float32), np.array([3.0, 10.0], np.float32))
SPACES = {
    "coin": Discrete(2),
    "single": Discrete(1),
    "from_5": Discrete(3, start=5),
    "from_minus_1": Discrete(3, start=-1),
    "choices": MultiDiscrete([3, 2, 4]),
    "table of choices": MultiDiscrete([[3, 2], [1, 4]], start=[[0, 5], [-1, 2]]),
    "bits": MultiBinary(3),
    "table of bits": MultiBinary([2, 2]),
    "line": Box(-1.0, 1.0, (1,), np.float32),
    "plane": Box(-1.0, 1.0, (2,), np.float32),
    "matrix": Box(-1.0, 1.0, (2, 3), np.float32),
    "number": Box(-1.0, 1.0, (), np.float32),
    "unbounded": Box(-np.inf, np.inf, (2,), np.float32),
    "dict": Dict({"move": Box(-1.0, 1.0, (2,), np.float32), "call": Discrete(3, start=2)}),
    "unsorted": Dict(OrderedDict([("b", Discrete(2)), ("a", MultiDiscrete([3, 2]))])),
    "tuple": Tuple((MultiBinary(2), Dict({"x": Tuple((Discrete(2), Discrete(5)))}))),
}


def samples(space: gym.Space, count: int = 20) -> list:
    space.seed(0)
    return [space.sample() for _ in range(count)]


def assert_nests_equal(found, expected):
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key in expected:
            assert_nests_equal(found[key], expected[key])
    elif isinstance(expected, tuple):
        for one, other in zip(found, expected, strict=True):
            assert_nests_equal(one, other)
    else:
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", SPACES)
def test_a_batch_is_packed_as_its_values_are(name):
    values = samples(SPACES[name])
    one_by_one = np.stack([pack(value) for value in values])
    np.testing.assert_array_equal(pack_batch(batch(values)), one_by_one)
    assert one_by_one.shape == (20, *packed_shape(SPACES[name]))


def test_packed_values_keep_their_type():
    assert pack(np.zeros((4, 4, 3), np.uint8)).dtype == np.uint8
    assert pack((np.zeros(3, np.uint8), np.ones((2, 2), np.uint8))).dtype == np.uint8
    assert pack({"a": 1, "b": np.zeros(2, np.float32)}).dtype == np.float32


@pytest.mark.parametrize("name", SPACES)
def test_decoding_undoes_encoding(name):
    space = SPACES[name]
    actions = np.stack([pack(value) for value in samples(space)])
    encoded = encode_actions(space, actions)
    assert encoded.shape == (20, action_size(action_components(space, "A test")))
    assert encoded.dtype == np.float32
    decoded = decode_actions(space, torch.from_numpy(encoded)).numpy()
    np.testing.assert_array_equal(decoded, actions)
    nested = decode_nested_actions(space, torch.from_numpy(encoded))
    assert_nests_equal(nested, batch(samples(space)))


def test_a_choice_is_encoded_by_its_place_not_its_number():
    encoded = encode_actions(Discrete(3, start=5), np.array([5, 7]))
    np.testing.assert_array_equal(encoded, [[1, 0, 0], [0, 0, 1]])


def test_components_of_actions():
    choice = {n: ActionComponent("discrete", n) for n in (2, 3, 4)}
    expected = {
        "coin": (choice[2],),
        "choices": (choice[3], choice[2], choice[4]),
        "bits": (choice[2],) * 3,
        "matrix": (ActionComponent("continuous", 6),),
        "unbounded": (ActionComponent("unbounded", 2),),
        # Sorted by key: "call" before "move".
        "dict": (choice[3], ActionComponent("continuous", 2)),
    }
    for name, components in expected.items():
        assert action_components(SPACES[name], "A test") == components


@pytest.mark.parametrize(
    ("space", "reason"),
    [
        (Box(0, 255, (4,), np.uint8), "Box of integers"),
        (Box(0.0, np.inf, (1,), np.float32), "bounds on some sides only"),
        (
            Box(np.array([0, -np.inf], np.float32), np.array([1, np.inf], np.float32)),
            "bounds on some sides only",
        ),
        (Box(0.0, 1.0, (0,), np.float32), "no dimensions"),
        (Text(3), "is a Text"),
        (Dict({"a": Discrete(2), "b": Text(3)}), r"Text.* in it, which is a Text"),
        (Tuple(()), "empty"),
    ],
)
def test_an_action_space_that_cannot_be_served_is_named_with_its_owner(space, reason):
    with pytest.raises(ValueError, match=f"Agent 'x' has the action space.*{reason}") as error:
        action_components(space, "Agent 'x'")
    assert str(space) in str(error.value)


@pytest.mark.parametrize("name", SPACES)
def test_the_environment_gets_what_rllib_would_give_it(name):
    space = SPACES[name]
    struct = getattr(space, "spaces", space)
    for value in samples(space):
        if name not in ("unsorted", "tuple"):
            assert_nests_equal(env_action(space, pack(value)), unsquash_action(value, struct))
        assert space.contains(env_action(space, pack(value)))


@pytest.mark.parametrize("name", SPACES)
def test_the_environment_gets_many_actions_as_it_gets_one(name):
    space = SPACES[name]
    packed = [pack(value) for value in samples(space)]
    found = env_actions(space, np.stack(packed))
    for together, alone in zip(found, packed, strict=True):
        assert_nests_equal(together, env_action(space, alone))


def test_continuous_parts_in_the_environments_units():
    actions = torch.tensor([[-1.0, -1.0], [1.0, 1.0], [0.0, 0.5]])
    expected = torch.tensor([[-1.0, 0.0], [3.0, 10.0], [1.0, 7.5]])
    torch.testing.assert_close(to_env_units(PLANE, actions), expected)
    nested = Dict({"a": PLANE, "b": Discrete(2), "c": SPACES["unbounded"]})
    flat = torch.cat([actions, torch.eye(2)[[0, 1, 0]], 9 * actions], dim=-1)
    torch.testing.assert_close(to_env_units(nested, flat), torch.cat([expected, 9 * actions], -1))


@pytest.mark.parametrize(
    ("space", "size"),
    [
        (Discrete(1), 1),
        (Discrete(5, start=2), 5),
        (PLANE, 2),
        (Box(0, 1, (2, 3)), 6),
        (MultiDiscrete([3, 2], start=[1, 0]), 5),
        (MultiBinary(4), 4),
        (Dict({"b": Discrete(2), "a": Box(0, 1, (2, 2))}), 6),
        (Tuple((Discrete(2), MultiBinary(3), Dict({"x": PLANE}))), 7),
    ],
)
def test_observations_become_the_flat_vectors_that_gymnasium_makes(space, size):
    assert observation_size(space, "A test") == size
    values = samples(space, 4)
    encoded = encode_observations(
        space, torch.from_numpy(np.stack([pack(value) for value in values]))
    )
    assert encoded.dtype == torch.float32
    assert encoded.shape == (4, size)
    plain = Dict(dict(sorted(space.spaces.items()))) if isinstance(space, Dict) else space
    expected = np.stack([gym.spaces.flatten(plain, value) for value in values])
    np.testing.assert_allclose(encoded, expected)


def test_nested_observations_are_encoded_as_packed_ones():
    space = Dict({"b": Discrete(3), "a": Tuple((PLANE, MultiBinary(2)))})
    values = samples(space, 4)
    packed = torch.from_numpy(np.stack([pack(value) for value in values]))
    nested = {
        "b": torch.tensor([v["b"] for v in values]),
        "a": tuple(torch.tensor(np.stack([v["a"][i] for v in values])) for i in (0, 1)),
    }
    torch.testing.assert_close(
        encode_observations(space, nested), encode_observations(space, packed)
    )


def test_images_are_scaled_to_0_and_1():
    space = Box(0, 255, (2, 2, 1), np.uint8)
    image = torch.tensor([0, 51, 102, 255], dtype=torch.uint8).reshape(1, 2, 2, 1)
    torch.testing.assert_close(
        encode_observations(space, image), torch.tensor([[0.0, 0.2, 0.4, 1.0]])
    )


def test_an_observation_space_that_cannot_be_served_is_named():
    with pytest.raises(ValueError, match=r"Policy 'p' has the observation space Dict.*Text"):
        observation_size(Dict({"a": Text(4)}), "Policy 'p'")


def test_layouts_tell_apart_what_differs():
    spaces = list(SPACES.values())
    assert len({layout(space) for space in spaces}) == len(spaces)
    assert [layout(copy.deepcopy(space)) for space in spaces] == list(map(layout, spaces))
    assert layout(Box(0, 1)) != layout(Box(0, 2))
    assert layout(Box(0, 1), bounds=False) == layout(Box(0, 2), bounds=False)
