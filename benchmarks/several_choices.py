"""Actions of several choices: counted, local expectations, or straight-through Gumbel-softmax?

The mean of k climbing games, played at once by two players: MultiDiscrete([3] * k). Prints, for
each way, how many seeds solve all k games greedily. The ways concern own and opponents' actions
alike.

    python benchmarks/several_choices.py
    python benchmarks/several_choices.py --games 4 --seeds 8
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import ray
import tyro
from gymnasium.spaces import Discrete, MultiDiscrete
from ray.rllib.env.multi_agent_env import MultiAgentEnv

from rommeo_rllib import ROMMEOACConfig
from rommeo_rllib.components import has_choices
from rommeo_rllib.joint_action import stochastic
from rommeo_rllib.joint_action.modules import critic
from rommeo_rllib.reporting.statistics import success_rate
from rommeo_rllib.rommeo_ac import learner, policy

PAYOFF = np.array([[11.0, -30.0, 0.0], [-30.0, 7.0, 6.0], [0.0, 0.0, 5.0]])
STEPS, PLAYS_PER_EPISODE = 1500, 25


class SeveralGames(MultiAgentEnv):
    """`env_config["games"]` climbing games at once; the reward is their mean."""

    def __init__(self, env_config: Mapping[str, Any]):
        super().__init__()
        self.agents = self.possible_agents = ["a", "b"]
        self.observation_spaces = dict.fromkeys(self.agents, Discrete(1))
        space = MultiDiscrete([3] * env_config["games"])
        self.action_spaces = dict.fromkeys(self.agents, space)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Begins an episode."""
        self.plays = 0
        return dict.fromkeys(self.agents, 0), {}

    def step(self, action_dict: Mapping[str, Any]) -> Any:
        """Plays all games once."""
        self.plays += 1
        reward = float(PAYOFF[action_dict["a"], action_dict["b"]].mean())
        observations, rewards = dict.fromkeys(self.agents, 0), dict.fromkeys(self.agents, reward)
        over = {"__all__": self.plays == PLAYS_PER_EPISODE}
        return observations, rewards, over, {"__all__": False}, {}


def learn_by(way: str) -> None:
    """What is built from now on learns in that way."""
    for module in (policy, critic):
        module.MAX_ENUMERATED_ACTIONS = 64 if way == "counted" else 1
    for module in (learner, stochastic):
        # As if actions were continuous, whose gradients flow through samples.
        module.has_choices = (lambda _: False) if way == "straight-through" else has_choices


def solved(games: int, way: str, seeds: int) -> tuple[int, float]:
    """How many seeds solve all games greedily, and the seconds that it took."""
    learn_by(way)
    rates = dict.fromkeys(["q_lr", "policy_lr", "opponent_model_lr", "opponent_prior_lr"], 0.01)
    config = (
        ROMMEOACConfig()
        .environment(SeveralGames, env_config={"games": games})
        .multi_agent(policies={"a", "b"}, policy_mapping_fn=lambda agent, *args, **kwargs: agent)
        .training(
            gamma=0.0,
            alpha={"initial": 20.0, "final": 0.1, "decay_steps": STEPS // 2},
            kl_coeff={"initial": 10.0, "final": 1.0, "decay_steps": STEPS // 2},
            tau=0.01,
            train_batch_size_per_learner=64,
            num_steps_sampled_before_learning_starts=PLAYS_PER_EPISODE,
            replicas=seeds,
            **rates,
        )
        .rl_module(model_config={"fcnet_hiddens": [64, 64]})
        .evaluation(
            evaluation_interval=1, evaluation_duration=1, evaluation_config={"explore": False}
        )
        .reporting(min_sample_timesteps_per_iteration=STEPS)
        .debugging(seed=0)
    )
    algorithm = config.build_algo()
    try:
        started = time.process_time()
        result = algorithm.train()
        seconds = time.process_time() - started
    finally:
        algorithm.stop()
    returns = result["evaluation"]["env_runners"]["replicas"]["episode_return_mean"]
    optimum = 2 * PLAYS_PER_EPISODE * PAYOFF.max()
    return int(np.count_nonzero(np.array(returns) > 0.99 * optimum)), seconds


def main(games: tuple[int, ...] = (2, 3, 4), seeds: int = 16) -> None:
    """Prints a line for each number of games and each way.

    Args:
        games: how many are played at once.
        seeds: replicas of each.
    """
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="error")
    for several in games:
        # Of four games there are too many joint actions, 81 a player.
        ways = ("counted",) if several < 4 else ()
        for way in (*ways, "local expectations", "straight-through"):
            number, seconds = solved(several, way, seeds)
            print(f"{several} games, {way}: {success_rate(number, seeds)}, {seconds:.0f} CPU s")
    ray.shutdown()


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
