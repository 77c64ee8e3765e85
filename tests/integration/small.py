"""Small configurations that the integration tests share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from environments import PaidPerStepEnv

from rommeo_rllib import ROMMEOACConfig

DECAY = {"initial": 10.0, "final": 0.1, "decay_steps": 100}


def own_policy(agent: str, *args: Any, **kwargs: Any) -> str:
    return agent


def shared_policy(*args: Any, **kwargs: Any) -> str:
    return "shared"


def game_config(game: str = "max_of_two_quadratics", **training: Any) -> ROMMEOACConfig:
    """A game with tiny networks: 40 env steps an iteration, updates from the 10th on."""
    return shrunken(ROMMEOACConfig(), game, **{"alpha": DECAY, **training})


def shrunken(config: Any, game: str = "max_of_two_quadratics", **training: Any) -> Any:
    """Any algorithm's configuration, as small."""
    return (
        config.environment(game, env_config={"plays_per_episode": 5})
        .multi_agent(policies={"player_0", "player_1"}, policy_mapping_fn=own_policy)
        .training(
            **{
                "train_batch_size_per_learner": 16,
                "num_steps_sampled_before_learning_starts": 10,
                "replay_capacity": 500,
                **training,
            }
        )
        .rl_module(model_config={"fcnet_hiddens": [8]})
        .reporting(min_sample_timesteps_per_iteration=40)
        .debugging(seed=0)
    )


def paid_per_step_config(length: int, ending: str) -> ROMMEOACConfig:
    """One state and reward 1 a step, learned fast; hardly any entropy or divergence."""
    return (
        ROMMEOACConfig()
        .environment(PaidPerStepEnv, env_config={"length": length, "ending": ending})
        .multi_agent(policies={"shared"}, policy_mapping_fn=shared_policy)
        .training(
            gamma=0.9,
            alpha=1e-3,
            kl_coeff=0.0,
            q_lr=[[0, 0.02], [100, 0.02], [250, 1e-4]],
            tau=0.5,
            train_batch_size_per_learner=32,
            updates_per_env_step=3.0,
            num_steps_sampled_before_learning_starts=10,
        )
        .rl_module(model_config={"fcnet_hiddens": [8]})
        .reporting(min_sample_timesteps_per_iteration=250)
        .debugging(seed=0)
    )


def policy_of(algorithm: Any, policy: str) -> Any:
    """The learner's module, with all of its networks."""
    return algorithm.learner_group._learner.module[policy]


def assert_finite(values: Mapping[str, Any], keys: list[str]) -> None:
    """All of `keys` are there, as finite numbers."""
    for key in keys:
        assert math.isfinite(values[key]), key


def assert_equal_tensors(one: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], rtol=0, atol=0, msg=name)
