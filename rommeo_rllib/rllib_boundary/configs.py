"""What RLlib's configurations keep to themselves."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec
from ray.rllib.core.rl_module.rl_module import RLModuleSpec

from rommeo_rllib.rllib_boundary import KEPT_AS

Config = TypeVar("Config", bound=AlgorithmConfig)


@contextmanager
def thawed(config: AlgorithmConfig) -> Iterator[None]:
    """Within it a frozen configuration can be changed."""
    frozen, config._is_frozen = config._is_frozen, False
    try:
        yield
    finally:
        config._is_frozen = frozen


def thawed_copy(config: Config) -> Config:
    """A shallow copy that can be changed, with no configurations of modules kept."""
    own = copy.copy(config)
    vars(own).update({"_is_frozen": False, "_per_module_overrides": {}})
    return own


def kept_for_modules(config: AlgorithmConfig) -> dict[str, Any]:
    """The configurations that RLlib keeps for modules with settings of their own; to be changed."""
    kept: dict[str, Any] = config._per_module_overrides
    return kept


def is_validated(config: AlgorithmConfig) -> bool:
    """False where the user has switched validation off."""
    return bool(config._validate_config)


def given_learner_class(config: AlgorithmConfig) -> type | None:
    """The learner's class that the user gave."""
    given: type | None = config._learner_class
    return given


def given_connector(config: AlgorithmConfig, name: str) -> Any:
    """What the user gave to build connectors of one of `CONNECTORS`; None if nothing."""
    return getattr(config, KEPT_AS[f"{name}_connector"])


def given_model_config(config: AlgorithmConfig) -> Any:
    """The model configuration that the user gave: a dict or a `DefaultModelConfig`."""
    return config._model_config


def given_module_spec(config: AlgorithmConfig) -> RLModuleSpec | MultiRLModuleSpec | None:
    """The specs that the user gave."""
    return config._rl_module_spec


def model_config_defaults(config: AlgorithmConfig) -> dict[str, Any]:
    """What the algorithm puts into each model configuration."""
    defaults: dict[str, Any] = config._model_config_auto_includes
    return defaults


def attribute_name(key: str) -> str:
    """The attribute of a configuration for a key of a dict, such as "lambda_" for "lambda"."""
    return str(AlgorithmConfig._translate_special_keys(key, warn_deprecated=False))


def as_json(settings: Mapping[str, Any]) -> dict[str, Any]:
    """All settings, as RLlib writes them into a JSON file."""
    written: dict[str, Any] = AlgorithmConfig._serialize_dict(settings)
    return written
