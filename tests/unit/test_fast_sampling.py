"""Sampling of replicas in common gives what each gives by itself."""

from __future__ import annotations

import numpy as np
import pytest

from rommeo_rllib.envs.climbing_game import ClimbingGame
from rommeo_rllib.envs.max_of_two_quadratics import MaxOfTwoQuadratics
from rommeo_rllib.joint_action.modules.critic import Q_LAYER_NORM
from rommeo_rllib.joint_action.modules.policy import INIT_KEY, OPPONENTS
from rommeo_rllib.joint_action.modules.stacking import group_policies
from rommeo_rllib.joint_action.replay.transitions import JointSteps
from rommeo_rllib.joint_action.sampling.fast_path import FastSampler
from rommeo_rllib.joint_action.spaces.agents import Opponents
from rommeo_rllib.joint_action.spaces.replicas import replica_id
from rommeo_rllib.joint_action.stochastic import INITIAL_ALPHA
from rommeo_rllib.pettingzoo_env import PettingZooMultiAgentEnv
from rommeo_rllib.rng import seeded_generator
from rommeo_rllib.rommeo_ac.policy import ROMMEOPolicy

AGENTS = ["player_0", "player_1"]
REPLICAS, PLAYS = 3, 4


def make_sampler(game: type, replicas: list[int]) -> tuple[FastSampler, list]:
    """A sampler of these replicas, each with networks and random numbers of its own."""
    envs = [PettingZooMultiAgentEnv(game(plays_per_episode=PLAYS, memory=True)) for _ in replicas]
    space = envs[0].get_action_space(AGENTS[0])
    ids, policies, generators = {}, {}, {}
    for number, agent in enumerate(AGENTS):
        for index, replica in enumerate(replicas):
            name = replica_id(agent, index) if len(replicas) > 1 else agent
            ids[name] = (replica, number)
    for name, key in ids.items():
        policies[name] = ROMMEOPolicy(
            observation_space=envs[0].get_observation_space(AGENTS[0]),
            action_space=space,
            inference_only=True,
            model_config={
                OPPONENTS: Opponents((space,)),
                INIT_KEY: key,
                "fcnet_hiddens": [8],
                "fcnet_activation": "relu",
                Q_LAYER_NORM: True,
                INITIAL_ALPHA: 1.0,
            },
        )
        generators[name] = seeded_generator(*key)
    modelled = {AGENTS[0]: [AGENTS[1]], AGENTS[1]: [AGENTS[0]]}
    sampler = FastSampler(
        envs, len(replicas), lambda agent, *_, **__: agent, replicas[0], generators, modelled
    )
    sampler.reset()
    return sampler, group_policies(policies)


@pytest.mark.parametrize("game", [MaxOfTwoQuadratics, ClimbingGame])
@pytest.mark.parametrize("fragment", [1, 3])
def test_replicas_are_sampled_in_common_as_each_alone(game, fragment):
    sampler, groups = make_sampler(game, list(range(REPLICAS)))
    alone = [make_sampler(game, [replica]) for replica in range(REPLICAS)]
    for _ in range(2 * PLAYS):
        (steps,) = sampler.sample(groups, env_steps=fragment, explore=True)
        assert isinstance(steps, JointSteps)
        assert steps.replicas == REPLICAS
        for replica, (own_sampler, own_groups) in enumerate(alone):
            (own,) = own_sampler.sample(own_groups, env_steps=fragment, explore=True)
            found = steps.of(replica)
            assert (found.length, found.agents.keys()) == (own.length, own.agents.keys())
            for agent, transitions in own.agents.items():
                assert found.agents[agent].policy == transitions.policy
                columns = zip(found.agents[agent].columns(), transitions.columns(), strict=True)
                for together, by_itself in columns:
                    assert together.dtype == by_itself.dtype
                    np.testing.assert_allclose(together, by_itself, rtol=1e-5, atol=1e-6)
