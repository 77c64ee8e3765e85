"""Who the agents and their opponents are, and who may share a policy."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete, Text

from rommeo_rllib.joint_action.spaces.agents import (
    Opponents,
    agent_action_spaces,
    check_agents_of_policy,
    opponents_by_agent,
    shared_opponents,
    sorted_agents,
)

PLANE = Box(np.array([-1.0, 0.0], np.float32), np.array([3.0, 10.0], np.float32))


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
    assert opponents_by_agent(["c", "b", "a"])["b"] == ["a", "c"]


def test_agents_model_those_whom_they_are_told_to_model():
    spaces = {"a": Discrete(2), "b": Discrete(3), "c": Discrete(4)}
    groups = {"a": ["c"], "c": ("b", "a")}
    assert opponents_by_agent(spaces, groups) == {"a": ["c"], "b": ["a", "c"], "c": ["a", "b"]}
    assert shared_opponents("p", ["a"], spaces, groups).action_spaces == (Discrete(4),)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({"a": ["bb"]}, r"agent 'bb'; allowed: \['a', 'b'\].* Did you mean 'b'"),
        ({"x": ["a"]}, r"agent 'x'; allowed"),
        ({"a": ["a", "b"]}, r"agent 'a' among its own"),
    ],
)
def test_groups_of_agents_that_there_are_not_are_refused(groups, message):
    with pytest.raises(ValueError, match=message):
        opponents_by_agent(["a", "b"], groups)


def test_an_agent_that_is_told_to_model_nobody_is_refused():
    with pytest.raises(ValueError, match="'a' has nobody to model"):
        shared_opponents("p", ["a"], dict.fromkeys("ab", Discrete(2)), {"a": []})


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


def env_spaces(observations, actions):
    return Dict(observations), Dict(actions)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Discrete(2), Discrete(3)),
        (Discrete(2), Discrete(2, start=1)),
        (MultiDiscrete([2, 3]), MultiDiscrete([3, 2])),
        (Box(-1, 1, (2,)), Box(-1, 1, (3,))),
        (Dict({"a": Discrete(2)}), Dict({"b": Discrete(2)})),
    ],
)
@pytest.mark.parametrize("kind", ["observation", "action"])
def test_agents_of_unequal_spaces_may_not_share_a_policy(kind, one, other):
    unequal, equal = {"x": one, "y": other}, {"x": Discrete(4), "y": Discrete(4)}
    spaces = env_spaces(unequal, equal) if kind == "observation" else env_spaces(equal, unequal)
    with pytest.raises(ValueError, match=f"the agents 'x' and 'y', whose {kind} spaces differ"):
        check_agents_of_policy("p", ["x", "y"], spaces)


def test_actions_of_other_bounds_may_share_a_policy():
    actions = {"x": Box(-1, 1, (2,)), "y": Box(0, 5, (2,))}
    spaces = env_spaces({"x": Discrete(4), "y": Discrete(4)}, actions)
    check_agents_of_policy("p", ["x", "y"], spaces)


def test_an_observation_space_that_cannot_be_served_is_named_with_its_agent():
    spaces = env_spaces({"x": Dict({"a": Discrete(2), "b": Text(3)})}, {"x": Discrete(2)})
    with pytest.raises(ValueError, match=r"Agent 'x' has the observation space Dict.*Text.* in it"):
        check_agents_of_policy("p", ["x"], spaces)


def test_a_lonely_agent_is_refused():
    with pytest.raises(ValueError, match=r"'a' has nobody to model.*at least one other agent"):
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
