"""Configurations for particle games of `mpe2`, which the extra "mpe" of this package installs.

First settings, not yet searched over: no result is claimed for them. Short runs only have shown
that they train.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from rommeo_rllib.envs.mpe import make_particle_game

if TYPE_CHECKING:
    from rommeo_rllib import PettingZooMultiAgentEnv, ROMMEOACConfig

STEPS_PER_EPISODE = 25
TRAINING_STEPS = 25_000


def make_config(module: str, agents: list[str], **training: Any) -> ROMMEOACConfig:
    """ROMMEO-AC on a game of `mpe2`, a policy for each agent.

    Args:
        module: the game's module, such as "simple_spread_v3".
        agents: the ids of its agents.
        **training: changes of the settings that the games share.
    """
    # Here, since the names of all configurations are listed without importing Ray.
    from ray.tune.registry import register_env

    from rommeo_rllib import ROMMEOACConfig

    name = f"mpe/{module}"
    register_env(name, partial(_make_env, module))
    return (
        ROMMEOACConfig()
        .environment(name, env_config={"max_cycles": STEPS_PER_EPISODE})
        .multi_agent(
            policies=set(agents), policy_mapping_fn=lambda agent_id, *args, **kwargs: agent_id
        )
        .training(
            **{
                "gamma": 0.95,
                "alpha": {"initial": 1.0, "final": 0.05, "decay_steps": TRAINING_STEPS // 2},
                "tau": 0.01,
                "q_lr": 1e-3,
                "policy_lr": 1e-3,
                "opponent_model_lr": 1e-3,
                "opponent_prior_lr": 1e-3,
                "updates_per_env_step": 0.2,
                "train_batch_size_per_learner": 256,
                "num_steps_sampled_before_learning_starts": 40 * STEPS_PER_EPISODE,
                **training,
            }
        )
        .rl_module(model_config={"fcnet_hiddens": [128, 128]})
        .reporting(min_sample_timesteps_per_iteration=40 * STEPS_PER_EPISODE)
        .debugging(seed=0)
    )


stop = {"num_env_steps_sampled_lifetime": TRAINING_STEPS}


def _make_env(module: str, env_config: Mapping[str, Any]) -> PettingZooMultiAgentEnv:
    from rommeo_rllib import PettingZooMultiAgentEnv

    return PettingZooMultiAgentEnv(make_particle_game(module, **dict(env_config)))
