"""The games for tabular learners: payoffs by hand, and the rules of the grid."""

import warnings
from typing import Any

import gymnasium
import numpy as np
import pytest
from pettingzoo.test import parallel_api_test, parallel_seed_test

from rommeo_rllib.envs import (
    CoordinationGrid,
    PenaltyGame,
    StochasticClimbingGame,
    ThreePlayerClimbingGame,
    make,
)
from rommeo_rllib.envs.climbing_game import CLIMBING_PAYOFFS

A, B, C = range(3)
UP, DOWN, LEFT, RIGHT = range(4)
NEW_GAMES = (
    "penalty_game",
    "stochastic_climbing_game",
    "three_player_climbing_game",
    "coordination_grid",
)


@pytest.mark.parametrize("memory", [False, True])
@pytest.mark.parametrize("name", NEW_GAMES)
def test_games_pass_pettingzoos_own_tests(name: str, memory: bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        parallel_api_test(make(name, memory=memory), num_cycles=60)
        parallel_seed_test(lambda: make(name, memory=memory), num_cycles=60)


@pytest.mark.parametrize("k", [0.0, -30.0, -100])
def test_penalty_game_pays_its_penalty_off_the_diagonal(k: float) -> None:
    payoff = PenaltyGame(k).payoff
    joint = np.array([[A, A], [C, C], [B, B], [A, C], [C, A], [A, B], [B, C]])
    np.testing.assert_array_equal(payoff(joint)[:, 0], [10, 10, 2, k, k, 0, 0])  # type: ignore[call-arg]


@pytest.mark.parametrize("k", [1.0, float("nan"), float("-inf"), "0", True])
def test_penalty_game_refuses_a_bonus(k: Any) -> None:
    with pytest.raises(ValueError, match="k must be a finite number of at most 0"):
        PenaltyGame(k)


@pytest.mark.parametrize("variant", ["partial", "full"])
def test_stochastic_climbing_game_pays_the_climbing_game_on_average(variant: str) -> None:
    payoff: Any = StochasticClimbingGame(variant).payoff
    joint = np.moveaxis(np.indices((3, 3)), 0, -1)
    np.testing.assert_allclose(payoff.mean(joint)[..., 0], CLIMBING_PAYOFFS)
    rng = np.random.default_rng(0)
    draws = np.stack([payoff(joint, rng) for _ in range(4000)])
    np.testing.assert_array_equal(draws[..., 0], draws[..., 1])
    np.testing.assert_allclose(draws.mean(0)[..., 0], CLIMBING_PAYOFFS, atol=2.5)
    assert set(np.unique(draws[:, B, B])) == {0.0, 14.0}
    expected = {10.0, 12.0} if variant == "full" else {11.0}
    assert set(np.unique(draws[:, A, A])) == expected


def test_misspelt_variant_names_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"variant 'fulll'.*'full'"):
        StochasticClimbingGame("fulll")


def test_three_player_climbing_game_is_as_good_as_its_worst_pair() -> None:
    payoff: Any = ThreePlayerClimbingGame().payoff
    cases = {
        (A, A, A): 11,
        (B, B, B): 7,
        (C, C, C): 5,
        (B, B, C): 6,
        (B, C, C): 5,
        (C, B, B): 0,
        (A, A, C): 0,
        (A, A, B): -30,
        (C, A, B): -30,
    }
    for joint, expected in cases.items():
        np.testing.assert_array_equal(payoff(np.array(joint)), [expected] * 3)


def walk(game: CoordinationGrid, *steps: tuple[int, int]) -> tuple[list[float], bool, bool]:
    """Rewards of the steps from a reset on, and whether the last terminated or truncated."""
    game.reset(seed=0)
    rewards = []
    terminated = truncated = False
    for first, second in steps:
        _, reward, ends, lates, _ = game.step({"player_0": first, "player_1": second})
        assert reward["player_0"] == reward["player_1"]
        rewards.append(reward["player_0"])
        terminated, truncated = ends["player_0"], lates["player_1"]
    return rewards, terminated, truncated


def test_grid_pays_the_treasure_to_those_who_enter_together() -> None:
    assert walk(CoordinationGrid(), (UP, UP), (RIGHT, LEFT)) == ([0.0, 10.0], True, False)


def test_grid_throws_back_whoever_is_alone() -> None:
    game = CoordinationGrid(penalty=-3.0)
    rewards, terminated, _ = walk(game, (UP, UP), (RIGHT, UP), (RIGHT, LEFT))
    assert rewards == [0.0, -3.0, 10.0]
    assert terminated


def test_grid_shelters_both_as_soon_as_one_is_there() -> None:
    assert walk(CoordinationGrid(), (RIGHT, UP)) == ([2.0], True, False)
    rewards, terminated, _ = walk(CoordinationGrid(), (UP, UP), (RIGHT, DOWN), (UP, LEFT))
    assert rewards == [0.0, -5.0, 2.0]
    assert terminated


def test_grid_truncates_those_who_dither() -> None:
    game = CoordinationGrid(max_steps=3)
    assert walk(game, (UP, UP), (UP, LEFT), (LEFT, RIGHT))[0] == [0.0, -5.0, 0.0]
    assert walk(game, (UP, DOWN), (UP, DOWN), (LEFT, DOWN)) == ([0.0] * 3, False, True)
    with pytest.raises(gymnasium.error.ResetNeeded):
        game.step({"player_0": UP, "player_1": UP})


def test_grid_observations_tell_states_apart() -> None:
    game = CoordinationGrid()
    start = game.reset()[0]["player_0"]
    assert start == 3 * 6 + 5
    moved = game.step({"player_0": UP, "player_1": DOWN})[0]
    assert moved == {"player_0": 0 * 6 + 5, "player_1": 5}
    remembers = CoordinationGrid(memory=True)
    assert remembers.reset()[0]["player_0"] == start * 17
    seen = remembers.step({"player_0": UP, "player_1": RIGHT})[0]["player_0"]
    assert seen == 5 * 17 + 1 + UP * 4 + RIGHT
    assert remembers.observation_space("player_0").contains(seen)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"penalty": 1.0}, "`penalty` is"),
        ({"max_steps": 0}, "`max_steps` is"),
        ({"render_mode": "ansii"}, "render_mode 'ansii'.*mean 'ansi'"),
    ],
)
def test_grid_refuses_bad_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CoordinationGrid(**settings)


@pytest.mark.parametrize(
    "actions", [{"player_0": 0}, {"player_0": 0, "player_1": 4}, {"player_0": 0, "player_2": 1}]
)
def test_grid_refuses_bad_actions(actions: dict[str, int]) -> None:
    game = CoordinationGrid()
    game.reset()
    with pytest.raises(ValueError, match=r"actions? (must hold|of player_1)"):
        game.step(actions)


def test_grid_draws_itself() -> None:
    game = CoordinationGrid(render_mode="ansi")
    walk(game, (UP, UP), (RIGHT, UP))
    lines = str(game.render()).splitlines()
    assert lines[1] == "step 2 of 20, alone at the treasure"
    assert lines[3:] == [".0  T   .1", ".   S   ."]
    picture = CoordinationGrid(render_mode="rgb_array")
    picture.reset()
    image = picture.render()
    assert isinstance(image, np.ndarray)
    assert image.dtype == np.uint8
    assert image.shape[-1] == 3
    with pytest.warns(UserWarning, match="render_mode=None"):
        assert CoordinationGrid().render() is None
