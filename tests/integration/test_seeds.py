"""The seed decides what happens."""

from __future__ import annotations

from typing import Any

import pytest
from small import game_config

pytestmark = pytest.mark.usefixtures("ray_session")

LOSSES = ("q_loss", "policy_loss", "opponent_model_loss", "prior_loss")


def trace(game: str, seed: int, **env_runners: Any) -> list[float]:
    """Returns and losses of two iterations."""
    config = game_config(game).debugging(seed=seed).env_runners(**env_runners)
    algorithm = config.build_algo()
    try:
        results = [algorithm.train() for _ in range(2)]
    finally:
        algorithm.stop()
    numbers = []
    for result in results:
        numbers.append(result["env_runners"]["episode_return_mean"])
        for policy in ("player_0", "player_1"):
            numbers += [result["learners"][policy][loss] for loss in LOSSES]
    return numbers


@pytest.mark.parametrize("game", ["max_of_two_quadratics", "climbing_game"])
def test_the_same_seed_gives_the_same_trace(game):
    assert trace(game, seed=3) == trace(game, seed=3)


def test_the_same_seed_gives_the_same_trace_with_vectorised_environments():
    settings = {"num_envs_per_env_runner": 3, "rollout_fragment_length": 2}
    first, second = (trace("climbing_game", seed=3, **settings) for _ in range(2))
    assert first == second


def test_another_seed_gives_another_trace():
    first, second = (trace("max_of_two_quadratics", seed) for seed in (3, 4))
    assert all(a != b for a, b in zip(first, second, strict=True))


def test_the_policies_do_not_start_alike():
    numbers = trace("max_of_two_quadratics", seed=3)
    assert numbers[1:5] != numbers[5:9]
