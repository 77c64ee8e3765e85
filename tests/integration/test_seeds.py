"""The seed decides what happens."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import numpy as np
import pytest
import ray
from ray.rllib.algorithms.algorithm import Algorithm
from representative import cases
from small import DECAY, game_config, own_policy

import rommeo_rllib
from rommeo_rllib import envs
from rommeo_rllib.registration import ALGORITHMS
from rommeo_rllib.tabular import LEARNERS
from rommeo_rllib.tabular.any_play import AnyPlay

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


first_trace = cache(trace)


@pytest.mark.parametrize("game", ["max_of_two_quadratics", "climbing_game"])
def test_the_same_seed_gives_the_same_trace(game):
    assert trace(game, 3) == first_trace(game, 3)


def test_the_same_seed_gives_the_same_trace_with_vectorised_environments():
    settings = {"num_envs_per_env_runner": 3, "rollout_fragment_length": 2}
    first, second = (trace("climbing_game", seed=3, **settings) for _ in range(2))
    assert first == second


def numbers_in(result: Any) -> list[float]:
    """All numbers of a nested result."""
    if isinstance(result, dict):
        return [number for key in sorted(result) for number in numbers_in(result[key])]
    return [float(result)] if isinstance(result, int | float) else []


def learned_by(algorithm: type[Algorithm]) -> list[float]:
    """What two iterations report of losses and returns, on actions that all algorithms serve."""
    config = algorithm.get_default_config()
    config.environment("max_of_two_quadratics", env_config={"plays_per_episode": 5})
    config.multi_agent(policies={"player_0", "player_1"}, policy_mapping_fn=own_policy)
    config.training(train_batch_size_per_learner=16, num_steps_sampled_before_learning_starts=10)
    config.rl_module(model_config={"fcnet_hiddens": [8]})
    config.reporting(min_sample_timesteps_per_iteration=20).debugging(seed=3)
    built = config.build_algo()
    try:
        results = [built.train() for _ in range(2)]
    finally:
        built.stop()
    returns = [result["env_runners"]["episode_return_mean"] for result in results]
    return returns + [number for result in results for number in numbers_in(result["learners"])]


@pytest.mark.parametrize("name", cases(ALGORITHMS, ["MADDPG", "ROMMEO-AC"]))
def test_every_algorithm_repeats_itself_with_the_same_seed(name):
    first, second = (learned_by(ALGORITHMS[name]) for _ in range(2))
    assert first == second
    assert len(set(first)) > 10, "the trace must say something"


@pytest.mark.parametrize("name", LEARNERS)
def test_every_tabular_learner_repeats_itself_with_the_same_seed(name):
    def trace() -> list[np.ndarray]:
        game = partial(envs.make, "climbing_game")
        play = AnyPlay(game, LEARNERS[name], trials=2, plays_per_episode=1, seed=3)
        return [np.asarray(part) for part in play.run(30)[:2]]

    for first, second in zip(trace(), trace(), strict=True):
        np.testing.assert_array_equal(first, second)


def test_every_result_says_what_it_was_made_with():
    algorithm = game_config().debugging(seed=11).build_algo()
    result = algorithm.train()
    algorithm.stop()
    assert result["config"]["seed"] == 11
    assert result["config"]["alpha"] == DECAY
    made_with = result["provenance"]
    assert made_with["ray"] == ray.__version__
    assert made_with["rommeo-rllib"] == rommeo_rllib.__version__
    assert {"python", "torch", "numpy"} <= made_with.keys()


def test_another_seed_gives_another_trace():
    first, second = (first_trace("max_of_two_quadratics", seed) for seed in (3, 4))
    assert all(a != b for a, b in zip(first, second, strict=True))


def test_the_policies_do_not_start_alike():
    numbers = first_trace("max_of_two_quadratics", 3)
    assert numbers[1:5] != numbers[5:9]
