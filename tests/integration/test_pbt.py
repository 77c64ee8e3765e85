"""Population-based training: mutated values act at once, all that is learned is the donor's."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
from ray import tune
from ray.tune.schedulers import PopulationBasedTraining
from representative import cases
from small import assert_equal_tensors, game_config, policy_of

from rommeo_rllib import ROMMEOAC
from rommeo_rllib.temperatures import make_alpha

pytestmark = pytest.mark.usefixtures("ray_session")

RETURN = "env_runners/episode_return_mean"
STEPS = "num_env_steps_sampled_lifetime"
POLICIES = ("player_0", "player_1")
LONG = {"initial": 8.0, "final": 0.5, "decay_steps": 1000}


def moments(algorithm: ROMMEOAC) -> dict[str, np.ndarray]:
    """The optimizers' moments, by name."""
    state = algorithm.learner_group._learner.get_state(components="optimizer")["optimizer"]
    return {
        f"{name}/{parameter}/{key}": np.asarray(value)
        for name, optimizer in state.items()
        for parameter, values in optimizer["state"]["state"].items()
        for key, value in values.items()
    }


def replay(algorithm: ROMMEOAC) -> dict[str, np.ndarray]:
    return algorithm.replay_buffer.get_state()["arrays"]


@pytest.mark.parametrize("own_age", cases([1, 4], [1]))
def test_an_exploiting_trial_has_the_donors_learning_and_the_mutations_values(tmp_path, own_age):
    donor = game_config(alpha=LONG, q_lr=0.01).debugging(seed=1).build_algo()
    for _ in range(2):
        donor.train()
    checkpoint = donor.save_to_path(tmp_path / "donor")
    trial = game_config(alpha=1.0).debugging(seed=2).build_algo()
    for _ in range(own_age):
        trial.train()
    mutated = copy.deepcopy(donor.config.to_dict())
    mutated["alpha"] = {**LONG, "initial": 3.0, "decay_steps": 200}
    mutated |= {"q_lr": 0.05, "kl_coeff": 4.0}
    # What Tune does with a process that it uses again.
    assert trial.reset(mutated)
    trial.restore(str(checkpoint))
    try:
        for policy in POLICIES:
            own, others = policy_of(trial, policy), policy_of(donor, policy)
            assert_equal_tensors(own.state_dict(), others.state_dict())
            acting = trial.get_module(policy).policy_network.state_dict()
            assert_equal_tensors(dict(acting), dict(others.policy_network.state_dict()))
        np.testing.assert_equal(replay(trial), replay(donor))
        np.testing.assert_equal(moments(trial), moments(donor))
        result = trial.train()
        assert result[STEPS] == 120
        for policy in POLICIES:
            learned = result["learners"][policy]
            assert learned["alpha"] == pytest.approx(make_alpha(mutated["alpha"]).value(120))
            assert learned["kl_coeff"] == 4.0
        rates = {
            network["name"]: network["lr"]
            for optimizer in trial.learner_group._learner._named_optimizers.values()
            for network in optimizer.param_groups
        }
        assert rates["q"] == 0.05
        assert rates["policy"] == donor.config.policy_lr
    finally:
        donor.stop()
        trial.stop()


def test_no_return_is_nan_after_a_restore_though_no_episode_has_ended_since(tmp_path):
    config = game_config().environment(env_config={"plays_per_episode": 100})
    algorithm = config.build_algo()
    before = [algorithm.train() for _ in range(3)]
    checkpoint = algorithm.save_to_path(tmp_path / "checkpoint")
    algorithm.stop()
    # Nothing to report yet is no number, either.
    assert "episode_return_mean" not in before[0]["env_runners"]
    expected = before[-1]["env_runners"]["episode_return_mean"]
    restored = config.copy(copy_frozen=False).build_algo()
    restored.restore_from_path(checkpoint)
    found = restored.train()["env_runners"]
    restored.stop()
    assert found["episode_return_mean"] == expected
    assert found["agent_episode_returns_mean"].keys() == set(POLICIES)


class Recorder(tune.Callback):
    """Keeps what the scheduler was given."""

    def __init__(self) -> None:
        self.results: list[tuple[str, dict[str, Any]]] = []

    def on_trial_result(self, iteration, trials, trial, result, **info) -> None:
        self.results.append((trial.trial_id, copy.deepcopy(result)))

    def __deepcopy__(self, memo: Any) -> Recorder:
        return self


@pytest.mark.slow
def test_in_a_population_each_result_is_of_the_configuration_that_it_says(tmp_path):
    recorder = Recorder()
    config = game_config(alpha={**LONG, "initial": tune.grid_search([1.0, 9.0])})
    scheduler = PopulationBasedTraining(
        time_attr=STEPS,
        metric=RETURN,
        mode="max",
        perturbation_interval=80,
        quantile_fraction=0.5,
        hyperparam_mutations={"alpha": {"initial": tune.uniform(1.0, 9.0)}},
        synch=True,
    )
    results = tune.Tuner(
        tune.with_resources(ROMMEOAC, {"CPU": 4}),
        param_space=config,
        tune_config=tune.TuneConfig(scheduler=scheduler, reuse_actors=True),
        run_config=tune.RunConfig(
            stop={STEPS: 240}, storage_path=str(tmp_path), verbose=0, callbacks=[recorder]
        ),
    ).fit()
    assert not results.errors
    assert scheduler._num_perturbations >= 1
    tried = {result["config"]["alpha"]["initial"] for _, result in recorder.results}
    assert len(tried) > 2
    for _, result in recorder.results:
        assert math.isfinite(result["env_runners"]["episode_return_mean"])
        expected = make_alpha(result["config"]["alpha"]).value(result[STEPS])
        for policy in POLICIES:
            assert result["learners"][policy]["alpha"] == pytest.approx(expected)
