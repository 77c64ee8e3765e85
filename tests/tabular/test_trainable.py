"""The tabular learners under Tune's `Trainable`, driven without a Ray runtime."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rommeo_rllib.envs import ClimbingGame
from rommeo_rllib.tabular import LEARNERS
from rommeo_rllib.tabular.trainable import (
    TRAINABLES,
    alpha_search_space,
    share_table,
)

SMALL: dict[str, Any] = {"trials": 20, "episodes": 60, "episodes_per_iteration": 25}


@pytest.mark.parametrize("name", LEARNERS)
def test_every_learner_is_a_trainable_that_reports_and_ends(name: str) -> None:
    trainable = TRAINABLES[name](config={**SMALL, "game": "climbing_game"})
    results = [trainable.train() for _ in range(3)]
    assert [result["episodes"] for result in results] == [25, 50, 60]
    assert [result["done"] for result in results] == [False, False, True]
    for result in results:
        assert 0 <= result["converged"] <= 1
        assert 0 <= result["p_optimum"] <= 1
        assert -30 <= result["reward"] <= 11


@pytest.mark.parametrize("game", ["climbing_game", "stochastic_climbing_game", "coordination_grid"])
def test_a_checkpoint_goes_on_exactly(game: str, tmp_path: Path) -> None:
    config = {**SMALL, "game": game, "trials": 5, "episodes_per_iteration": 10}
    first = TRAINABLES["ROMMEO-Q"](config=config)
    first.train()
    first.save(str(tmp_path))
    second = TRAINABLES["ROMMEO-Q"](config=config)
    second.restore(str(tmp_path))
    for key in ("reward", "episodes", "plays", "converged"):
        # The two see the same from here on.
        assert first.step()[key] == second.step()[key]


def test_a_game_of_ones_own_is_played() -> None:
    trainable = TRAINABLES["PR2-Q"](config={**SMALL, "game": ClimbingGame, "temperature": 2.0})
    assert trainable.train()["episodes"] == 25


def test_settings_of_game_and_learner_arrive() -> None:
    config = {
        **SMALL,
        "game": "penalty_game",
        "game_settings": {"k": 0.0},
        "initial_q": 12.0,
        "alpha": {"initial": 5.0, "final": 0.5, "decay_steps": 40},
        "plays_per_episode": 3,
    }
    trainable = TRAINABLES["ROMMEO-Q"](config=config)
    assert trainable.train()["plays"] == 75
    learner: Any = trainable._play.learners[0]  # type: ignore[attr-defined]
    assert learner.alpha == 0.5


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"alhpa": 1.0}, r"config of ROMMEO-Q.*'alhpa'.*'alpha'"),
        ({"trails": 5}, r"'trails'.*'trials'"),
        ({"trials": 0}, r"`trials` is 0"),
        ({"episodes_per_iteration": 2.5}, r"`episodes_per_iteration` is 2\.5"),
        ({"game": "climbing_gam"}, r"'climbing_gam'.*'climbing_game'"),
        ({"game": "penalty_game", "game_settings": {"kk": 1}}, r"'kk'.*'k'"),
        ({"game": "max_of_two_quadratics"}, r"Discrete.*Continuous"),
    ],
)
def test_bad_configurations_are_named(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TRAINABLES["ROMMEO-Q"](config=config)


def test_search_space_draws_schedules_that_are_allowed() -> None:
    space = alpha_search_space()["alpha"]
    for _ in range(20):
        alpha = {key: domain.sample() for key, domain in space.items()}
        TRAINABLES["ROMMEO-Q"](config={**SMALL, "alpha": alpha})


def test_sweeps_become_tables() -> None:
    rows = [
        {"config/alpha/initial": 1.0, "config/alpha/decay_steps": 10, "converged": 0.2},
        {"config/alpha/initial": 1.0, "config/alpha/decay_steps": 10, "converged": 0.4},
        {"config/alpha/initial": 50.0, "config/alpha/decay_steps": 40, "converged": 1.0},
    ]
    initial, decays, table = share_table(rows)
    assert (initial, decays) == ([1.0, 50.0], [10.0, 40.0])
    np.testing.assert_allclose(table, [[0.3, np.nan], [np.nan, 1.0]])


@pytest.mark.slow
def test_tune_runs_a_sweep_and_restores_its_best(ray_session: None, tmp_path: Path) -> None:
    from ray import tune

    tuner = tune.Tuner(
        TRAINABLES["ROMMEO-Q"],
        param_space={
            **SMALL,
            "initial_q": 12.0,
            "alpha": {
                "initial": tune.grid_search([1.0, 20.0]),
                "final": 0.5,
                "decay_steps": 20,
            },
        },
        run_config=tune.RunConfig(
            storage_path=str(tmp_path),
            name="sweep",
            verbose=0,
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=True),
        ),
    )
    results = tuner.fit()
    assert not results.errors
    initial, decays, table = share_table(results)
    assert (initial, decays, table.shape) == ([1.0, 20.0], [20.0], (1, 2))
    best = results.get_best_result("p_optimum", "max")
    restored = TRAINABLES["ROMMEO-Q"](config=best.config)
    restored.restore(best.checkpoint.path)
    assert restored._play.episodes == 60  # type: ignore[attr-defined]
