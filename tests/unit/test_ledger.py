"""Every setting of RLlib's is honoured, or refused if it is changed. No Ray runtime."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import pytest
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from test_config import make_config

from rommeo_rllib import ROMMEOACConfig, ROMMEOACEMPConfig
from rommeo_rllib.joint_action.settings import ledger
from rommeo_rllib.joint_action.settings.ledger import HONOURED, KEPT_BY_RLLIB, REFUSED

FIELDS = sorted(vars(AlgorithmConfig()))


@pytest.mark.parametrize("name", FIELDS)
def test_each_setting_of_the_installed_ray_is_in_one_list(name):
    lists = [name in HONOURED, name in KEPT_BY_RLLIB, name in REFUSED]
    assert lists.count(True) == 1, f"`{name}`: decide what becomes of it"


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_refused_setting_that_is_changed_is_named_with_what_to_do(name):
    if name not in FIELDS:
        pytest.skip("another version of Ray has it")
    config = make_config()
    setattr(config, name, "something else")
    with pytest.raises(ValueError, match=rf"^`_?{name.lstrip('_')}` is .*; "):
        config.validate()


def test_a_setting_of_a_newer_ray_is_refused_if_it_is_changed(monkeypatch):
    newer = {**vars(AlgorithmConfig()), "unheard_of": 5}
    monkeypatch.setattr(ledger, "rllibs_defaults", lambda: newer)
    config = make_config()
    config.unheard_of = 5
    assert list(ledger.refused_settings(config, {})) == []
    config.unheard_of = 6
    (sentence,) = ledger.refused_settings(config, {})
    assert sentence.startswith("`unheard_of` is 6; this package does not know")


SAY_NOTHING = [
    ("lr", None),
    ("num_epochs", 1),
    ("model", AlgorithmConfig().model),
    ("framework_str", "torch"),
    ("gym_env_vectorize_mode", gym.VectorizeMode.SYNC),
    ("log_gradients", False),
    ("simple_optimizer", True),
]


@pytest.mark.parametrize(("name", "value"), SAY_NOTHING)
def test_what_asks_for_nothing_is_accepted(name, value):
    config = make_config()
    setattr(config, name, value)
    config.validate()


@pytest.mark.parametrize("given", [{"lr": 0.001}, {"train_batch_size": 32}])
def test_a_default_that_is_not_what_happens_here_is_refused_where_it_is_given(given):
    (name,) = given
    with pytest.raises(ValueError, match=f"`{name}` is"):
        make_config(**given).validate()
    from_dict = make_config()
    from_dict.update_from_dict(given)
    with pytest.raises(ValueError, match=f"`{name}` is"):
        from_dict.validate()


@pytest.mark.parametrize(("name", "value"), [("num_epochs", 1), ("lr", 0.001), ("lr", 0.5)])
def test_what_tune_puts_in_to_mutate_is_refused_even_at_its_default(name, value):
    config = ROMMEOACConfig().update_from_dict({**make_config().to_dict(), name: value})
    with pytest.raises(ValueError, match=f"`{name}` is {value};"):
        config.validate()
    # What a user says in a dict of his own may be what happens anyway.
    make_config().update_from_dict({"num_epochs": 1}).validate()


def test_all_that_is_changed_in_vain_is_told_at_once():
    config = make_config(lr=0.1, num_epochs=3).reporting(log_gradients=True)
    config.rl_module(model_config={"head_fcnet_hiddens": [8], "fcnet_hidens": [8]})
    config.multi_agent(algorithm_config_overrides_per_module={"palyer_0": {"tau": 0.1}})
    with pytest.raises(ValueError, match=r"^6 settings cannot be used here:\n- ") as error:
        config.validate()
    told = str(error.value)
    for name in ("lr", "num_epochs", "log_gradients", "head_fcnet_hiddens"):
        assert f"`{name}` is " in told
    assert "Did you mean 'fcnet_hiddens'?" in told
    assert "Did you mean 'player_0'?" in told


def test_a_long_value_is_shortened_in_a_message():
    config = make_config(model={f"key_{i}": "x" * 50 for i in range(100)})
    with pytest.raises(ValueError, match=r"`model` is .*rl_module\(model_config") as error:
        config.validate()
    assert len(str(error.value)) < 200


def test_what_has_no_effect_is_no_part_of_the_dict_that_tune_mutates():
    found = make_config().to_dict()
    assert not REFUSED.keys() & found.keys()
    assert {"gamma", "alpha", "env", "policies", "callbacks"} <= found.keys()
    assert make_config().serialize()["lr"] == 0.001  # RLlib's own format wants all.


def of_dict(config: Any) -> Any:
    return type(config)().update_from_dict(config.to_dict())


def of_state(config: Any) -> Any:
    return type(config).from_state(config.get_state())


WAYS = [of_dict, of_state, lambda config: config.copy(copy_frozen=False)]


@pytest.mark.parametrize("carried", WAYS, ids=["dict", "state", "copy"])
def test_what_was_given_in_vain_is_told_whichever_way_the_configuration_goes(carried):
    config = carried(make_config(noisy=True, lr=0.001, num_epochs=2))
    with pytest.raises(ValueError, match=r"^3 settings"):
        config.validate()


@pytest.mark.parametrize("carried", WAYS, ids=["dict", "state", "copy"])
@pytest.mark.parametrize(
    "name",
    [
        "alpha",
        "evaluation_interval",
        "gamma",
        "grad_clip",
        "kl_coeff",
        "max_sampling_lag",
        "num_env_runners",
        "num_learners",
        "prior_window",
        "q_lr",
        "replay_capacity",
        "rollout_fragment_length",
        "seed",
        "tau",
        "train_batch_size_per_learner",
        "updates_per_env_step",
    ],
)
def test_minus_1_is_a_value_and_not_the_default(carried, name):
    config = make_config()
    setattr(config, name, -1)
    arrived = carried(config)
    assert getattr(arrived, name) == -1
    with pytest.raises(ValueError, match=f"`{name}` is -1; allowed"):
        arrived.validate()


def test_a_minus_1_that_means_something_to_rllib_arrives():
    config = of_state(make_config().fault_tolerance(max_num_env_runner_restarts=-1))
    config.validate()
    assert config.max_num_env_runner_restarts == -1


def test_a_learner_class_of_another_algorithm_is_refused():
    from rommeo_rllib.baselines.masql import MASQLLearner
    from rommeo_rllib.rommeo_ac.learner import ROMMEOACLearner

    class Own(ROMMEOACLearner):
        pass

    make_config(learner_class=Own, learner_config_dict={"anything": 1}).validate()
    for wrong, said in ((MASQLLearner, "MASQLLearner"), ("Own", "'Own'")):
        with pytest.raises(ValueError, match=f"`learner_class` is {said}; allowed: .*ROMMEOACL"):
            make_config(learner_class=wrong).validate()


def test_settings_that_only_an_own_learner_would_read_are_refused_without_one():
    with pytest.raises(ValueError, match=r"`learner_config_dict` is \{'anything': 1\}"):
        make_config(learner_config_dict={"anything": 1}).validate()


@pytest.mark.parametrize("name", ["kl_coeff", "opponent_model_lr"])
def test_an_ablation_refuses_what_it_makes_nothing_of(name):
    config = (
        ROMMEOACEMPConfig().environment("max_of_two_quadratics").multi_agent(policies={"player_0"})
    )
    config.paper_settings().validate()
    with pytest.raises(ValueError, match=f"`{name}` is 0.5; the opponent model is the prior"):
        config.training(**{name: 0.5}).validate()


def test_an_evaluation_cannot_have_settings_of_the_training():
    wrong = make_config().evaluation(evaluation_config={"alpha": 0.1, "explore": False})
    with pytest.raises(ValueError, match="`evaluation_config` gives `alpha`"):
        wrong.validate()
    make_config().evaluation(evaluation_config={"fast_sampling": False}).validate()
