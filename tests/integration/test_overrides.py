"""Settings in which policies differ take effect, each of them; Tune tells what has none at once."""

from __future__ import annotations

import pytest
import torch
from ray import tune
from ray.tune.schedulers import PopulationBasedTraining
from representative import cases
from small import game_config, policy_of, shrunken

from rommeo_rllib import DDPGOMConfig, MASQLConfig, PR2ACConfig, ROMMEOACConfig
from rommeo_rllib.joint_action.config import JointActionConfig

pytestmark = pytest.mark.usefixtures("ray_session")

OTHERWISE = {
    "alpha": 3.0,
    "alpha_lr": 0.3,
    "exploration_noise": 0.9,
    "gamma": 0.1,
    "gaussian_l2": 10.0,
    "grad_clip": 1e-3,
    "kl_coeff": 30.0,
    "opponent_model": "importance_sampling",
    "opponent_model_lr": 0.1,
    "opponent_prior_lr": 0.1,
    "pad_prior_window": True,
    "particles": 4,
    "policy_lr": 0.1,
    "prior_gaussian_l2": 10.0,
    "prior_uniform_weight": 0.7,
    "q_lr": 0.1,
    "saturation_penalty": 10.0,
    "tau": 0.9,
    "uniform_opponent_fraction": 0.9,
    "value_particles": 4,
}
BESIDES = {
    "alpha_lr": {"alpha": "auto"},
    "grad_clip_by": {"grad_clip": 1e-2},
    "pad_prior_window": {"prior_window": 1000},
}
CONFIGS = [ROMMEOACConfig, MASQLConfig, PR2ACConfig, DDPGOMConfig]  # With all keys between them.


def learned(config_class: type, **training) -> dict[str, torch.Tensor]:
    """All parameters of each policy after some updates; `overrides` are player_0's."""
    overrides = training.pop("overrides", {})
    config = shrunken(config_class(), **{"num_steps_sampled_before_learning_starts": 5, **training})
    config.reporting(min_sample_timesteps_per_iteration=9)
    config.rl_module(algorithm_config_overrides_per_module=overrides)
    algorithm = config.build_algo()
    try:
        algorithm.train()
        policies = [policy_of(algorithm, policy) for policy in ("player_0", "player_1")]
        return {
            policy: torch.nn.utils.parameters_to_vector(module.parameters()).detach().clone()
            for policy, module in zip(("player_0", "player_1"), policies, strict=True)
        }
    finally:
        algorithm.stop()


@pytest.mark.parametrize("config_class", cases(CONFIGS, [DDPGOMConfig]))
def test_each_setting_in_which_policies_may_differ_takes_effect(config_class):
    plain: dict[str, dict] = {}
    keys = config_class.PER_POLICY_KEYS
    if config_class is not ROMMEOACConfig:  # What all have in common is tried with one of them.
        keys -= JointActionConfig.PER_POLICY_KEYS
    for key in sorted(keys):
        besides = BESIDES.get(key, {})
        if repr(besides) not in plain:
            plain[repr(besides)] = learned(config_class, **besides)
        value = "value" if key == "grad_clip_by" else OTHERWISE[key]
        found = learned(config_class, overrides={"player_0": {key: value}}, **besides)
        before = plain[repr(besides)]
        assert not torch.equal(found["player_0"], before["player_0"]), key


def test_a_replicas_settings_are_its_policys_and_its_own():
    config = game_config(replicas=3, q_lr=0.0)
    config.rl_module(
        algorithm_config_overrides_per_module={
            "player_0": {"q_lr": 0.01, "alpha": 2.0},
            "player_0@1": {"alpha": 0.5},
        }
    )
    algorithm = config.build_algo()
    result = algorithm.train()
    learner = algorithm.learner_group._learner
    rates = {
        module_id: learner.get_optimizer(group.ids[0]).param_groups[0]["lr"]
        for group in learner.groups
        for module_id in group.ids
    }
    algorithm.stop()
    assert result["learners"]["replicas"]["player_0"]["alpha"] == [2.0, 0.5, 2.0]
    assert rates == {
        f"player_{player}@{replica}": 0.0 if player else 0.01
        for player in (0, 1)
        for replica in range(3)
    }


@pytest.mark.slow
@pytest.mark.parametrize("values", [[0.01, 0.1], [0.001, 0.001]])
def test_a_population_that_mutates_what_has_no_effect_fails_before_it_trains(tmp_path, values):
    scheduler = PopulationBasedTraining(
        time_attr="training_iteration",
        metric="env_runners/episode_return_mean",
        mode="max",
        perturbation_interval=2,
        hyperparam_mutations={"lr": values},
    )
    results = tune.Tuner(
        "ROMMEO-AC",
        param_space=game_config(),
        tune_config=tune.TuneConfig(scheduler=scheduler),
        run_config=tune.RunConfig(
            stop={"training_iteration": 3}, storage_path=str(tmp_path), verbose=0
        ),
    ).fit()
    (error,) = results.errors
    assert "`lr` is 0." in str(error)
    assert "`q_lr`" in str(error)
    assert not (results[0].metrics or {}).get("training_iteration")
