"""Configurations by name and by file, and settings from the command line."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from rommeo_rllib import ROMMEOACConfig, tuned_configs
from rommeo_rllib.errors import UsageError
from rommeo_rllib.experiments import configurations
from rommeo_rllib.experiments.settings import apply_settings

NAME = "climbing_game/rommeo_ac"
MODULE = "rommeo_rllib.tuned_configs.climbing_game.rommeo_ac"
FILE = """
from rommeo_rllib import ROMMEOACConfig, tuned_configs

config = ROMMEOACConfig().environment("climbing_game").training(alpha=0.7)
stop = {"num_env_steps_sampled_lifetime": 12}
"""


def changed(*settings: str):
    config = configurations.load(NAME).config
    apply_settings(config, settings)
    return config


def written(folder: Path, text: str) -> str:
    path = folder / "mine.py"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.25", 0.25),
        ("None", None),
        ("True", True),
        ("[[0, 0.1], [100, 0.01]]", [[0, 0.1], [100, 0.01]]),
        ('{"initial": 2.0}', {"initial": 2.0}),
        ("auto", "auto"),
        ("a=b", "a=b"),
        ("[1,", "[1,"),
    ],
)
def test_a_value_is_a_python_literal_or_else_a_string(text, value):
    found = changed(f"alpha={text}").alpha
    assert found == value
    assert type(found) is type(value)


def test_a_nested_key_leaves_its_neighbours_as_they_are():
    before = configurations.load(NAME).config
    config = changed("alpha.initial=3.5", "env_config.deep.er=1")
    assert config.alpha == {**before.alpha, "initial": 3.5}
    assert config.env_config == {**before.env_config, "deep": {"er": 1}}


def test_settings_apply_in_the_order_given():
    assert changed("alpha=1.0", "alpha=2.0").alpha == 2.0
    assert changed("alpha={}", "alpha.initial=4").alpha == {"initial": 4}


def test_keys_are_the_arguments_that_a_configuration_takes():
    config = changed("model_config.fcnet_hiddens=[8]", "train_batch_size_per_learner=7")
    assert config.model_config["fcnet_hiddens"] == [8]
    assert config.train_batch_size_per_learner == 7


def test_the_loaded_file_keeps_its_own_values():
    module = importlib.import_module(MODULE)
    plays, initial = module.config.env_config["plays_per_episode"], module.config.alpha["initial"]
    rate, stop = module.config.q_lr, dict(module.stop)
    loaded = configurations.load(NAME)
    settings = ["q_lr=0.5", "env_config.plays_per_episode=2", "alpha.initial=1.5"]
    apply_settings(loaded.config, settings)
    loaded.stop["num_env_steps_sampled_lifetime"] = 1
    assert loaded.config.q_lr == 0.5
    assert module.config.q_lr == rate
    assert module.config.env_config["plays_per_episode"] == plays
    assert module.config.alpha["initial"] == initial
    assert module.stop == stop


def test_a_nested_setting_leaves_the_dict_that_was_given_as_it_is():
    alpha = {"initial": 2.0, "final": 0.1, "decay_steps": 10}
    config = configurations.load(NAME).config.training(alpha=alpha)
    apply_settings(config, ["alpha.initial=3.0"])
    assert config.alpha["initial"] == 3.0
    assert alpha["initial"] == 2.0


@pytest.mark.parametrize(
    ("setting", "nearest"),
    [
        ("q_lrr=0.1", "q_lr"),
        ("alhpa.initial=1", "alpha"),
        ("model_confg.fcnet_hiddens=[8]", "model_config"),
        ("train_batch_size_per_leaner=7", "train_batch_size_per_learner"),
    ],
)
def test_a_misspelt_key_names_the_nearest(setting, nearest):
    with pytest.raises(
        UsageError, match=rf"there is no key .* Did you mean '{nearest}'\?"
    ) as error:
        changed(setting)
    assert setting in str(error.value)


@pytest.mark.parametrize("key", ["training", "validate", "is_multi_agent", "num_rollout_workers"])
def test_what_is_no_value_of_a_configuration_is_no_key(key):
    with pytest.raises(UsageError, match=f"there is no key '{key}'"):
        changed(f"{key}=1")


@pytest.mark.parametrize("setting", ["alpha", "=0.5", ""])
def test_a_setting_without_key_or_value_is_refused(setting):
    with pytest.raises(UsageError, match="expected key=value"):
        changed(setting)


@pytest.mark.parametrize("setting", ["q_lr.initial=1", "env_config.plays_per_episode.x=1"])
def test_a_key_inside_of_what_is_no_dict_is_refused(setting):
    with pytest.raises(UsageError, match="which is no dict"):
        changed(setting)


def test_a_configuration_is_loaded_by_its_name():
    loaded, module = configurations.load(NAME), importlib.import_module(MODULE)
    assert loaded.name == NAME
    assert loaded.config.to_dict() == module.config.to_dict()
    assert loaded.stop == module.stop


def test_the_listed_names_are_those_of_the_files_and_of_the_tabular_learners():
    folder = Path(tuned_configs.__path__[0])
    files = {
        path.relative_to(folder).with_suffix("").as_posix()
        for path in folder.rglob("*.py")
        if path.name != "__init__.py"
    }
    assert NAME in files
    assert configurations.names() == sorted(files | tuned_configs.tabular().keys())


def test_a_configuration_is_loaded_from_a_file(tmp_path):
    loaded = configurations.load(written(tmp_path, FILE))
    assert loaded.name == (tmp_path / "mine").as_posix()
    assert loaded.config.env == "climbing_game"
    assert loaded.config.alpha == 0.7
    assert loaded.stop == {"num_env_steps_sampled_lifetime": 12}


@pytest.mark.parametrize("missing", ["config", "stop"])
def test_a_file_that_lacks_one_of_the_two_is_refused(tmp_path, missing):
    text = FILE.replace(f"\n{missing} = ", "\nother = ")
    with pytest.raises(UsageError, match=f"has no `{missing}`"):
        configurations.load(written(tmp_path, text))


def test_a_config_that_is_only_a_dict_is_refused(tmp_path):
    with pytest.raises(UsageError, match="`config` is a dict; allowed: an AlgorithmConfig"):
        configurations.load(written(tmp_path, "config = {}\nstop = {}\n"))


def test_a_tabular_learners_configuration_names_the_command_for_it():
    with pytest.raises(UsageError, match="rommeo sweep climbing_game/rommeo_q`"):
        configurations.load("climbing_game/rommeo_q")


def test_a_file_that_is_not_there_is_named(tmp_path):
    path = str(tmp_path / "nowhere.py")
    with pytest.raises(UsageError) as error:
        configurations.load(path)
    assert str(error.value) == f"There is no file {path}."


def test_an_unknown_name_names_the_nearest():
    with pytest.raises(UsageError, match=f"Did you mean '{NAME}'"):
        configurations.load("climbing_game/romeo_ac")


def test_a_name_unlike_all_others_gets_no_guess():
    with pytest.raises(UsageError, match="There is no configuration 'xyz'") as error:
        configurations.load("xyz")
    assert "Did you mean" not in str(error.value)


def test_a_configuration_file_may_have_a_getattr_of_its_own(tmp_path):
    file = written(tmp_path, "def __getattr__(name): raise RuntimeError(name)")
    with pytest.raises(UsageError, match="has no `config`"):
        configurations.load(file)


@pytest.mark.parametrize(
    ("setting", "name", "value"),
    [
        ("twin_q=mean", "twin_q", "mean"),
        ("n_step=(1, 3)", "n_step", (1, 3)),
        ('replay_priorities={"alpha": 0.5}', "replay_priorities", {"alpha": 0.5}),
        ("opponent_groups=None", "opponent_groups", None),
    ],
)
def test_an_option_takes_values_of_all_its_kinds(setting, name, value):
    config = ROMMEOACConfig()
    apply_settings(config, [setting])
    assert getattr(config, name) == value
    config.check_values()


@pytest.mark.parametrize("setting", ["twin_q=false", "twin_q=median", "q_layer_norm=mean"])
def test_a_flag_takes_no_other_text(setting):
    with pytest.raises(UsageError, match="allowed: True or False"):
        apply_settings(ROMMEOACConfig(), [setting])
