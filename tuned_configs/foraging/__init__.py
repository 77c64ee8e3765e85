"""Configurations for level-based foraging, which the extra "foraging" of this package installs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rommeo_rllib.envs.foraging import STEPS_PER_EPISODE, Foraging

if TYPE_CHECKING:
    from rommeo_rllib import PettingZooMultiAgentEnv, ROMMEOACConfig

TRAINING_STEPS = 20_000


def make_config(agents: int = 2, **env_config: Any) -> ROMMEOACConfig:
    """ROMMEO-AC on a game of foraging, a policy for each agent."""
    # Here, since the names of all configurations are listed without importing Ray.
    from ray.tune.registry import register_env

    from rommeo_rllib import ROMMEOACConfig

    register_env("foraging", _make_env)
    names = {f"player_{number}" for number in range(agents)}
    falling = {"decay_steps": TRAINING_STEPS // 2}
    return (
        ROMMEOACConfig()
        .environment("foraging", env_config={"players": agents, **env_config})
        .multi_agent(policies=names, policy_mapping_fn=lambda agent_id, *args, **kwargs: agent_id)
        .training(
            gamma=0.95,
            alpha={"initial": 0.0112, "final": 0.002, **falling},
            kl_coeff={"initial": 0.0112, "final": 0.002, **falling},
            q_lr=1.3e-3,
            policy_lr=1.3e-3,
            opponent_model_lr=1.3e-3,
            opponent_prior_lr=1.3e-3,
            train_batch_size_per_learner=64,
            updates_per_env_step=0.5,
            num_steps_sampled_before_learning_starts=500,
        )
        .rl_module(model_config={"fcnet_hiddens": [64, 64]})
        .reporting(
            min_sample_timesteps_per_iteration=20 * STEPS_PER_EPISODE,
            metrics_num_episodes_for_smoothing=100,
        )
        .debugging(seed=0)
    )


def _make_env(env_config: Mapping[str, Any]) -> PettingZooMultiAgentEnv:
    from rommeo_rllib import PettingZooMultiAgentEnv

    return PettingZooMultiAgentEnv(Foraging(**dict(env_config)))
