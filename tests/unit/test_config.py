"""What a configuration refuses, and how it says so. No Ray runtime."""

from __future__ import annotations

import math
import pickle

import gymnasium as gym
import numpy as np
import pytest
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.env import INPUT_ENV_SINGLE_SPACES
from ray.rllib.env.multi_agent_env_runner import MultiAgentEnvRunner
from ray.rllib.examples.rl_modules.classes.random_rlm import RandomRLModule
from ray.rllib.policy.policy import Policy, PolicySpec

from rommeo_rllib import ROMMEOAC, ROMMEOACConfig, ROMMEOPolicy
from rommeo_rllib.rommeo_ac.learner import ROMMEOACLearner
from rommeo_rllib.temperatures import make_alpha

DECAY = {"initial": 500.0, "final": 0.1, "decay_steps": 1000}


def make_config(**training) -> ROMMEOACConfig:
    return (
        ROMMEOACConfig()
        .environment("max_of_two_quadratics")
        .multi_agent(
            policies={"player_0", "player_1"},
            policy_mapping_fn=lambda agent, *args, **kwargs: agent,
        )
        .training(**training)
    )


def test_the_defaults_are_valid():
    config = make_config()
    config.validate()
    assert config.algo_class is ROMMEOAC
    assert config.learner_class is ROMMEOACLearner


def test_values_are_taken_up():
    config = make_config(alpha=DECAY, tau=0.1, gamma=0.5, replay_capacity=7, prior_window=3)
    config.validate()
    found = (config.alpha, config.tau, config.gamma, config.replay_capacity, config.prior_window)
    assert found == (DECAY, 0.1, 0.5, 7, 3)
    assert make_config(tau=0.1).training(gamma=0.5).tau == 0.1


@pytest.mark.parametrize(
    ("misspelt", "right"),
    [
        ("alhpa", "alpha"),
        ("kl_coef", "kl_coeff"),
        ("opponent_prior_rate", "opponent_prior_lr"),
        ("update_per_env_step", "updates_per_env_step"),
        ("replay_capasity", "replay_capacity"),
        ("gama", "gamma"),
        ("train_batch_size_per_lerner", "train_batch_size_per_learner"),
    ],
)
def test_a_misspelt_key_of_training_names_the_nearest(misspelt, right):
    with pytest.raises(ValueError, match=rf"no key '{misspelt}'. Did you mean '{right}'\?"):
        ROMMEOACConfig().training(**{misspelt: 1.0})


@pytest.mark.parametrize(
    ("misspelt", "right"), [("alhpa", "alpha"), ("taus", "tau"), ("num_env_runner", "num_env_run")]
)
def test_a_misspelt_key_of_a_dict_is_found_by_validation(misspelt, right):
    config = make_config()
    config.update_from_dict({misspelt: 1})
    with pytest.raises(ValueError, match=rf"no key '{misspelt}'. Did you mean '{right}"):
        config.validate()


def test_right_keys_of_a_dict_are_taken_up():
    config = make_config()
    config.update_from_dict({"alpha": 0.3, "tau": 0.2})
    config.validate()
    assert (config.alpha, config.tau) == (0.3, 0.2)


BAD_VALUES = [
    ("alpha", bad) for bad in (-0.1, 0.0, math.nan, True, "atuo", None, {**DECAY, "final": -1.0})
]
BAD_VALUES += [("kl_coeff", bad) for bad in (-1.0, math.inf, "auto", [[5, 1.0]])]
BAD_VALUES += [("tau", bad) for bad in (0.0, -0.1, 1.5, math.nan)]
BAD_VALUES += [("gamma", bad) for bad in (-0.1, 1.01)]
BAD_VALUES += [("updates_per_env_step", bad) for bad in (0, -1.0, True, "1", math.inf, math.nan)]
BAD_VALUES += [("env_time_limit_s", bad) for bad in (0, -1, True, "1", math.inf, math.nan)]
BAD_VALUES += [("grad_clip", bad) for bad in (0, -1, True, "1", math.inf, math.nan)]
BAD_VALUES += [("gamma", bad) for bad in (True, "0.9", None, math.nan)]
BAD_VALUES += [("tau", bad) for bad in (True, "0.1", None)]
BAD_VALUES += [
    (name, bad)
    for name in ("q_layer_norm", "random_warm_up", "fast_sampling", "store_buffer_in_checkpoints")
    for bad in ("False", 0, None)
]
BAD_VALUES += [("max_sampling_lag", bad) for bad in (-1, 1.5, True)]
BAD_VALUES += [("replicas", bad) for bad in (0, 1.5, True, 10**9)]
BAD_VALUES += [("opponent_groups", bad) for bad in (1, ["agent_0"], {"agent_0": 1})]
BAD_VALUES += [pytest.param("tau", 10**5000, id="tau-too-long")]
BAD_VALUES += [("replay_capacity", bad) for bad in (0, -5, 10.0, True)]
BAD_VALUES += [("train_batch_size_per_learner", bad) for bad in (0, -1, 0.5)]
BAD_VALUES += [("num_steps_sampled_before_learning_starts", bad) for bad in (-1, 2.5)]
BAD_VALUES += [("prior_window", bad) for bad in (0, -3, 1.5)]
BAD_VALUES += [("prior_uniform_weight", bad) for bad in (-0.1, 1.0, True)]
BAD_VALUES += [("opponent_model", bad) for bad in ("gaussian", None, 1)]
BAD_VALUES += [("uniform_opponent_fraction", bad) for bad in (-0.1, 1.0)]
BAD_VALUES += [
    (name, bad)
    for name in ("q_lr", "policy_lr", "opponent_model_lr", "opponent_prior_lr", "alpha_lr")
    for bad in (-1e-3, [[0, 1e-3], [100, 1e-4], [50, 1e-5]], [[10, 1e-3], [20, 1e-4]], [], "fast")
]


@pytest.mark.parametrize(("name", "bad"), BAD_VALUES)
def test_a_bad_value_names_its_field(name, bad):
    config = make_config(**{name: bad})
    with pytest.raises(ValueError, match=f"`{name}"):
        config.validate()


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("alpha", "auto"),
        ("alpha", [[0, 1.0], [10, 0.1]]),
        ("kl_coeff", 0),
        ("tau", 1),
        ("gamma", 0.0),
        ("gamma", 1.0),
        ("updates_per_env_step", 0.25),
        ("num_steps_sampled_before_learning_starts", 0),
        ("prior_window", None),
        ("q_lr", 0.0),
        ("policy_lr", [[0, 1e-3], [100, 1e-4]]),
        ("grad_clip", None),
        ("grad_clip", 0.5),
        ("env_time_limit_s", None),
    ],
)
def test_values_at_the_edge_are_allowed(name, good):
    make_config(**{name: good}).validate()


RLLIBS_BAD_VALUES = [
    ("batch_mode", "complete"),
    ("evaluation_interval", 0.5),
    ("evaluation_num_env_runners", -2),
    ("explore", "False"),
    ("grad_clip_by", "norms"),
    ("metrics_num_episodes_for_smoothing", 0),
    ("min_sample_timesteps_per_iteration", -5),
    ("num_env_runners", 1.5),
    ("num_envs_per_env_runner", 0),
    ("num_learners", True),
    ("rollout_fragment_length", 0),
    ("sample_timeout_s", math.nan),
    ("seed", 2**32),
    ("seed", 0.5),
    ("algo_class", "ROMMEOAC"),
    ("algo_class", int),
    ("algorithm_config_overrides_per_module", ""),
    ("callbacks_class", 1),
    ("callbacks_on_episode_end", "text"),
    ("custom_evaluation_function", True),
    ("custom_resources_per_env_runner", {"gpu": math.nan}),
    ("delay_between_env_runner_restarts_s", None),
    ("env", 3),
    ("env_config", 3),
    ("evaluation_config", 3),
    ("evaluation_config", {"gamma": True}),
    ("evaluation_config", {"explore": "no"}),
    ("evaluation_duration", True),
    ("evaluation_duration_unit", "plays"),
    ("evaluation_error_after_n_consecutive_skips", -1),
    ("gamma", []),
    ("gamma", {}),
    ("ignore_env_runner_failures", 1),
    ("learner_config_dict", None),
    ("local_gpu_idx", 0.5),
    ("log_level", "LOUD"),
    ("max_num_env_runner_restarts", math.inf),
    ("merge_env_runner_states", 1),
    ("num_cpus_per_learner", "all"),
    ("num_env_runners", 10**9),
    ("num_learners", 10**9),
    ("placement_strategy", None),
    ("policies", None),
    ("policies", 1),
    ("policies", {}),
    ("policies", {"player_0": 1}),
    ("policies_to_train", "player_0"),
    ("policies_to_train", ["player_9"]),
    ("policy_mapping_fn", None),
    ("restart_failed_env_runners", None),
    ("stats_cls_lookup", {}),
    ("stats_cls_lookup", {"mean": 1}),
]


@pytest.mark.parametrize(("name", "bad"), RLLIBS_BAD_VALUES)
def test_a_bad_value_of_rllibs_own_settings_names_its_field(name, bad):
    with pytest.raises(ValueError, match=f"`{name}"):
        make_config().update_from_dict({name: bad}).validate()


@pytest.mark.parametrize(
    ("name", "bad", "message"),
    [
        ("env_config", 3, "`env_config` is 3; allowed: a dict"),
        ("evaluation_config", [], r"`evaluation_config` is \[\]; allowed: a dict"),
        ("multiagent", None, "`multiagent` is None; allowed: a dict"),
        ("callbacks_class", "text", "`callbacks_class` is 'text', which RLlib cannot take up: "),
        ("optimizer", 3, "`optimizer` is 3; all networks are trained by Adam: leave it out"),
        ("evaluation_num_episodes", 3, "`evaluation_num_episodes` is 3; RLlib's old API stack"),
    ],
)
def test_what_rllib_cannot_take_up_from_a_dict_is_told_with_its_key(name, bad, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        make_config().update_from_dict({"gamma": 0.5, name: bad})


def test_a_dict_may_call_the_model_config_as_its_method_does():
    config = make_config().update_from_dict({"model_config": {"fcnet_hiddens": [8]}})
    assert config.model_config["fcnet_hiddens"] == [8]


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("tau", np.float32(0.5), 0.5),
        ("replay_capacity", np.int64(7), 7),
        ("q_lr", np.float64(0.01), 0.01),
        ("alpha", np.array([[0, 1.0], [10, 0.5]]), [[0, 1.0], [10, 0.5]]),
        ("alpha", np.float32(0.5), 0.5),
        ("random_warm_up", np.bool_(True), True),
        ("seed", np.int32(3), 3),
    ],
)
def test_numpys_numbers_and_arrays_are_as_good_as_pythons(name, given, expected):
    config = make_config().update_from_dict({name: given})
    config.validate()
    assert getattr(config, name) == expected
    assert type(getattr(config, name)) is type(expected)
    ROMMEOACConfig.from_state(config.get_state()).validate()


def test_a_number_of_numpys_within_a_setting_is_one_too():
    make_config(alpha={**DECAY, "initial": np.float32(2)}, kl_coeff=[[0, np.int64(1)]]).validate()


def test_policies_are_needed():
    with pytest.raises(ValueError, match=r"ROMMEOAC is a multi-agent algorithm.*multi_agent\("):
        ROMMEOACConfig().environment("max_of_two_quadratics").validate()


def test_actions_must_be_normalised():
    config = make_config()
    config.environment(normalize_actions=False)
    with pytest.raises(ValueError, match="`normalize_actions` is False"):
        config.validate()


def test_a_policy_may_override_values():
    config = make_config(alpha=0.5, tau=0.1)
    overrides = {"player_1": ROMMEOACConfig.overrides(alpha=0.2, policy_lr=0.03)}
    config.multi_agent(algorithm_config_overrides_per_module=overrides)
    config.validate()
    own = config.get_config_for_module("player_1")
    assert (own.alpha, own.policy_lr, own.tau) == (0.2, 0.03, 0.1)
    assert config.get_config_for_module("player_0").alpha == 0.5


def test_a_copy_is_valid_too():
    config = make_config(alpha=DECAY)
    copy = config.copy(copy_frozen=False)
    copy.validate()
    assert copy.alpha == DECAY
    restored = ROMMEOACConfig.from_state(pickle.loads(pickle.dumps(make_plain().get_state())))
    restored.validate()
    assert restored.alpha == DECAY


def make_plain() -> ROMMEOACConfig:
    return make_config(alpha=DECAY).multi_agent(policy_mapping_fn=plain_mapping)


def plain_mapping(agent, *args, **kwargs):
    return agent


def spaces_of(**action_spaces):
    observation_space = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)
    observations = dict.fromkeys(action_spaces, observation_space)
    pair = (gym.spaces.Dict(observations), gym.spaces.Dict(action_spaces))
    policies = {agent: (observation_space, space) for agent, space in action_spaces.items()}
    return {INPUT_ENV_SINGLE_SPACES: pair, **policies}


def test_each_policy_is_told_the_form_of_its_opponents_actions():
    box = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)
    config = make_config()
    spaces = spaces_of(player_0=box, player_1=gym.spaces.Discrete(3))
    specs = config.get_multi_rl_module_spec(spaces=spaces).rl_module_specs
    opponents = {name: spec.model_config["opponents"] for name, spec in specs.items()}
    assert opponents["player_0"].action_spaces == (gym.spaces.Discrete(3),)
    assert opponents["player_1"].action_spaces == (box,)
    assert all(spec.module_class is ROMMEOPolicy for spec in specs.values())


def test_a_space_that_cannot_be_served_is_refused_with_its_agent():
    spaces = spaces_of(player_0=gym.spaces.Discrete(2), player_1=gym.spaces.Text(2))
    with pytest.raises(ValueError, match=r"Agent 'player_1' has the action space Text"):
        make_config().get_multi_rl_module_spec(spaces=spaces)


def test_an_unknown_activation_is_refused():
    config = make_config().rl_module(model_config={"fcnet_activation": "rellu"})
    spaces = spaces_of(player_0=gym.spaces.Discrete(2), player_1=gym.spaces.Discrete(2))
    with pytest.raises(ValueError, match=r"`fcnet_activation` is 'rellu'; allowed: .*relu"):
        config.get_multi_rl_module_spec(spaces=spaces).build()


def test_a_recurrent_network_is_refused():
    config = make_config().rl_module(model_config={"use_lstm": True})
    spaces = spaces_of(player_0=gym.spaces.Discrete(2), player_1=gym.spaces.Discrete(2))
    with pytest.raises(ValueError, match=r"`use_lstm` is True.*StackFrames"):
        config.get_multi_rl_module_spec(spaces=spaces).build()


def test_a_policy_needs_to_know_its_opponents():
    spec = RLModuleSpec(
        module_class=ROMMEOPolicy,
        observation_space=gym.spaces.Discrete(1),
        action_space=gym.spaces.Discrete(2),
        model_config={"fcnet_hiddens": [4], "fcnet_activation": "relu"},
    )
    with pytest.raises(ValueError, match="lacks 'opponents'"):
        spec.build()


CHANGED_IN_VAIN = [
    (lambda c: c.training(lr=1e-4), "`lr` is 0.0001; .*`q_lr`"),
    (lambda c: c.training(train_batch_size=4000), "`train_batch_size` is 4000; .*per_learner"),
    (lambda c: c.training(num_epochs=5), "`num_epochs` is 5; .*updates_per_env_step"),
    (lambda c: c.training(minibatch_size=9), "`minibatch_size` is 9; .*per_learner"),
    (lambda c: c.training(model={"fcnet_hiddens": [8]}), r"`model` is .*\.rl_module\("),
    (lambda c: c.training(optimizer={"type": "SGD"}), "`optimizer` is .*Adam"),
    (lambda c: c.env_runners(observation_filter="MeanStdFilter"), "connector MeanStdFilter"),
    (lambda c: c.env_runners(remote_worker_envs=True), "`num_env_runners`"),
    (lambda c: c.resources(num_gpus=1), "`num_gpus` is 1; .*num_gpus_per_learner"),
    (lambda c: c.multi_agent(observation_fn=print), "`observation_fn` is .*connector"),
    (lambda c: c.offline_data(input_=["episodes"]), "`input_` is .*recorded data"),
    (
        lambda c: c.api_stack(
            enable_rl_module_and_learner=False, enable_env_runner_and_connector_v2=False
        ),
        "old API stack",
    ),
    (lambda c: c.env_runners(env_runner_cls=MultiAgentEnvRunner), "`env_runner_cls` is Multi"),
    (
        lambda c: c.multi_agent(policies={"player_0": PolicySpec(config={"gamma": 0.5})}),
        "gives 'player_0' the config .*algorithm_config_overrides_per_module",
    ),
    (
        lambda c: c.multi_agent(policies={"player_0": (Policy, None, None, None)}),
        "gives 'player_0' the policy_class .*rl_module_spec",
    ),
    (lambda c: c.rl_module(model_config={"use_attention": True}), "no key 'use_attention'"),
    (lambda c: c.rl_module(model_config={"fcnet_hidens": [8]}), "Did you mean 'fcnet_hiddens'"),
]


@pytest.mark.parametrize(("change", "message"), CHANGED_IN_VAIN)
def test_what_would_have_no_effect_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        change(make_config()).validate()


def test_rllibs_model_config_object_is_taken_up():
    config = make_config().rl_module(model_config=DefaultModelConfig(fcnet_hiddens=[5]))
    config.validate()
    spaces = spaces_of(player_0=gym.spaces.Discrete(2), player_1=gym.spaces.Discrete(2))
    specs = config.get_multi_rl_module_spec(spaces=spaces).rl_module_specs
    assert specs["player_0"].model_config["fcnet_hiddens"] == [5]


def test_an_agent_without_a_policy_is_named():
    config = make_config().multi_agent(policy_mapping_fn=lambda *args, **kwargs: "player_2")
    spaces = spaces_of(player_0=gym.spaces.Discrete(2), player_1=gym.spaces.Discrete(2))
    message = r"maps the agent 'player_0' to 'player_2'; allowed: \['player_0', 'player_1'\]"
    with pytest.raises(ValueError, match=message):
        config.get_multi_rl_module_spec(spaces=spaces)


def test_policies_that_are_all_of_another_kind_are_refused():
    config = make_config().rl_module(rl_module_spec=RLModuleSpec(module_class=RandomRLModule))
    spaces = spaces_of(player_0=gym.spaces.Discrete(2), player_1=gym.spaces.Discrete(2))
    with pytest.raises(ValueError, match="All policies are RandomRLModule; ROMMEOAC needs one"):
        config.get_multi_rl_module_spec(spaces=spaces)


def test_an_action_mask_is_told_to_be_an_observation_only():
    seen = gym.spaces.Dict({"action_mask": gym.spaces.MultiBinary(2)})
    action = gym.spaces.Discrete(2)
    by_agent = [gym.spaces.Dict(dict.fromkeys(("player_0", "player_1"), s)) for s in (seen, action)]
    spaces = {"player_0": (seen, action), "player_1": (seen, action)}
    with pytest.warns(UserWarning, match="Agent 'player_0' observes an 'action_mask'"):
        make_config().get_multi_rl_module_spec(
            spaces={INPUT_ENV_SINGLE_SPACES: tuple(by_agent), **spaces}
        )


def test_connectors_that_would_be_bypassed_are_refused():
    config = make_config().learners(learner_connector=lambda *args: [])
    with pytest.raises(ValueError, match=r"`learner_connector` is <lambda>; .*env-to-module"):
        config.validate()


def test_episodes_without_a_look_back_are_refused():
    config = make_config().env_runners(episode_lookback_horizon=0)
    with pytest.raises(
        ValueError, match=r"`episode_lookback_horizon` is 0; allowed: .* at least 1"
    ):
        config.validate()


def test_groups_of_opponents_are_a_dict():
    with pytest.raises(ValueError, match=r"`opponent_groups` is \[\['a', 'b'\]\]; allowed: .*dict"):
        make_config(opponent_groups=[["a", "b"]]).validate()


@pytest.mark.parametrize(
    ("given", "name", "value"),
    [
        ({"lean_sampling": False}, "fast_sampling", False),
        ({"opponent_model": "resampled"}, "opponent_model", "importance_sampling"),
    ],
)
def test_names_of_the_last_version_are_taken_with_a_warning(given, name, value):
    for take in (
        lambda: make_config(**given),
        lambda: make_config().update_from_dict(given),
    ):
        with pytest.warns(DeprecationWarning, match=r"is now called"):
            config = take()
        assert getattr(config, name) == value
        config.validate()


def test_the_resampled_opponent_model_needs_a_kl_weight_above_0():
    with pytest.raises(ValueError, match="`kl_coeff"):
        make_config(opponent_model="importance_sampling", kl_coeff=0.0).validate()
    make_config(opponent_model="reparameterised", kl_coeff=0.0).validate()


def test_the_papers_settings_have_its_authors_schedule_of_alpha():
    config = make_config().paper_settings()
    config.validate()
    alpha = make_alpha(config.alpha)
    # Play 0 has been counted when it is learned from.
    for play in (0, 7, 10, 11, 60, 250):
        expected = 0.1 + 500.0 * math.exp(-0.1 * max(play - 10, 0))
        assert alpha.value(play + 1) == pytest.approx(expected)
    assert alpha.value(10_000) == pytest.approx(0.1)
    assert config.model_config["fcnet_hiddens"] == [100, 100]


@pytest.mark.parametrize("bad", [1, True, [1], [("fcnet_hiddens", [8])], "", b"x"])
def test_a_model_config_is_a_dict_or_rllibs_object(bad):
    config = make_config()
    config._model_config = bad
    with pytest.raises(ValueError, match=r"`model_config` is .* allowed: a dict or a DefaultModel"):
        config.validate()


def test_what_an_evaluation_has_otherwise_is_told_with_where_it_stands():
    config = make_config().evaluation(evaluation_config={"batch_mode": "whole"})
    with pytest.raises(ValueError, match=r"^`evaluation_config`: `batch_mode` is 'whole'; allowed"):
        config.validate()
    config.evaluation(evaluation_config={"exlpore": False})
    with pytest.raises(ValueError, match=r"^`evaluation_config`: .*'exlpore'.*'explore'"):
        config.validate()


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"num_env_runners": 1, "num_cpus_per_env_runner": 0}, "num_cpus_per_env_runner"),
        (
            {"evaluation_num_env_runners": 2, "num_cpus_per_env_runner": 0},
            "num_cpus_per_env_runner",
        ),
        ({"num_learners": 2, "num_cpus_per_learner": 0}, "num_cpus_per_learner"),
    ],
)
def test_a_process_without_any_resource_is_refused(settings, name):
    with pytest.raises(ValueError, match=f"^`{name}` is 0; allowed: .* no process without a resou"):
        make_config().update_from_dict(settings).validate()


@pytest.mark.parametrize(
    "settings",
    [
        {"num_env_runners": 0, "num_cpus_per_env_runner": 0},
        {"num_env_runners": 1, "num_cpus_per_env_runner": 0.01},
        {
            "num_env_runners": 1,
            "num_cpus_per_env_runner": 0,
            "custom_resources_per_env_runner": {"games": 1},
        },
    ],
)
def test_a_process_with_any_resource_is_allowed(settings):
    make_config().update_from_dict(settings).validate()
