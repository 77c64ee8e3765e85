"""Whether each continuous algorithm solves a game of two agents with one quadratic optimum.

    python benchmarks/one_quadratic.py
    python benchmarks/one_quadratic.py --algorithms DDPG --env-steps 6000

Both agents are paid 10 - (a1 - 3)^2 - (a2 + 4)^2 + (a1 - 3) (a2 + 4) / 2, actions in [-10, 10]. A
seed has solved it if its greedy joint action pays at least 9.9, within 1 % of the best. Prints a
row for each algorithm, as docs/results.md has them.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import ray
from gymnasium.spaces import Box

from rommeo_rllib.envs import RepeatedGame
from rommeo_rllib.experiments.ray_session import import_ray_quietly
from rommeo_rllib.reporting.statistics import success_rate

import_ray_quietly()

from ray.tune.registry import register_env  # noqa: E402 (Ray is to be quiet)

from rommeo_rllib.pettingzoo_env import PettingZooMultiAgentEnv  # noqa: E402
from rommeo_rllib.registration import ALGORITHMS  # noqa: E402
from rommeo_rllib.tuned_configs.max_of_two_quadratics import set_up  # noqa: E402

OPTIMUM = 10.0
BEST = np.array([3.0, -4.0])


def settings(steps: int) -> dict[str, Any]:
    """The same for all; what an algorithm does not have is left out."""
    half = steps // 2

    def falling(initial: float, final: float) -> list[list[float]]:
        """Falls in the second half, when little else is annealed any more."""
        return [[0, initial], [half, initial], [steps, final]]

    return {
        "q_lr": falling(0.01, 3e-4),
        "policy_lr": falling(0.003, 3e-4),
        "opponent_model_lr": 0.005,
        "opponent_prior_lr": 0.005,
        "alpha": {"initial": 10.0, "final": 0.01, "decay_steps": half},
        "exploration_noise": {"initial": 0.3, "final": 0.03, "decay_steps": round(0.6 * steps)},
        # Independent learners are led astray by what the other one did long ago.
        "replay_capacity": 300,
    }


def payoff(actions: np.ndarray, /) -> np.ndarray:
    """The game, (..., 2) -> (..., 2)."""
    misses = actions - BEST
    value = OPTIMUM - np.square(misses).sum(-1) + 0.5 * misses.prod(-1)
    return np.stack([value, value], axis=-1)


def make_game(env_config: Any) -> PettingZooMultiAgentEnv:
    """The game as RLlib's environment."""
    spaces = [Box(-10.0, 10.0, (1,), np.float32) for _ in range(2)]
    return PettingZooMultiAgentEnv(RepeatedGame(payoff, spaces, plays_per_episode=25))


def greedy_returns(name: str, seeds: int, steps: int) -> np.ndarray:
    """What each seed's greedy joint action pays after training."""
    config = set_up(ALGORITHMS[name].get_default_config()).environment("one_quadratic")
    own = {key: value for key, value in settings(steps).items() if hasattr(config, key)}
    config.training(**own, replicas=seeds)
    config.evaluation(evaluation_interval=None)
    config.min_sample_timesteps_per_iteration = steps
    algorithm = config.build_algo()
    try:
        metrics = algorithm.train()["learners"]["replicas"]
    finally:
        algorithm.stop()
    greedy = [metrics[player]["policy_mean_0"] for player in ("player_0", "player_1")]
    return payoff(np.array(greedy).T)[:, 0]


def main() -> None:
    """Prints a row of the table for each algorithm."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--algorithms", nargs="*", choices=list(ALGORITHMS), default=list(ALGORITHMS)
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--env-steps", type=int, default=2_000)
    arguments = parser.parse_args()
    ray.init("local", num_cpus=1, include_dashboard=False, log_to_driver=False)
    register_env("one_quadratic", make_game)
    for name in arguments.algorithms:
        returns = greedy_returns(name, arguments.seeds, arguments.env_steps)
        solved = int((returns >= 0.99 * OPTIMUM).sum())
        share = success_rate(solved, arguments.seeds)
        print(
            f"| {name} | {solved} of {arguments.seeds} [{share.low:.2f}, {share.high:.2f}] | "
            f"{returns.min():.3f} | {np.median(returns):.3f} |",
            flush=True,
        )
    ray.shutdown()


if __name__ == "__main__":
    main()
