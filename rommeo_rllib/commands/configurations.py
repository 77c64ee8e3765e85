"""Finding, loading and changing configurations by name."""

from __future__ import annotations

import ast
import copy
import importlib
import importlib.util
import pkgutil
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from rommeo_rllib import tuned_configs
from rommeo_rllib.commands.errors import UsageError
from rommeo_rllib.commands.trials import as_json
from rommeo_rllib.commands.tuning import import_ray_quietly
from rommeo_rllib.naming import did_you_mean

if TYPE_CHECKING:
    from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

# What users write on the left is a method's argument; on the right is where RLlib keeps it.
_ALIASES = {"model_config": "_model_config"}


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
    return sorted(m.name.removeprefix(prefix).replace(".", "/") for m in modules if not m.ispkg)


def load(name_or_file: str) -> Configuration:
    """Loads a configuration that comes with the package, or a Python file of the same form.

    Raises:
        UsageError: if there is none of that name, or the file lacks `config` or `stop`.
    """
    module = import_file(name_or_file)
    if is_tabular(module):
        raise UsageError(
            f"{name_or_file} is of a tabular learner, all of whose trials play at once: use "
            f"`rommeo sweep {name_or_file}` or `rommeo reproduce figure-1`."
        )
    for attribute in ("config", "stop"):
        if not hasattr(module, attribute):
            raise UsageError(
                f"{name_or_file} has no `{attribute}`; a configuration is a Python file with "
                "`config` (an AlgorithmConfig) and `stop` (a dict)."
            )
    if not hasattr(module.config, "algo_class"):
        raise UsageError(
            f"{name_or_file}: `config` is a {type(module.config).__name__}; allowed: an "
            "AlgorithmConfig."
        )
    config = module.config.copy(copy_frozen=False)
    return Configuration(Path(name_or_file).with_suffix("").as_posix(), config, dict(module.stop))


def _told(error: Exception, path: Path) -> str:
    """What went wrong in somebody's file, and in which of its lines."""
    lines = [
        step.lineno
        for step in traceback.extract_tb(error.__traceback__)
        if step.filename.endswith(str(path))
    ]
    where = getattr(error, "lineno", None) or (lines[-1] if lines else None)
    return f"{path}, line {where}: {type(error).__name__}: {error}"


def is_tabular(module: ModuleType) -> bool:
    """Whether a configuration file is of a tabular learner: it holds `learner` and `settings`."""
    return hasattr(module, "learner")


def apply_settings(config: AlgorithmConfig, settings: Iterable[str]) -> None:
    """Changes `config` by settings of the form `key=value` or `key.inner.key=value`.

    A value is a Python literal (`0.1`, `[64, 64]`, `None`, `{"initial": 20.0}`) or else a string.

    Raises:
        UsageError: if a setting has another form or names an unknown key.
    """
    for setting in settings:
        path, text = split_setting("--set", setting)
        inner = path.split(".")[1:]
        attribute = attribute_of(config, path, f"--set {setting}")
        current, value = getattr(config, attribute), literal(text)
        # "auto" is a value of several keys that else take numbers.
        is_text = isinstance(value, str) and value != "auto"
        if is_text and isinstance(current, int | float) and not inner:
            allowed = "True or False" if isinstance(current, bool) else "a number"
            raise UsageError(f"--set {setting}: allowed: {allowed}, such as {current!r}.")
        setattr(config, attribute, replaced(current, inner, value, f"--set {setting}"))


def settings_of(config: AlgorithmConfig) -> dict[str, Any]:
    """What a configuration sets that its algorithm's default does not, as JSON can say it."""
    default = vars(config.algo_class.get_default_config())
    settings = {}
    for key, value in vars(config).items():
        said = as_json(value)
        if key in default and said != as_json(default[key]):
            settings[key] = said
    return settings


def split_setting(option: str, text: str) -> tuple[str, str]:
    """(key, value) of `key=value`, not yet read.

    Raises:
        UsageError: if the text has another form.
    """
    path, separator, value = text.partition("=")
    if not separator or not path:
        raise UsageError(f"{option} {text}: expected key=value, for example alpha=0.5.")
    return path, value


def attribute_of(config: AlgorithmConfig, path: str, said: str) -> str:
    """The attribute of a configuration that holds what `path` leads to.

    Raises:
        UsageError: if there is none; it names the nearest right key.
    """
    key = path.split(".")[0]
    known = _keys(config)
    if key not in known:
        raise UsageError(f"{said}: there is no key {key!r}.{did_you_mean(key, known)}")
    return _ALIASES.get(key, key)


def _keys(config: AlgorithmConfig) -> list[str]:
    """What may be set: attributes, and properties that keep their value in one."""
    names = vars(config)
    properties = (name.removeprefix("_") for name in names if name.startswith("_"))
    return [
        *(name for name in names if not name.startswith("_")),
        *(name for name in properties if getattr(getattr(type(config), name, None), "fset", None)),
        *_ALIASES,
    ]


def replaced(current: Any, path: list[str], value: Any, said: str) -> Any:
    """`current` with another value at a path of keys.

    Raises:
        UsageError: if the path leads into what is no dict; `said` tells what the user has said.
    """
    if not path:
        return value
    if not isinstance(current, dict):
        raise UsageError(f"{said}: {path[0]!r} is inside {current!r}, which is no dict.")
    changed = copy.deepcopy(current)
    changed[path[0]] = replaced(changed.get(path[0], {}), path[1:], value, said)
    return changed


def literal(text: str) -> Any:
    """A Python literal, or else the text itself."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def import_file(name_or_file: str) -> ModuleType:
    """The module of a configuration; raises a UsageError if there is none of that name."""
    if name_or_file.endswith(".py"):
        path = Path(name_or_file)
        if not path.is_file():
            raise UsageError(f"There is no file {name_or_file}.")
        import_ray_quietly()
        spec = importlib.util.spec_from_file_location(f"rommeo_configuration_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            raise UsageError(_told(error, path)) from error
        return module
    known = names()
    if name_or_file not in known:
        hint = did_you_mean(name_or_file, known)
        raise UsageError(
            f"There is no configuration {name_or_file!r}.{hint} `rommeo` lists those that there "
            "are; or give a Python file."
        )
    import_ray_quietly()
    return importlib.import_module(f"{tuned_configs.__name__}.{name_or_file.replace('/', '.')}")
