"""Finds, loads and checks configurations by name."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import pkgutil
import traceback
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from rommeo_rllib import tuned_configs
from rommeo_rllib.checks import is_finite_number
from rommeo_rllib.errors import UsageError, one_line
from rommeo_rllib.experiments.folders import is_file, is_folder
from rommeo_rllib.experiments.ray_session import import_ray_quietly
from rommeo_rllib.experiments.trials import ENV_STEPS, as_json
from rommeo_rllib.naming import did_you_mean, shown
from rommeo_rllib.rllib_boundary.tune import is_registered
from rommeo_rllib.tuned_configs import TabularConfiguration

if TYPE_CHECKING:
    from ray.rllib.algorithms.algorithm_config import AlgorithmConfig


@dataclass
class Configuration:
    """A configuration file, loaded: the algorithm's config and when to stop."""

    name: str
    config: AlgorithmConfig
    stop: dict[str, Any]


def names() -> list[str]:
    """The names of all configurations that come with the package, such as "game/algorithm"."""
    prefix = tuned_configs.__name__ + "."
    modules = pkgutil.walk_packages(tuned_configs.__path__, prefix)
    files = (m.name.removeprefix(prefix).replace(".", "/") for m in modules if not m.ispkg)
    return sorted([*files, *tuned_configs.tabular()])


def load(name_or_file: str) -> Configuration:
    """Loads a configuration that comes with the package, or a Python file of the same form.

    Raises:
        UsageError: if there is none of that name, or the file lacks `config` or `stop`.
    """
    module: Any = import_file(name_or_file)
    if is_tabular(module):
        raise UsageError(
            f"{name_or_file} is of a tabular learner, all of whose trials play at once: use "
            f"`rommeo sweep {name_or_file}` or `rommeo reproduce figure-1`."
        )
    for attribute in ("config", "stop"):
        if attribute not in vars(module):
            raise UsageError(
                f"{name_or_file} has no `{attribute}`; a configuration is a Python file with "
                "`config` (an AlgorithmConfig) and `stop` (a dict)."
            )
    _check_config(module.config, name_or_file)
    check_stop(module.stop, name_or_file)
    config = module.config.copy(copy_frozen=False)
    return Configuration(Path(name_or_file).with_suffix("").as_posix(), config, dict(module.stop))


def _check_config(config: Any, file: str) -> None:
    from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

    if not isinstance(config, AlgorithmConfig):
        given = f"the class {config.__name__}" if isinstance(config, type) else ""
        raise UsageError(
            f"{file}: `config` is {given or f'a {type(config).__name__}'}; allowed: an "
            "AlgorithmConfig, such as ROMMEOACConfig()."
        )
    if config.algo_class is None:
        raise UsageError(
            f"{file}: `config` is a {type(config).__name__} of no algorithm; allowed: that of one, "
            "such as ROMMEOACConfig()."
        )


def check_stop(stop: Any, file: str) -> None:
    """Raises a UsageError unless `stop` is a dict from paths of results to numbers."""
    if not isinstance(stop, Mapping):
        raise UsageError(
            f"{file}: `stop` is {shown(stop)}; allowed: a dict, such as {{{ENV_STEPS!r}: 5000}}."
        )
    for key, value in stop.items():
        if not isinstance(key, str) or not key:
            raise UsageError(
                f"{file}: `stop` has the key {shown(key)}; allowed: paths of results, such as "
                f"{ENV_STEPS!r} or 'env_runners/episode_return_mean'."
            )
        if isinstance(value, Mapping) and value:
            raise UsageError(
                f"{file}: `stop` has a dict at {key!r}; give its path in one, such as "
                f"'{key}/{next(iter(value))}'."
            )
        is_count = key in (ENV_STEPS, "training_iteration")
        if not is_finite_number(value) or (is_count and value < 1):
            allowed = "a number of at least 1" if is_count else "a finite number"
            raise UsageError(f"{file}: `stop[{key!r}]` is {shown(value)}; allowed: {allowed}.")


def _told(error: BaseException, path: Path) -> str:
    """What went wrong in somebody's file, and in which of its lines."""
    lines = [
        step.lineno
        for step in traceback.extract_tb(error.__traceback__)
        if step.filename.endswith(str(path))
    ]
    line = getattr(error, "lineno", None) or (lines[-1] if lines else None)
    where = f"{path}, line {line}" if line else str(path)
    if isinstance(error, SystemExit):
        return f"{where}: the file ends the program (SystemExit: {error}); let it only set values."
    hint = ""
    if isinstance(error, ModuleNotFoundError):
        hint = " Install what it needs, or run the command where Python finds it."
    return f"{where}: {one_line(error)}.{hint}"


def is_tabular(module: ModuleType | TabularConfiguration) -> bool:
    """Whether a configuration file is of a tabular learner: it holds `learner` and `settings`."""
    return "learner" in vars(module)


def validate(config: AlgorithmConfig, settings: Iterable[str] = ()) -> None:
    """Checks a configuration before anything is begun.

    Args:
        config: the configuration, with the settings.
        settings: what the command line has set, for the message.

    Raises:
        UsageError: if it cannot be used.
    """
    _check_environment(config.env)
    try:
        config.validate()
        _make_game(config)
    except ValueError as error:
        raise UsageError(_without_rllibs_advice(str(error))) from error
    except Exception as error:
        said = ", ".join(f"--set {setting}" for setting in settings)
        where = f"{said}: this" if said else "The configuration"
        raise UsageError(
            f"{where} cannot be used ({one_line(error)}); allowed: values of the kind that the "
            "default is of, see RLlib's AlgorithmConfig."
        ) from error


def validate_game(config: AlgorithmConfig) -> None:
    """Checks what a game is played by without training.

    Raises:
        UsageError: if there is no such game, or not with these settings.
    """
    from rommeo_rllib.joint_action.settings.strict_config import StrictConfig

    _check_environment(config.env)
    try:
        if isinstance(config, StrictConfig):
            config.check_values()
        _make_game(config)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _make_game(config: AlgorithmConfig) -> None:
    """Makes a game of this package, whose settings say nothing before; others' may be costly."""
    from rommeo_rllib import envs

    if isinstance(config.env, str) and config.env in envs.GAMES:
        try:
            envs.make(config.env, **config.env_config).close()
        except TypeError as error:
            said = str(error).split("() ")[-1]
            raise ValueError(f"`env_config` of {config.env}: {said}.") from error


def _without_rllibs_advice(message: str) -> str:
    """RLlib advises to switch its checks off, whatever is wrong."""
    return message.split("\nTo suppress all validation errors")[0].strip()


def _check_environment(env: Any) -> None:
    """Raises a UsageError if there is no environment, or none of that name."""
    import gymnasium as gym

    from rommeo_rllib.envs import GAMES

    if env is None:
        raise UsageError("The configuration has no environment: call `.environment(...)`.")
    # RLlib also takes Gymnasium's names, and a module's with its class.
    if not isinstance(env, str) or is_registered(env):
        return
    if env in gym.registry or ":" in env or "." in env:
        return
    raise UsageError(
        f"`env` is {shown(env)}, and nobody has registered it.{did_you_mean(env, GAMES)} Allowed: "
        f"{', '.join(sorted(GAMES))}, or a name given to ray.tune.register_env."
    )


def settings_of(config: AlgorithmConfig) -> dict[str, Any]:
    """What a configuration sets that its algorithm's default does not, as JSON can say it."""
    default = vars(config.algo_class.get_default_config())
    settings = {}
    for key, value in vars(config).items():
        said = as_json(value)
        if key in default and said != as_json(default[key]):
            settings[key] = said
    return settings


def import_file(name_or_file: str) -> ModuleType | TabularConfiguration:
    """The module of a configuration, or one of a tabular learner that comes with the package.

    Raises:
        UsageError: if there is none of that name.
    """
    if name_or_file.endswith(".py"):
        return run_file(name_or_file)
    known = names()
    if name_or_file not in known:
        hint = did_you_mean(name_or_file, known)
        raise UsageError(
            f"There is no configuration {shown(name_or_file)}.{hint} `rommeo` lists those that "
            "there are; or give a Python file."
        )
    import_ray_quietly()
    if name_or_file in tuned_configs.tabular():
        return tuned_configs.tabular()[name_or_file]
    name = f"{tuned_configs.__name__}.{name_or_file.replace('/', '.')}"
    return _imported(lambda: importlib.import_module(name), Path(name_or_file))


def run_file(file: str) -> ModuleType:
    """The module of a Python file, run.

    Raises:
        UsageError: if there is none, or it raises anything but an interrupt: it names the line.
    """
    path = Path(file)
    if is_folder(path):
        raise UsageError(f"{file} is a folder; allowed: a Python file.")
    if not is_file(path):
        raise UsageError(f"There is no file {file}.")
    import_ray_quietly()
    loader = importlib.machinery.SourceFileLoader(f"rommeo_configuration_{path.stem}", str(path))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)

    def run() -> ModuleType:
        loader.exec_module(module)
        return module

    return _imported(run, path)


def _imported(load: Callable[[], ModuleType], path: Path) -> ModuleType:
    try:
        return load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise UsageError(_told(error, path)) from error


def require_end(stop: Mapping[str, Any]) -> None:
    """Raises a UsageError if nothing would end a trial."""
    if not stop:
        raise UsageError("`stop` is empty, and a trial would never end; give --stop-steps.")


def fixed_of(config: Any, stop: Mapping[str, Any], swept: Collection[str] = ()) -> dict[str, Any]:
    """What a resumed command must ask for again: the algorithm, its settings, when to stop.

    Args:
        config: the configuration.
        stop: when to stop.
        swept: keys whose values are trials'.
    """
    own = ("seed", "replicas", *swept)
    settings = {k: v for k, v in settings_of(config).items() if k not in own}
    return {"algorithm": config.algo_class.__name__, "settings": settings, "stop": dict(stop)}
