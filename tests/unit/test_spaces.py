"""Spaces as the networks see them; who the opponents are."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete

from rommeo_rllib.distributions import ActionComponent
from rommeo_rllib.joint_action.spaces import (
    Opponents,
    action_components,
    agent_action_spaces,
    decode_actions,
    encode_actions,
    encode_observations,
    observation_size,
    opponents_of,
    shared_opponents,
    sorted_agents,
    to_env_units,
)

PLANE = Box(np.array([-1.0, 0.0], np.float32), np.array([3.0, 10.0], np.float32))
SPACES = {
    "coin": Discrete(2),
    "single": Discrete(1),
    "from_5": Discrete(3, start=5),
    "from_minus_1": Discrete(3, start=-1),
    "line": Box(-1.0, 1.0, (1,), np.float32),
    "plane": Box(-1.0, 1.0, (2,), np.float32),
    "matrix": Box(-1.0, 1.0, (2, 3), np.float32),
    "number": Box(-1.0, 1.0, (), np.float32),
}


@pytest.mark.parametrize("name", SPACES)
def test_decoding_undoes_encoding(name):
    space = SPACES[name]
    space.seed(0)
    actions = np.stack([space.sample() for _ in range(20)])
    encoded = encode_actions(space, actions)
    (component,) = action_components(space, "A test")
    assert encoded.shape == (20, component.size)
    assert encoded.dtype == np.float32
    decoded = decode_actions(space, torch.from_numpy(encoded)).numpy()
    np.testing.assert_array_equal(decoded, actions)
    assert all(space.contains(action.astype(space.dtype)) for action in decoded)


def test_a_choice_is_encoded_by_its_place_not_its_number():
    encoded = encode_actions(Discrete(3, start=5), np.array([5, 7]))
    np.testing.assert_array_equal(encoded, [[1, 0, 0], [0, 0, 1]])


def test_components_of_actions():
    assert action_components(Discrete(4), "A test") == (ActionComponent("discrete", 4),)
    assert action_components(PLANE, "A test") == (ActionComponent("continuous", 2),)
    assert action_components(SPACES["matrix"], "A test") == (ActionComponent("continuous", 6),)


@pytest.mark.parametrize(
    "space",
    [
        MultiBinary(3),
        MultiDiscrete([2, 3]),
        Dict({"a": Discrete(2)}),
        Box(0, 255, (4,), np.uint8),
        Box(-np.inf, np.inf, (2,), np.float32),
        Box(0.0, np.inf, (1,), np.float32),
    ],
)
def test_an_action_space_that_cannot_be_served_is_named_with_its_agent(space):
    with pytest.raises(ValueError, match="Agent 'x' has the action space") as error:
        shared_opponents("p", ["y"], {"x": space, "y": Discrete(2)})
    assert str(space) in str(error.value)


def test_a_bounded_action_in_the_environments_units():
    actions = torch.tensor([[-1.0, -1.0], [1.0, 1.0], [0.0, 0.5]])
    expected = torch.tensor([[-1.0, 0.0], [3.0, 10.0], [1.0, 7.5]])
    torch.testing.assert_close(to_env_units(PLANE, actions), expected)


@pytest.mark.parametrize(
    ("space", "size"),
    [(Discrete(1), 1), (Discrete(5, start=2), 5), (PLANE, 2), (Box(0, 1, (2, 3)), 6)],
)
def test_observations_become_flat_vectors(space, size):
    space.seed(0)
    assert observation_size(space, "A test") == size
    samples = np.stack([space.sample() for _ in range(4)])
    encoded = encode_observations(space, torch.from_numpy(samples))
    assert encoded.shape == (4, size)
    assert encoded.dtype == torch.float32
    if isinstance(space, Discrete):
        assert (encoded.sum(-1) == 1).all()
        np.testing.assert_array_equal(encoded.argmax(-1) + space.start, samples)
    else:
        np.testing.assert_array_equal(encoded, samples.reshape(4, -1))


def test_an_observation_space_that_cannot_be_served_is_named():
    with pytest.raises(ValueError, match=r"Policy 'p' has the observation space Dict"):
        observation_size(Dict({"a": Discrete(2)}), "Policy 'p'")


@pytest.mark.parametrize(
    ("agents", "order"),
    [
        (["b", "a", "c"], ["a", "b", "c"]),
        ([2, 10, 1], [1, 2, 10]),
        (["x", 1, "a", 0], [0, 1, "a", "x"]),
        ({"player_1", "player_0", "player_2"}, ["player_0", "player_1", "player_2"]),
    ],
)
def test_agents_are_sorted(agents, order):
    assert sorted_agents(agents) == order


def test_opponents_are_all_others_in_order():
    assert opponents_of("b", ["c", "b", "a"]) == ["a", "c"]


def test_opponents_are_numbered_by_their_sorted_ids():
    spaces = {"c": Discrete(4), "a": Discrete(2), "b": PLANE}
    assert shared_opponents("p", ["b"], spaces).action_spaces == (Discrete(2), Discrete(4))
    assert shared_opponents("p", ["a"], spaces).action_spaces == (PLANE, Discrete(4))


def test_agents_with_equal_opponents_may_share_a_policy():
    spaces = dict.fromkeys(["a", "b", "c"], Discrete(3))
    assert shared_opponents("p", ["a", "b", "c"], spaces).action_spaces == (Discrete(3),) * 2


def test_agents_with_unequal_opponents_may_not_share_a_policy():
    spaces = {"first": Discrete(3), "second": Discrete(3), "third": Discrete(2)}
    shared_opponents("p", ["first", "second"], spaces)
    with pytest.raises(ValueError, match=r"'p' is shared by the agents 'first' and 'third'"):
        shared_opponents("p", ["first", "second", "third"], spaces)


def test_a_lonely_agent_is_refused():
    with pytest.raises(ValueError, match=r"'a' only.*at least one other agent"):
        shared_opponents("p", ["a"], {"a": Discrete(2)})


def test_an_environment_must_say_which_agent_has_which_space():
    spaces = Dict({"b": Discrete(2), "a": PLANE})
    assert list(agent_action_spaces(spaces)) == ["a", "b"]
    assert agent_action_spaces((gym.spaces.Dict({}), spaces)) == {"a": PLANE, "b": Discrete(2)}
    with pytest.raises(ValueError, match="`action_spaces`"):
        agent_action_spaces(Discrete(2))


def test_masks_cover_each_opponents_whole_action():
    opponents = Opponents((Discrete(2), PLANE, Discrete(3)))
    mask = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    torch.testing.assert_close(
        opponents.action_mask(mask),
        torch.tensor([[1.0, 1, 0, 0, 1, 1, 1], [0, 0, 1, 1, 0, 0, 0]]),
    )
    torch.testing.assert_close(opponents.component_mask(mask), mask)


def test_opponents_continuous_actions_in_the_environments_units():
    opponents = Opponents((Discrete(2), PLANE, Discrete(3), Box(0.0, 4.0, (1,))))
    actions = torch.tensor([[1.0, 0, -1.0, 1.0, 0, 0, 1, 0.0]])
    torch.testing.assert_close(opponents.to_env_units(actions), torch.tensor([[-1.0, 10.0, 2.0]]))
    assert Opponents((Discrete(2),)).to_env_units(torch.eye(2)).shape == (2, 0)
