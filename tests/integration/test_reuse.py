"""A process that has run one trial runs another as a new process would."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ray import tune
from representative import cases
from small import game_config

from rommeo_rllib import ROMMEOAC, ROMMEOACConfig

pytestmark = pytest.mark.usefixtures("ray_session")


def other_config(**env_runners: Any) -> ROMMEOACConfig:
    """A trial that differs in game, seed, networks and schedule, evaluation included."""
    return (
        game_config("climbing_game", alpha={"initial": 3.0, "final": 0.2, "decay_steps": 50})
        .env_runners(**env_runners)
        .rl_module(model_config={"fcnet_hiddens": [6]})
        .evaluation(evaluation_interval=1, evaluation_duration=1)
        .debugging(seed=7)
    )


def trace(algorithm: ROMMEOAC) -> list[dict[str, Any]]:
    """Two iterations' results, without what depends on the clock on the wall."""
    results = []
    for _ in range(2):
        result = algorithm.train()
        found = {name: result[name] for name in ("learners", "num_env_steps_sampled_lifetime")}
        found["returns"] = result["env_runners"]["episode_return_mean"]
        found["greedy"] = result["evaluation"]["env_runners"]["episode_return_mean"]
        results.append(found)
    return results


@pytest.mark.parametrize("settings", cases([{}, {"num_env_runners": 1}], [{}]))
def test_a_trial_in_a_used_process_computes_what_it_does_in_a_fresh_one(settings):
    alone = other_config(**settings).build_algo()
    expected = trace(alone)
    replay = alone.replay_buffer.get_state()["arrays"]
    alone.stop()
    used = game_config().build_algo()
    used.train()
    assert used.reset(other_config(**settings).to_dict())
    try:
        assert len(used.replay_buffer) == used.iteration == used._env_steps_sampled() == 0
        np.testing.assert_equal(trace(used), expected)
        np.testing.assert_equal(used.replay_buffer.get_state()["arrays"], replay)
        assert used.iteration == 2
    finally:
        used.stop()


def test_the_next_trial_need_not_be_evaluated_though_the_last_was():
    used = other_config().build_algo()
    assert "evaluation" in used.train()
    used.reset(game_config().to_dict())
    assert "evaluation" not in used.train()
    used.stop()


def test_a_used_process_refuses_what_a_fresh_one_would():
    used = game_config().build_algo()
    with pytest.raises(ValueError, match="`tau` is 2"):
        used.reset(game_config(tau=2).to_dict())
    used.stop()


@pytest.mark.slow
def test_tune_runs_its_trials_one_after_the_other_in_one_process(tmp_path):
    config = game_config().debugging(seed=tune.grid_search([0, 1, 2]))
    results = tune.Tuner(
        tune.with_resources(ROMMEOAC, {"CPU": 4}),
        param_space=config,
        tune_config=tune.TuneConfig(reuse_actors=True),
        run_config=tune.RunConfig(
            stop={"training_iteration": 2}, storage_path=str(tmp_path), verbose=0
        ),
    ).fit()
    assert not results.errors
    assert [result.metrics["training_iteration"] for result in results] == [2, 2, 2]
    assert len({result.metrics["pid"] for result in results}) == 1
    assert len({result.metrics["env_runners"]["episode_return_mean"] for result in results}) == 3
