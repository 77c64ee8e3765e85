"""Policies computed together compute what each computes alone."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch

from rommeo_rllib.joint_action.modules.critic import Q_LAYER_NORM
from rommeo_rllib.joint_action.modules.policy import INIT_KEY, OPPONENTS
from rommeo_rllib.joint_action.modules.stacking import PolicyGroup, group_policies, kept_as_is
from rommeo_rllib.joint_action.spaces.agents import Opponents
from rommeo_rllib.joint_action.stochastic import INITIAL_ALPHA
from rommeo_rllib.rng import PolicyRng, seeded_generator
from rommeo_rllib.rommeo_ac.policy import ROMMEOPolicy

BOX = gym.spaces.Box(-2.0, 3.0, (2,), np.float32)
OBSERVATIONS = gym.spaces.Box(-1.0, 1.0, (3,), np.float32)
ROWS = 5


def make_policy(number: int, width: int = 8, action_space: gym.Space = BOX) -> ROMMEOPolicy:
    return ROMMEOPolicy(
        observation_space=OBSERVATIONS,
        action_space=action_space,
        inference_only=False,
        model_config={
            OPPONENTS: Opponents((BOX, gym.spaces.Discrete(3))),
            INIT_KEY: (0, number),
            "fcnet_hiddens": [width, width],
            "fcnet_activation": "relu",
            Q_LAYER_NORM: True,
            INITIAL_ALPHA: 1.0 + number,
        },
    )


@pytest.fixture
def policies() -> dict[str, ROMMEOPolicy]:
    return {f"policy_{number}": make_policy(number) for number in range(3)}


@pytest.mark.parametrize("axes", [(ROWS,), (ROWS, 4)])
def test_stacked_networks_compute_what_each_computes_alone(policies, axes):
    group = PolicyGroup(policies)
    observations = torch.randn(3, *axes, 3)
    own, opponents = torch.randn(3, *axes, 2), torch.randn(3, *axes, 5)
    together = group.policy.critic(observations, own, opponents)
    log_prob = group.policy.policy(observations, opponents).log_prob(own)
    for index, policy in enumerate(policies.values()):
        alone = policy.critic(observations[index], own[index], opponents[index])
        torch.testing.assert_close(together[index], alone)
        alone = policy.policy(observations[index], opponents[index]).log_prob(own[index])
        torch.testing.assert_close(log_prob[index], alone)


def test_a_policys_parameters_are_views_of_the_common_ones(policies):
    group = PolicyGroup(policies)
    with torch.no_grad():
        for parameter in group.policy.parameters():
            parameter += 1.0
    changed = policies["policy_1"].policy_network[0].weight
    torch.testing.assert_close(changed, group.policy.policy_network[0].weight[1])
    state = {
        name: torch.zeros_like(value) for name, value in policies["policy_2"].state_dict().items()
    }
    policies["policy_2"].load_state_dict(state)
    assert not group.policy.critic.networks[0][0].weight[2].any()
    assert group.policy.critic.networks[0][0].weight[1].any()


def test_only_policies_of_equal_shape_and_key_are_grouped():
    policies = {
        "a": make_policy(0),
        "b": make_policy(1),
        "wider": make_policy(2, width=16),
        "discrete": make_policy(3, action_space=gym.spaces.Discrete(2)),
        "other key": make_policy(4),
    }
    keys = {name: name == "other key" for name in policies}
    groups = group_policies(policies, keys)
    assert sorted(group.ids for group in groups) == [
        ["a", "b"],
        ["discrete"],
        ["other key"],
        ["wider"],
    ]


def test_a_policy_with_layers_of_its_own_is_not_stacked():
    policies = {"a": make_policy(0), "b": make_policy(1)}
    for policy in policies.values():
        policy.policy_network = torch.nn.Linear(8, 4)
    assert [group.ids for group in group_policies(policies)] == [["a"], ["b"]]


def test_each_policy_draws_the_same_numbers_alone_and_stacked():
    def noise(stacked: bool, *numbers: int) -> PolicyRng:
        return PolicyRng([seeded_generator(7, n) for n in numbers], stacked=stacked)

    together, second_alone = noise(True, 0, 1), noise(False, 1)
    for draw in ("normal_like", "uniform_like", "normal_like"):
        stacked = getattr(together, draw)(torch.zeros(2, 40, 3))
        alone = getattr(second_alone, draw)(torch.zeros(40, 3))
        torch.testing.assert_close(stacked[1], alone, rtol=0.0, atol=0.0)
        assert not torch.equal(stacked[0], stacked[1])


def test_stacked_policies_act_as_each_does_alone(policies):
    group = PolicyGroup(policies)
    observations = torch.randn(3, ROWS, 3)
    rng = PolicyRng([seeded_generator(n) for n in range(3)], stacked=True)
    together = group.policy.act(observations, True, rng)
    for index, policy in enumerate(policies.values()):
        own_noise = PolicyRng([seeded_generator(index)], stacked=False)
        torch.testing.assert_close(
            together[index], policy.act(observations[index], True, own_noise)
        )


def test_first_weights_depend_on_the_key_alone():
    torch.manual_seed(1)
    one = make_policy(5)
    torch.rand(100)
    other = make_policy(5)
    for name, value in one.state_dict().items():
        torch.testing.assert_close(value, other.state_dict()[name], rtol=0.0, atol=0.0)
    assert not torch.equal(
        one.critic.networks[0][0].weight, make_policy(6).critic.networks[0][0].weight
    )


def test_rows_are_kept_as_they_are():
    tensor = torch.zeros(4, 2)
    with kept_as_is([tensor], [1, 3]):
        tensor += 1.0
    assert tensor[:, 0].tolist() == [1.0, 0.0, 1.0, 0.0]
