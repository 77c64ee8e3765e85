"""Configurations for Max of Two Quadratics."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

# Ray is heavy, and to list the configurations does not need it.
if TYPE_CHECKING:
    from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

Config = TypeVar("Config", bound="AlgorithmConfig")

PLAYS_PER_EPISODE = 25

AUTHORS_NOISE = [[0, 0.285], [1000, 0.285], [1001, 0.057], [1667, 0.057], [1668, 0.0057]]
"""Standard deviation of exploration noise by env step.

The authors' program adds an Ornstein-Uhlenbeck process (theta 0.15, sigma 0.3: standard deviation
0.57) times 0.5, 0.1 and at last 0.01.
"""

AUTHORS_DDPG = {
    "exploration_noise": AUTHORS_NOISE,
    "saturation_penalty": 0.0,
    "grad_clip": 0.5,
    "grad_clip_by": "norm",
    "q_lr": 0.01,
    "policy_lr": 0.01,
}
"""What their DDPG, DDPG-OM and MADDPG, which are one program, have besides."""


def set_up(config: Config) -> Config:
    """What all algorithms have in common on this game: the players, a report each episode, seeds.

    Every play is a game of its own, so that nothing is discounted.
    """
    config.environment(
        "max_of_two_quadratics",
        env_config={"surface": "paper", "plays_per_episode": PLAYS_PER_EPISODE},
    )
    config.multi_agent(
        policies={"player_0", "player_1"},
        policy_mapping_fn=lambda agent_id, *args, **kwargs: agent_id,
    )
    config.training(
        gamma=0.0,
        train_batch_size_per_learner=64,
        updates_per_env_step=1.0,
        num_steps_sampled_before_learning_starts=PLAYS_PER_EPISODE,
        replay_capacity=10_000,
    )
    config.rl_module(model_config={"fcnet_hiddens": [64, 64]})
    config.evaluation(
        evaluation_interval=1,
        evaluation_duration=1,
        evaluation_config={"explore": False, "env_config": {"plays_per_episode": 1}},
    )
    config.reporting(
        min_sample_timesteps_per_iteration=PLAYS_PER_EPISODE,
        metrics_num_episodes_for_smoothing=3,
    )
    return config.debugging(seed=0)


def set_up_as_authors(config: Config) -> Config:
    """The settings that the authors' program of the paper has for all of ROMMEO-AC's rivals.

    The learning rates, which differ, are not among them.
    """
    from rommeo_rllib import ROMMEOACConfig

    set_up(config).environment(env_config={**config.env_config, "constant_observation": 0.0})
    config.rl_module(model_config=ROMMEOACConfig.PAPER_NETWORKS)
    return config.training(
        tau=0.01,
        train_batch_size_per_learner=512,
        num_steps_sampled_before_learning_starts=1001,
        q_layer_norm=False,
    )
