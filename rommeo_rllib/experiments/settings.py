"""Values of a configuration by their path, such as "alpha.initial", and as the text "key=value"."""

from __future__ import annotations

import ast
import copy
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rommeo_rllib.checks import is_finite_number
from rommeo_rllib.errors import UsageError
from rommeo_rllib.naming import did_you_mean, shown
from rommeo_rllib.rllib_boundary import KEPT_AS

if TYPE_CHECKING:
    from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

Setting = dict[str, Any]
"""Values by the path of their key, such as "alpha.initial"."""

# What users write on the left is a method's argument; on the right is where RLlib keeps it.
_ALIASES = {"model_config": KEPT_AS["model_config"]}

# What RLlib itself fills in.
_RLLIBS_OWN = ("algo_class", "in_evaluation", "simple_optimizer")


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
        allows = getattr(
            config, "allows", lambda name, value: False
        )  # RLlib's have no such method.
        if not (inner or _is_of_kind(value, current) or allows(attribute, value)):
            allowed = "True or False" if isinstance(current, bool) else "a number"
            raise UsageError(f"--set {setting}: allowed: {allowed}, such as {current!r}.")
        setattr(config, attribute, replaced(current, inner, value, f"--set {setting}"))


def _is_of_kind(value: Any, current: Any) -> bool:
    """Whether a value can stand where a number or a flag does; containers may be schedules."""
    if isinstance(current, bool):
        return not isinstance(value, int | float | str) or isinstance(value, bool)
    if isinstance(current, int | float):
        # "auto" is a value of several keys that else take numbers.
        is_scalar = isinstance(value, int | float | complex | str | bytes)
        return not is_scalar or value == "auto" or is_finite_number(value)
    return True


def split_setting(option: str, text: str) -> tuple[str, str]:
    """(key, value) of `key=value`, not yet read.

    Raises:
        UsageError: if the text has another form.
    """
    path, separator, value = text.partition("=")
    if not separator or not all(path.split(".")):
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
    names = [name for name in vars(config) if name not in _RLLIBS_OWN]
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
        raise UsageError(
            f"{said}: {path[0]!r} is inside {shown(current)}, which is no dict; give all of it."
        )
    changed = copy.deepcopy(current)
    changed[path[0]] = replaced(changed.get(path[0], {}), path[1:], value, said)
    return changed


def literal(text: str) -> Any:
    """A Python literal, or else the text itself."""
    try:
        # Python warns of literals such as "\d" or "1is".
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text


def changed(current: Mapping[str, Any], setting: Mapping[str, Any]) -> dict[str, Any]:
    """`current` with the setting's values in place.

    Raises:
        UsageError: if a path leads into what is no dict.
    """
    result = dict(current)
    # Whole keys first, then what is inside them.
    for path in sorted(setting, key=lambda path: path.count(".")):
        key, *inner = path.split(".")
        result[key] = replaced(result[key], inner, setting[path], path)
    return result


def value_at(config: Mapping[str, Any], path: str) -> Any:
    """The value at "alpha.initial" of a trial's configuration."""
    value: Any = config
    for key in path.split("."):
        value = value[key]
    return value


def require_no_seed(settings: Iterable[str], option: str, *others: str) -> None:
    """Raises a UsageError for a key that options say, of which a setting would have no effect.

    Args:
        settings: what was set, "key=value" each.
        option: by which.
        others: further keys that options say, as "key: its option".
    """
    said = {"seed": "--seed", **dict(one.split(": ") for one in others)}
    for setting in settings:
        key = setting.partition("=")[0].split(".")[0]
        if key in said:
            raise UsageError(f"{option} {setting}: this has no effect; give {said[key]}.")


def require_different(option: str, values: Sequence[Any]) -> None:
    """Raises a UsageError if a value is given twice."""
    for number, value in enumerate(values):
        if value in values[:number]:
            raise UsageError(f"{option} names {shown(value)} twice; allowed: each value once.")
