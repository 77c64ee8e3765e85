"""What `rommeo_rllib.rllib_boundary` takes for granted of Ray. No Ray runtime.

Where one of these fails with another version of Ray, the boundary is to be changed, and nothing
else: the first tests hold that nobody else uses a private name of Ray's.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import signal
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import pytest
import ray
import ray.rllib
import torch
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.connectors.env_to_module import MeanStdFilter
from ray.rllib.core.models.base import ENCODER_OUT
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.env.env_runner_group import EnvRunnerGroup
from ray.rllib.env.multi_agent_env_runner import MultiAgentEnvRunner
from ray.rllib.env.multi_agent_episode import MultiAgentEpisode
from ray.rllib.utils.actor_manager import FaultTolerantActorManager
from ray.tune import grid_search, register_env
from ray.tune.experiment import Trial
from ray.tune.search.basic_variant import BasicVariantGenerator

import rommeo_rllib
from rommeo_rllib.experiments.configurations import load
from rommeo_rllib.joint_action.sampling.env_runner import JointActionEnvRunner
from rommeo_rllib.rllib_boundary import CONNECTORS, HOOKS, KEPT_AS, configs, running, tune
from rommeo_rllib.rllib_boundary.env_runners import OpenEnvRunner, connectors
from rommeo_rllib.rllib_boundary.episodes import (
    OrderedEpisode,
    PerAgentMeanStdFilter,
    mend_filters,
)

# Who uses what.

PACKAGE = Path(rommeo_rllib.__file__).parent
BOUNDARY = "rommeo_rllib.rllib_boundary"
MODULES = sorted(
    m.name for m in pkgutil.walk_packages(rommeo_rllib.__path__, "rommeo_rllib.") if not m.ispkg
)
OF_OTHERS = {"_buffers": "torch's", "_exit": "of `os`", "_foreach_lerp_": "torch's"}
TABLES = {
    "rommeo_rllib.joint_action.settings.ledger": "it lists every setting, private ones too",
    "rommeo_rllib.joint_action.settings.other_algorithms": "it lists settings of algorithms",
}
PRIVATE = re.compile(r"_[a-zA-Z]\w*")


@cache
def private_names(cls: type) -> frozenset[str]:
    """Private names that a class of Ray's has of its own, its instances' attributes included."""
    source = textwrap.dedent(inspect.getsource(cls))
    assigned = re.findall(r"\bself\.(_[a-zA-Z]\w*)\b", source)
    return frozenset(name for name in (*assigned, *vars(cls)) if PRIVATE.fullmatch(name))


def of_ray(cls: type) -> frozenset[str]:
    """Private names of all classes of Ray's that a class derives from."""
    bases = [one for one in inspect.getmro(cls) if one.__module__.startswith("ray.")]
    return frozenset().union(*map(private_names, bases))


def hooks_of(cls: type) -> set[str]:
    """Private methods of Ray's that a class may override."""
    bases = {f"{one.__module__}.{one.__qualname__}" for one in inspect.getmro(cls)}
    return {name for base in bases & HOOKS.keys() for name in HOOKS[base]}


def is_own(node: ast.expr) -> bool:
    """Whether it is `self`, `cls` or `super()`."""
    called = node.func if isinstance(node, ast.Call) else node
    return isinstance(called, ast.Name) and called.id in ("self", "cls", "super")


def uses_in_classes(tree: ast.Module, get_class: Any) -> Iterator[tuple[int, str]]:
    """What methods use or define that a base class of Ray's has for itself."""
    for node in ast.walk(tree):
        cls = get_class(node.name) if isinstance(node, ast.ClassDef) else None
        if cls is None:
            continue
        theirs = of_ray(cls) - hooks_of(cls)
        for inner in ast.walk(node):
            if isinstance(inner, ast.Attribute) and is_own(inner.value) and inner.attr in theirs:
                yield inner.lineno, inner.attr
            if isinstance(inner, ast.FunctionDef) and inner.name in theirs:
                yield inner.lineno, inner.name


def uses_of_others(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Private names that are used of somebody else, or imported, and not defined in the module."""
    nodes = list(ast.walk(tree))
    defined = {n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    defined |= {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    defined |= {
        n.attr
        for n in nodes
        if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store) and is_own(n.value)
    }
    for node in nodes:
        found: list[str] = []
        if isinstance(node, ast.Attribute) and not is_own(node.value):
            found = [node.attr]
        elif isinstance(node, ast.ImportFrom):
            found = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
        elif isinstance(node, ast.Import):
            found = [part for alias in node.names for part in alias.name.split(".")]
        for name in found:
            if PRIVATE.fullmatch(name) and name not in defined and name not in OF_OTHERS:
                yield node.lineno, name


SETTINGS = frozenset(name for name in vars(AlgorithmConfig()) if PRIVATE.fullmatch(name))


def uses_as_text(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Private names in quotes: of settings, and whatever `getattr` and the like are given."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value in SETTINGS | {
            f"_{c}" for c in CONNECTORS
        }:
            yield node.lineno, node.value
        name = (
            node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
        )
        if name in ("getattr", "setattr", "hasattr", "delattr"):
            given = node.args[1]
            first = given.values[0] if isinstance(given, ast.JoinedStr) else given
            if isinstance(first, ast.Constant) and re.match(r"_(?!_)", str(first.value)):
                yield node.lineno, ast.unparse(given)


def uses(tree: ast.Module, get_class: Any, *, is_table: bool = False) -> list[tuple[int, str]]:
    """Line and name of each use of what Ray keeps to itself."""
    as_text = () if is_table else uses_as_text(tree)
    return sorted({*uses_in_classes(tree, get_class), *uses_of_others(tree), *as_text})


@pytest.mark.parametrize("name", [m for m in MODULES if not m.startswith(BOUNDARY)])
def test_nobody_but_the_boundary_uses_what_ray_keeps_to_itself(name):
    module = importlib.import_module(name)
    found = uses(
        ast.parse(Path(module.__file__).read_text(encoding="utf-8")),
        lambda cls: vars(module).get(cls),
        is_table=name in TABLES,
    )
    assert not found, f"{name} uses {found}; put a function for it into {BOUNDARY}"


class Peeking(MultiAgentEnvRunner):
    def first(self):
        return self._ongoing_episodes

    def _reset_envs(self, *args):
        pass


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from ray.train._internal.session import Session", "_internal"),
        ("from ray.tune.registry import _global_registry", "_global_registry"),
        ("import ray._private.utils", "_private"),
        ("ray._private.utils.f()", "_private"),
        ("config._validate_config", "_validate_config"),
        ("group._learner.update()", "_learner"),
        ("config._is_frozen = False", "_is_frozen"),
        ("getattr(config, '_anything')", "'_anything'"),
        ("getattr(config, f'_{name}')", "f'_{name}'"),
        ("vars(config).update({'_is_frozen': False})", "_is_frozen"),
    ],
)
def test_a_use_elsewhere_would_be_found(source, expected):
    assert expected in [name for _, name in uses(ast.parse(source), lambda _: None)]


def test_uses_by_subclasses_would_be_found():
    tree = ast.parse(inspect.getsource(Peeking))
    found = {name for _, name in uses_in_classes(tree, lambda _: Peeking)}
    assert found == {"_ongoing_episodes", "_reset_envs"}


# Methods that are overridden.


@pytest.mark.parametrize(
    ("path", "name"), [(path, name) for path, names in HOOKS.items() for name in names]
)
def test_rllib_still_has_the_private_methods_that_are_overridden(path, name):
    module, _, cls = path.rpartition(".")
    base = getattr(importlib.import_module(module), cls)
    hook = inspect.getattr_static(base, name, None)
    assert hook is not None, f"RLlib has no `{cls}.{name}` any more: the override does nothing"
    parameters = tuple(inspect.signature(getattr(hook, "fget", None) or hook).parameters)
    assert parameters == HOOKS[path][name], f"RLlib calls `{cls}.{name}` with other arguments"
    calls = re.compile(rf"\.{name}\b")
    callers = [one for one in inspect.getmro(base) if one.__module__.startswith("ray.")]
    assert any(calls.search(inspect.getsource(one)) for one in callers), (
        f"RLlib does not call `{cls}.{name}` any more: the override does nothing"
    )


# Configurations.


def small_config() -> Any:
    """Of two policies, with small networks."""
    config = load("climbing_game/rommeo_ac").config
    return config.rl_module(model_config={"fcnet_hiddens": [4]}).debugging(seed=7)


def test_a_frozen_configuration_can_be_changed():
    config = AlgorithmConfig()
    config.freeze()
    with pytest.raises(AttributeError, match="frozen"):
        config.gamma = 0.5
    with configs.thawed(config):
        config.gamma = 0.5
    assert config.gamma == 0.5
    with pytest.raises(AttributeError, match="frozen"):
        config.gamma = 0.6


def test_a_copy_can_be_changed_and_keeps_no_module_s_configuration():
    config = AlgorithmConfig().multi_agent(policies={"one"})
    config.rl_module(algorithm_config_overrides_per_module={"one": {"gamma": 0.5}})
    config.get_config_for_module("one")
    config.freeze()
    assert "one" in configs.kept_for_modules(config), (
        "RLlib keeps modules' configurations elsewhere"
    )
    own = configs.thawed_copy(config)
    own.gamma = 0.7
    assert (configs.kept_for_modules(own), config.gamma) == ({}, 0.99)


def build_connector(*_: Any) -> None:
    """What a user gives, by name only."""


@pytest.mark.parametrize(
    ("method", "argument", "value", "read"),
    [
        ("rl_module", "model_config", {"fcnet_hiddens": [3]}, configs.given_model_config),
        ("rl_module", "rl_module_spec", RLModuleSpec(), configs.given_module_spec),
        ("training", "learner_connector", build_connector, None),
        ("training", "learner_class", type("Own", (), {}), configs.given_learner_class),
        *(("env_runners", f"{name}_connector", build_connector, None) for name in CONNECTORS),
    ],
)
def test_rllib_keeps_what_a_method_is_given_where_it_is_read(method, argument, value, read):
    config = AlgorithmConfig()
    getattr(config, method)(**{argument: value})
    kept_as = KEPT_AS.get(argument, f"_{argument}")
    assert getattr(config, kept_as, None) is value, f"RLlib keeps `{argument}` elsewhere"
    if read is not None:
        assert read(config) is value
    if argument.removesuffix("_connector") in CONNECTORS:
        assert configs.given_connector(config, argument.removesuffix("_connector")) is value


def test_validation_can_be_switched_off():
    config = AlgorithmConfig()
    assert configs.is_validated(config)
    assert not configs.is_validated(config.experimental(_validate_config=False))


def test_the_algorithm_s_own_model_settings_get_into_each_model_config():
    class Own(AlgorithmConfig):
        @property
        def _model_config_auto_includes(self):
            return super()._model_config_auto_includes | {"own": 1}

    assert configs.model_config_defaults(Own())["own"] == 1
    assert Own().model_config["own"] == 1, "RLlib makes model configurations of something else"


def test_keys_of_dicts_are_translated_into_attributes():
    assert configs.attribute_name("lambda") == "lambda_"
    assert configs.attribute_name("gamma") == "gamma"


def test_settings_are_written_as_json_can_tell_them():
    assert configs.as_json(AlgorithmConfig().to_dict())["gamma"] == 0.99


# Algorithms, learners, groups of env runners.


@pytest.fixture(scope="module")
def env_runner() -> JointActionEnvRunner:
    return JointActionEnvRunner(config=small_config(), worker_index=0)


@pytest.fixture
def learner_group(env_runner) -> Any:
    return small_config().build_learner_group(spaces=env_runner.get_spaces())


def test_an_algorithm_makes_the_environment_that_it_is_given():
    algorithm = Algorithm.__new__(Algorithm)
    register_env("of_the_boundary", lambda context: ("made", context))
    running.set_environment(algorithm, AlgorithmConfig().environment("of_the_boundary"))
    assert algorithm.env_creator("it") == ("made", "it")
    setup = inspect.getsource(Algorithm.setup)
    assert "self.env_creator" in setup, "`Algorithm.setup` makes the environment by other means"
    assert "self._env_id" in inspect.getsource(Algorithm), "RLlib keeps its name elsewhere"


@pytest.mark.parametrize(
    ("components", "not_components", "expected"),
    [
        (None, None, True),
        ("replay", None, True),
        (["replay"], None, True),
        (["other"], None, False),
        (None, ["replay"], False),
    ],
)
def test_components_are_asked_for_as_get_state_says(components, not_components, expected):
    algorithm = Algorithm.__new__(Algorithm)
    assert running.is_asked_for(algorithm, "replay", components, not_components) is expected


def test_a_learner_group_without_processes_has_its_learner_here(learner_group):
    assert isinstance(running.local_learner(learner_group), small_config().learner_class)


def test_forgotten_optimizers_leave_nothing_behind(learner_group):
    learner = running.local_learner(learner_group)
    (group,) = learner.groups
    name = group.ids[0]
    optimizer = learner.get_optimizer(name)
    assert running.forget_optimizers(learner, name) == [optimizer]
    assert learner.get_optimizers_for_module(name) == []
    left = [k for k, v in vars(learner).items() if isinstance(v, dict) and optimizer in v.values()]
    assert left == [], "RLlib notes optimizers in further places"
    # As if it had never been there.
    parameter = torch.nn.Parameter(torch.zeros(2))
    again = torch.optim.SGD([parameter], lr=0.1)
    learner.register_optimizer(module_id=name, optimizer=again, params=[parameter])
    assert learner.get_optimizer(name) is again


def test_env_runners_take_up_weights_of_more_updates_only(env_runner, learner_group):
    learner = running.local_learner(learner_group)
    name = next(iter(env_runner.module.keys()))

    def handed_out(change: float) -> float:
        with torch.no_grad():
            for parameter in learner.module[name].parameters():
                parameter.fill_(change)
        state = learner_group.get_state(components=["learner/rl_module"], inference_only=True)
        env_runner.set_state(state["learner"])
        return float(next(iter(env_runner.module[name].parameters())).flatten()[0])

    running.count_update(learner)
    assert handed_out(1.0) == 1.0
    running.count_update(learner)
    assert handed_out(2.0) == 2.0
    running.expect_any_weights(learner)
    running.count_update(learner)
    assert handed_out(3.0) == 2.0, "weights of fewer updates are taken up: `expect_any_weights`"
    running.expect_any_weights(env_runner)
    assert handed_out(4.0) == 4.0


class Waiting:
    """An actor to which a message is sent; nothing answers."""

    def __init__(self) -> None:
        self.told = 0
        self.apply = SimpleNamespace(remote=self._tell)

    def _tell(self, *_: Any, **__: Any) -> int:
        self.told += 1
        return self.told


def test_within_nothing_dropped_each_message_is_sent():
    actor = Waiting()
    manager = FaultTolerantActorManager([actor], max_remote_requests_in_flight_per_actor=1)
    group = EnvRunnerGroup.__new__(EnvRunnerGroup)
    group._worker_manager = manager
    for _ in range(3):
        manager.foreach_actor_async(lambda one: one)
    assert actor.told == 1, "RLlib drops nothing any more: `nothing_dropped` is not needed"
    with running.nothing_dropped([group]):
        for _ in range(3):
            manager.foreach_actor_async(lambda one: one)
    assert actor.told == 4, "RLlib keeps the limit elsewhere"
    manager.foreach_actor_async(lambda one: one)
    assert actor.told == 4, "the limit is not put back"


def test_an_env_runner_that_is_replaced_is_no_longer_asked(monkeypatch):
    killed = []
    monkeypatch.setattr(ray, "kill", lambda actor, no_restart: killed.append((actor, no_restart)))
    actors = [Waiting(), Waiting()]
    group = EnvRunnerGroup.__new__(EnvRunnerGroup)
    group._worker_manager = FaultTolerantActorManager(actors, init_id=1)
    running.replace_env_runner(group, 2)
    assert killed == [(actors[1], False)]
    assert group.healthy_worker_ids() == [1]


def test_rllib_s_own_convolutions_can_be_had():
    space = gym.spaces.Box(0, 1, (8, 8, 3))
    settings = vars(DefaultModelConfig()) | {"conv_filters": [[4, 4, 2]], "use_lstm": False}
    encoder = running.image_encoder(space, settings)
    assert encoder({"obs": torch.zeros(2, 8, 8, 3)})[ENCODER_OUT].shape[0] == 2


# Env runners and episodes.


def test_an_env_runner_that_begins_anew_resets_its_environments(env_runner):
    assert env_runner.device == torch.device("cpu")
    env_runner.sample(num_timesteps=1)
    assert not env_runner.begins_anew
    resets = []
    reset = env_runner.env.reset
    try:
        env_runner.env.reset = lambda **given: resets.append(given["seed"]) or reset(**given)
        env_runner.sample(num_timesteps=1)
        assert resets == []
        env_runner.begins_anew = True
        env_runner.sample(num_timesteps=1)
        env_runner.env_seed, env_runner.begins_anew = None, True
        env_runner.sample(num_timesteps=1)
    finally:
        env_runner.env.reset = reset
    assert resets == [7, None], "RLlib resets or seeds its environments by other names"


def test_an_env_runner_s_connectors_are_found_by_name(env_runner):
    found = connectors(env_runner)
    parts = dict(env_runner.get_checkpointable_components())
    assert list(found) == list(CONNECTORS)
    for name, pipeline in found.items():
        assert parts[f"{name}_connector"] is pipeline


def test_rllib_s_env_runner_samples_ordered_episodes_and_tells_what_ended(monkeypatch):
    told = []
    monkeypatch.setattr(OpenEnvRunner, "log_episode", lambda self, summary: told.append(summary))
    config = small_config().env_runners(env_runner_cls=OpenEnvRunner)
    runner = OpenEnvRunner(config=config, worker_index=0)
    episodes = runner.sample(num_episodes=1)
    runner.get_metrics()
    assert {type(episode) for episode in episodes} == {OrderedEpisode}
    ((length, total, _, by_agent, _, steps),) = told
    assert length == len(episodes[0]) == steps["player_0"]
    assert total == pytest.approx(sum(by_agent.values())), "RLlib reports episodes otherwise"


def test_an_episode_of_rllib_s_can_be_turned_into_an_ordered_one():
    episode = MultiAgentEpisode()
    episode.__class__ = OrderedEpisode
    assert isinstance(episode, OrderedEpisode), "the layouts of the two classes differ"


def test_a_cut_episode_remembers_the_last_observation_of_each_agent():
    episode = MultiAgentEpisode(observations=[{"a": 1, "b": 2}], agent_module_ids={"a": "p"})
    episode.__class__ = OrderedEpisode
    episode.add_env_step({"a": 3, "b": 4}, {"a": 0, "b": 0}, {"a": 1.0, "b": 1.0})
    after = episode.cut()
    # "a" terminates without an observation.
    after.add_env_step({"b": 5}, {"a": 0, "b": 0}, {"a": 1.0, "b": 1.0}, terminateds={"a": True})
    assert after.agent_episodes["a"].get_observations() == [3, 3], (
        "RLlib repeats something else for an agent that ends unseen"
    )


def test_filters_can_be_turned_into_those_that_merge_agent_by_agent():
    pieces = [MeanStdFilter(), object()]
    mend_filters(pieces)
    assert type(pieces[0]) is PerAgentMeanStdFilter
    assert type(pieces[1]) is object


# Tune, and Ray itself.


def test_registered_environments_are_known():
    register_env("of_the_boundary", lambda _: None)
    assert tune.is_registered("of_the_boundary")
    assert not tune.is_registered("not_of_the_boundary")


def test_a_trial_that_was_renamed_makes_room_when_it_ends():
    search = BasicVariantGenerator(max_concurrent=1)
    search.add_configurations({"of": small_experiment()})
    first = search.next_trial()
    assert search.next_trial() is None, "Tune counts what is under way elsewhere"
    tune.rename_trial(search, first, "mine")
    assert first.trial_id == "mine"
    search.on_trial_complete("mine")
    assert search.next_trial() is not None


def small_experiment() -> dict[str, Any]:
    """Two trials of something that is never run."""

    def trainable(config: dict[str, Any]) -> None:
        pass

    return {"run": trainable, "config": {"number": grid_search([0, 1])}}


def test_a_new_trial_begins_with_the_checkpoint_it_is_given(tmp_path):
    trial = Trial("of_the_boundary", stub=True, storage=storage(tmp_path))
    folder = tmp_path / "checkpoint_000004"
    folder.mkdir()
    tune.go_on(trial, str(folder))
    assert trial.checkpoint is not None, "Tune asks for the checkpoint to begin with elsewhere"
    assert Path(trial.checkpoint.path) == folder
    trial.storage._update_checkpoint_index({})
    assert trial.storage.checkpoint_dir_name == "checkpoint_000005"


def storage(folder: Path) -> Any:
    """Where a trial writes."""
    from ray.train._internal.storage import StorageContext

    return StorageContext(str(folder), "experiment", trial_dir_name="trial")


def test_ray_can_be_started_without_its_handler_of_sigterm():
    before = signal.getsignal(signal.SIGTERM)
    with tune.sigterm_left_alone():
        ray._private.utils.set_sigterm_handler(lambda *_: None)
        assert signal.getsignal(signal.SIGTERM) is before
    assert "ray._private.utils.set_sigterm_handler(" in inspect.getsource(ray._private.worker), (
        "Ray sets its handler by another function"
    )
