"""Settings in which policies may differ. No Ray runtime."""

from __future__ import annotations

import gymnasium as gym
import pytest
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.examples.rl_modules.classes.random_rlm import RandomRLModule
from test_config import make_config, spaces_of

from rommeo_rllib import (
    DDPGConfig,
    DDPGOMConfig,
    MADDPGConfig,
    MASQLConfig,
    PR2ACConfig,
    ROMMEOACConfig,
)
from rommeo_rllib.joint_action.settings.per_policy import check_added

CONFIGS = [ROMMEOACConfig, DDPGConfig, DDPGOMConfig, MADDPGConfig, MASQLConfig, PR2ACConfig]
TWO_CHOICES = gym.spaces.Discrete(2)


def with_overrides(overrides, **training) -> ROMMEOACConfig:
    config = make_config(**training)
    config.algorithm_config_overrides_per_module = overrides
    return config


@pytest.mark.parametrize(
    "key",
    [
        "lr",
        "train_batch_size_per_learner",
        "updates_per_env_step",
        "num_steps_sampled_before_learning_starts",
        "random_warm_up",
        "q_layer_norm",
        "prior_window",
        "replay_capacity",
        "model_config",
        "num_env_runners",
    ],
)
def test_a_setting_that_applies_to_all_policies_is_refused_for_one(key):
    with pytest.raises(ValueError, match=rf"\['player_0'\]` has `{key}` .*; allowed: alpha, .*tau"):
        with_overrides({"player_0": {key: 1}}).validate()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"palyer_0": {}}, "names 'palyer_0'; .*Did you mean 'player_0'"),
        ({"player_0": {"q_lrr": 0.1}}, "`q_lrr` .*no such setting. Did you mean 'q_lr'"),
        ({"player_0": {"actor_lr": 0.1}}, r"`actor_lr` \(give `policy_lr`\)"),
        ({"player_0": {"tau": 3.0}}, r"\['player_0'\]: `tau` is 3.0; allowed: a number in"),
        ({"player_0": {"gamma": -1}}, "`gamma` is -1"),
        ({"player_0": {"grad_clip": 0}}, "`grad_clip` is 0"),
        ({"player_0": {"alpha": "atuo"}}, "`alpha` is 'atuo'"),
        ({"player_0@0": {"alpha": 0.1}}, "names 'player_0@0'"),
        ({"player_0": 5}, r"\['player_0'\]` is 5; allowed: a dict"),
        (5, "`algorithm_config_overrides_per_module` is 5; allowed: a dict"),
    ],
)
def test_a_wrong_policy_key_or_value_is_named(overrides, message):
    with pytest.raises(ValueError, match=message):
        with_overrides(overrides).validate()


@pytest.mark.parametrize("config_class", CONFIGS)
def test_each_key_that_may_differ_is_a_setting_of_its_algorithm(config_class):
    assert config_class.STACKED_KEYS <= config_class.PER_POLICY_KEYS
    assert all(hasattr(config_class(), key) for key in config_class.PER_POLICY_KEYS)


@pytest.mark.parametrize(
    "overrides",
    [
        {"player_0": {"alpha": 0.2, "tau": 0.1}},
        {"player_0": [("alpha", 0.2), ("tau", 0.1)]},
        {"player_0": ROMMEOACConfig.overrides(alpha=0.2, tau=0.1)},
        [("player_0", {"alpha": 0.2, "tau": 0.1})],
    ],
)
@pytest.mark.parametrize("way", ["rl_module", "multi_agent", "attribute"])
def test_overrides_come_in_several_forms(overrides, way):
    if way == "attribute":
        config = with_overrides(overrides)
    else:
        config = make_config()
        getattr(config, way)(algorithm_config_overrides_per_module=overrides)
    config.validate()
    own = config.get_config_for_module("player_0")
    assert (own.alpha, own.tau) == (0.2, 0.1)
    assert config.get_config_for_module("player_1") is config


def test_rllibs_own_helper_makes_overrides():
    overrides = {"player_0": AlgorithmConfig.overrides(gamma=0.5)}
    assert with_overrides(overrides).get_config_for_module("player_0").gamma == 0.5


def test_a_replica_has_its_policys_settings_and_its_own():
    overrides = {"player_0": {"alpha": 0.2, "tau": 0.1}, "player_0@1": {"alpha": 0.3}}
    config = with_overrides(overrides, replicas=2)
    config.validate()
    found = [config.get_config_for_module(f"player_0@{replica}") for replica in (0, 1)]
    assert [(one.alpha, one.tau) for one in found] == [(0.2, 0.1), (0.3, 0.1)]
    with pytest.raises(ValueError, match="names 'player_0@2'"):
        with_overrides({"player_0@2": {"alpha": 0.3}}, replicas=2).validate()


def test_a_setting_that_is_changed_after_a_policys_was_asked_for_reaches_it():
    config = with_overrides({"player_0": {"alpha": 0.2}})
    assert config.get_config_for_module("player_0").gamma == 0.99
    config.training(gamma=0.5).validate()
    assert config.get_config_for_module("player_0").gamma == 0.5


def test_the_first_alpha_and_noise_are_the_policys_own():
    config = with_overrides({"player_0": {"alpha": {"target_entropy": "auto", "initial": 5.0}}})
    spaces = spaces_of(player_0=TWO_CHOICES, player_1=TWO_CHOICES)
    specs = config.get_multi_rl_module_spec(spaces=spaces).rl_module_specs
    assert [specs[i].model_config["initial_alpha"] for i in sorted(specs)] == [5.0, 1.0]
    box = gym.spaces.Box(-1.0, 1.0, (2,))
    config = (
        DDPGConfig()
        .environment("max_of_two_quadratics")
        .multi_agent(policies={"a", "b"}, policy_mapping_fn=lambda agent, *args, **kwargs: agent)
        .rl_module(algorithm_config_overrides_per_module={"a": {"exploration_noise": 0.7}})
    )
    specs = config.get_multi_rl_module_spec(spaces=spaces_of(a=box, b=box)).rl_module_specs
    assert [specs[i].model_config["initial_noise"] for i in sorted(specs)] == [0.7, 0.1]


def test_settings_of_a_policy_of_another_kind_are_refused():
    config = with_overrides({"player_1": {"alpha": 0.2}})
    spec = MultiRLModuleSpec(
        rl_module_specs={
            "player_0": RLModuleSpec(),
            "player_1": RLModuleSpec(module_class=RandomRLModule),
        }
    )
    config.rl_module(rl_module_spec=spec)
    spaces = spaces_of(player_0=TWO_CHOICES, player_1=TWO_CHOICES)
    with pytest.raises(ValueError, match="names 'player_1', which is a RandomRLModule"):
        config.get_multi_rl_module_spec(spaces=spaces)


def test_a_policy_that_is_added_may_differ_in_the_same_settings():
    config = make_config()
    check_added(config, "new", {"alpha": 0.2})
    check_added(config, "new", None)
    with pytest.raises(ValueError, match=r"\['new'\]` has `lr`"):
        check_added(config, "new", {"lr": 0.2})
    with pytest.raises(ValueError, match=r"`tau` is 3.0"):
        check_added(config, "new", {"tau": 3.0})
