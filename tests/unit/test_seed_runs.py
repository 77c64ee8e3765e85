"""Tune's results, taken apart into seeds."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rommeo_rllib.experiments.seed_runs import SeedRun, seed_runs

NAN = float("nan")
PLAYS = 25
STEPS = "num_env_steps_sampled_lifetime"
AGENTS = {f"env_runners/agent_episode_returns_mean/player_{i}": [0.0, 0.0] for i in range(2)}


def result(
    columns: dict[str, list[Any]],
    seed: int,
    *,
    replicas: int | None = None,
    checkpoint: str | None = None,
    error: Exception | None = None,
) -> Any:
    """What `seed_runs` reads of Tune's `Result`."""
    config = {"seed": seed} | ({} if replicas is None else {"replicas": replicas})
    return SimpleNamespace(
        error=error,
        config=config,
        checkpoint=None if checkpoint is None else SimpleNamespace(path=checkpoint),
        metrics_dataframe=pd.DataFrame({STEPS: [25, 50], **AGENTS, **columns}),
    )


def alone(seed: int, **kwargs: Any) -> Any:
    """A trial of one seed; its return of both agents per play is 2 * seed, then 2 * seed + 2."""
    per_play = np.array([2.0 * seed, 2.0 * seed + 2.0])
    columns = {
        "env_runners/episode_return_mean": list(per_play * PLAYS),
        "env_runners/episode_len_mean": [PLAYS, PLAYS],
        "evaluation/env_runners/episode_return_mean": [NAN, 20.0],
        "evaluation/env_runners/episode_len_mean": [NAN, 1.0],
        "learners/player_0/q_loss": [NAN, 0.5 + seed],
        "learners/player_1/policy_mean_0": [NAN, -1.0],
        "learners/__all_modules__/deep/er": [1.0, 2.0],
        "timers/iteration": [1.0, 1.0],
    }
    return result(columns, seed, **kwargs)


def together(seed: int, **kwargs: Any) -> Any:
    """A trial of three replicas."""
    columns = {
        "env_runners/episode_return_mean": [999.0, 999.0],
        "env_runners/episode_len_mean": [PLAYS, PLAYS],
        "env_runners/replicas/episode_return_mean": [[50.0, 100.0, 150.0], [100.0, 150.0, 500.0]],
        "env_runners/replicas/episode_len_mean": [[25, 25, 25], [25, 25, 50]],
        "evaluation/env_runners/replicas/episode_return_mean": [NAN, [2.0, 4.0, 6.0]],
        "evaluation/env_runners/replicas/episode_len_mean": [NAN, [1.0, 1.0, 1.0]],
        "learners/replicas/player_0/q_loss": [NAN, [0.1, 0.2, 0.3]],
    }
    return result(columns, seed, replicas=3, **kwargs)


def run(**changes: Any) -> SeedRun:
    values: dict[str, Any] = {
        "seed": 3,
        "checkpoint": None,
        "replica": None,
        "env_steps": np.array([25, 50]),
        "returns": np.array([1.0, 2.0]),
        "greedy_returns": np.array([NAN, NAN]),
        "metrics": {},
    }
    return SeedRun(**(values | changes))


def write_transitions(folder: Path, **arrays: np.ndarray) -> None:
    folder.mkdir(parents=True)
    np.savez(folder / "transitions.npz", **{k.replace("__", "/"): v for k, v in arrays.items()})


@pytest.mark.parametrize("replicas", [None, 1])
def test_a_trial_of_its_own_is_one_seed(replicas):
    (found,) = seed_runs([alone(4, replicas=replicas, checkpoint="/checkpoint")])
    assert (found.seed, found.replica, found.checkpoint) == (4, None, "/checkpoint")
    np.testing.assert_array_equal(found.env_steps, [25, 50])


def test_returns_are_an_agents_per_play():
    (found,) = seed_runs([alone(4)])
    np.testing.assert_allclose(found.returns, [4.0, 5.0])


def test_greedy_returns_are_nan_where_nothing_was_evaluated():
    (found,) = seed_runs([alone(4)])
    np.testing.assert_array_equal(found.greedy_returns, [NAN, 10.0])


def test_steps_that_were_done_again_count_once():
    trial = alone(4)
    frame = pd.concat([trial.metrics_dataframe] * 3, ignore_index=True)
    # Three reports, lost back to env step 25; another one, lost altogether; and then all.
    frame[STEPS] = [25, 50, 50, 25, 25, 75]
    trial.metrics_dataframe = frame.assign(order=range(6))
    (found,) = seed_runs([trial])
    np.testing.assert_array_equal(found.env_steps, [25, 75])
    np.testing.assert_allclose(found.returns, [4.0, 5.0])


def test_a_run_without_evaluation_has_no_greedy_returns():
    trial = alone(4)
    evaluated = [c for c in trial.metrics_dataframe if c.startswith("evaluation/")]
    trial.metrics_dataframe = trial.metrics_dataframe.drop(columns=evaluated)
    (found,) = seed_runs([trial])
    assert np.isnan(found.greedy_returns).all()
    np.testing.assert_allclose(found.returns, [4.0, 5.0])
    assert found.row()["greedy_return_per_play"] is None


def test_metrics_go_by_policy_and_name():
    (found,) = seed_runs([alone(4)])
    assert found.metrics.keys() == {"player_0/q_loss", "player_1/policy_mean_0"}
    np.testing.assert_array_equal(found.metrics["player_0/q_loss"], [NAN, 4.5])
    assert found.metrics_named("policy_mean_").keys() == {"player_1/policy_mean_0"}
    assert found.metrics_named("player_0") == {}


def test_each_replica_is_a_seed_with_its_own_results():
    found = seed_runs([together(7, checkpoint="/checkpoint")])
    assert [one.seed for one in found] == [7, 8, 9]
    assert [one.replica for one in found] == [0, 1, 2]
    assert {one.checkpoint for one in found} == {"/checkpoint"}
    np.testing.assert_allclose([one.returns for one in found], [[1, 2], [2, 3], [3, 5]])
    greedy = [one.greedy_returns for one in found]
    np.testing.assert_array_equal(greedy, [[NAN, 1.0], [NAN, 2.0], [NAN, 3.0]])
    losses = [one.metrics["player_0/q_loss"] for one in found]
    np.testing.assert_array_equal(losses, [[NAN, 0.1], [NAN, 0.2], [NAN, 0.3]])


def test_seeds_come_in_order_whatever_the_order_of_trials():
    assert [one.seed for one in seed_runs([together(7), alone(12), alone(2)])] == [2, 7, 8, 9, 12]


def test_trials_that_failed_are_left_out():
    found = seed_runs([alone(1, error=RuntimeError("lost")), alone(2)])
    assert [one.seed for one in found] == [2]


def test_a_row_has_the_last_values_that_there_are():
    row = run(greedy_returns=np.array([7.0, NAN]), checkpoint="/checkpoint", replica=2).row()
    assert row == {
        "seed": 3,
        "env_steps": 50,
        "return_per_play": 2.0,
        "greedy_return_per_play": 7.0,
        "checkpoint": "/checkpoint",
        "replica": 2,
    }


@pytest.mark.parametrize(("replica", "folder"), [(None, "replay_buffer"), (1, "replay_buffer@1")])
def test_stored_actions_are_the_joint_plays_in_the_buffer(tmp_path, replica, folder):
    write_transitions(
        tmp_path / folder,
        **{"0__actions": np.array([[0.1], [0.2], [0.3]]), "0__acted_by": np.zeros(3, np.int16)},
        **{"1__actions": np.array([[-0.1], [-0.2], [-0.3]]), "1__acted_by": np.ones(3, np.int16)},
        **{"0__rewards": np.full(3, 9.0)},
    )
    actions = run(checkpoint=str(tmp_path), replica=replica).stored_actions()
    np.testing.assert_array_equal(actions, [[0.1, -0.1], [0.2, -0.2], [0.3, -0.3]])


def test_stored_actions_may_be_discrete(tmp_path):
    write_transitions(
        tmp_path / "replay_buffer",
        **{"0__actions": np.array([2, 0]), "0__acted_by": np.zeros(2, np.int16)},
        **{"1__actions": np.array([1, 1]), "1__acted_by": np.zeros(2, np.int16)},
    )
    actions = run(checkpoint=str(tmp_path)).stored_actions()
    np.testing.assert_array_equal(actions, [[2, 1], [0, 1]])


def test_there_are_no_joint_plays_where_an_agent_was_absent(tmp_path):
    write_transitions(
        tmp_path / "replay_buffer",
        **{"0__actions": np.zeros((2, 1)), "0__acted_by": np.array([0, 0], np.int16)},
        **{"1__actions": np.zeros((2, 1)), "1__acted_by": np.array([0, -1], np.int16)},
    )
    assert run(checkpoint=str(tmp_path)).stored_actions() is None


def test_there_are_no_joint_plays_without_a_buffer_at_hand(tmp_path):
    assert run(checkpoint=None).stored_actions() is None
    assert run(checkpoint="s3://bucket/checkpoint").stored_actions() is None
    assert run(checkpoint=str(tmp_path)).stored_actions() is None
    write_transitions(tmp_path / "replay_buffer")
    assert run(checkpoint=str(tmp_path)).stored_actions() is None
