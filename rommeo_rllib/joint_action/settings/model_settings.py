"""What a model configuration may say: of RLlib's `DefaultModelConfig` what has an effect here."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, fields, is_dataclass
from typing import Any

import gymnasium as gym
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModule, MultiRLModuleSpec
from ray.rllib.core.rl_module.rl_module import RLModuleSpec

from rommeo_rllib.checks import check, is_integer
from rommeo_rllib.joint_action.modules.image_encoder import has_images
from rommeo_rllib.joint_action.modules.networks import (
    FIRST_WEIGHTS,
    INITIALIZERS,
    activation_named,
    initializer_of,
)
from rommeo_rllib.joint_action.modules.policy import INIT_KEY, OPPONENTS
from rommeo_rllib.naming import shown, unknown_key_message
from rommeo_rllib.rllib_boundary import configs

_DEFAULTS: Mapping[str, Any] = asdict(DefaultModelConfig())

_EFFECTIVE = {"fcnet_activation", "fcnet_hiddens", *FIRST_WEIGHTS}

CONVOLUTIONS = frozenset(
    field.name for field in fields(DefaultModelConfig) if "conv_" in field.name
)
"""Keys that concern images."""

_WITH = {"max_seq_len": "use_lstm", "head_fcnet_activation": "head_fcnet_hiddens"}
"""Keys that concern nothing without another one."""

_MEMORY = "the replay holds single steps; rommeo_rllib.frame_stacking.StackFrames gives a memory."

_INSTEAD = {
    "fcnet_use_layernorm": "only the Q-network has such layers: give `q_layer_norm`.",
    "head_fcnet": "networks are built from `fcnet_hiddens` and `fcnet_activation` only.",
    "lstm": _MEMORY,
    "max_seq_len": _MEMORY,
    "use_lstm": _MEMORY,
}
"""What to do instead, by the beginning of a key."""


def sentences(config: Any) -> Iterator[str]:
    """One for each key that is unknown or would have no effect on policies of our own.

    A module class of the user's own may have keys of its own, so these are left to it.
    """
    own = {*configs.model_config_defaults(config), OPPONENTS, INIT_KEY}
    for where, settings in _settings(config):
        yield from _about(where, _as_dict(settings), own)
    spec = configs.given_module_spec(config)
    for policy, one in _specs(config).items():
        if one.catalog_class is not None and is_ours(one.module_class):
            of = f" of {policy!r}" if policy else ""
            yield (
                f"`catalog_class`{of} is {shown(one.catalog_class)}; networks are built from "
                "`model_config` without catalogs: leave it out, or give your own module class."
            )
    if isinstance(spec, MultiRLModuleSpec) and spec.multi_rl_module_class is MultiRLModule:
        for key, value in _as_dict(spec.model_config).items():
            yield (
                f"`{key}` is {shown(value)} in the `model_config` of the MultiRLModuleSpec, which "
                "reaches no policy; give it to the policies' own specs or to `.rl_module()`."
            )


def check_values(config: Any) -> None:
    """Raises a ValueError for a value that no network can be made of."""
    for _, settings in _settings(config):
        given = _as_dict(settings)
        if "fcnet_hiddens" in given:
            hiddens = given["fcnet_hiddens"]
            is_right = isinstance(hiddens, list | tuple) and all(
                is_integer(width) and width > 0 for width in hiddens
            )
            check("fcnet_hiddens", hiddens, is_right, "a list of integers above 0")
        if "fcnet_activation" in given:
            activation_named(given["fcnet_activation"])
        for key in INITIALIZERS:
            initializer_of(given, key)


def refuse_convolutions_without_images(
    observed: Iterable[tuple[gym.Space, Mapping[str, Any]]], given: Collection[str]
) -> None:
    """Raises a ValueError if settings of convolutions are `given`, and nobody observes an image.

    Args:
        observed: each policy's observation space and model config.
        given: keys that were changed from their default.
    """
    if given and not any(has_images(space, settings) for space, settings in observed):
        raise ValueError(
            f"`model_config` gives {', '.join(sorted(given))}, but no policy observes an image; "
            "allowed: to leave them out. An image is a Box of (height, width, channels)."
        )


def convolutions_given(config: Any) -> set[str]:
    """Keys of convolutions that were changed from their default for policies of our own."""
    return {
        key
        for _, settings in _settings(config)
        for key, value in _as_dict(settings).items()
        if key in CONVOLUTIONS and value != _DEFAULTS[key]
    }


def _settings(config: Any) -> Iterator[tuple[str, Any]]:
    """Where settings were given, and which, that are for policies of our own alone."""
    specs = _specs(config)
    if all(is_ours(one.module_class) for one in specs.values()):
        yield "`model_config`", configs.given_model_config(config)
    for policy, one in specs.items():
        if is_ours(one.module_class):
            yield (
                f"the `model_config` of {policy!r}" if policy else "`model_config`",
                (one.model_config),
            )


def _specs(config: Any) -> dict[str, RLModuleSpec]:
    """The specs that were given, by policy; one for all policies by the empty name."""
    spec = configs.given_module_spec(config)
    if isinstance(spec, MultiRLModuleSpec):
        return dict(spec.rl_module_specs)
    return {} if spec is None else {"": spec}


def is_ours(module_class: type | None) -> bool:
    """Whether it is a class of this package (None stands for the algorithm's own)."""
    package = __name__.partition(".")[0]
    return module_class is None or module_class.__module__.partition(".")[0] == package


def _about(where: str, given: Mapping[str, Any], own: Collection[str]) -> Iterator[str]:
    by_reason: dict[str, list[str]] = {}
    for key, value in given.items():
        if key in own or key in _EFFECTIVE or key in CONVOLUTIONS:
            continue
        needed = _WITH.get(key)
        if needed is not None and not given.get(needed):
            continue  # Nor has it an effect in RLlib, whose examples leave it in.
        if key not in _DEFAULTS:
            yield unknown_key_message(key, {*_EFFECTIVE, *CONVOLUTIONS, *own}, "model_config")
        elif value != _DEFAULTS[key]:
            by_reason.setdefault(_instead(key), []).append(f"`{key}` is {shown(value)}")
    for reason, said in by_reason.items():
        yield f"{', '.join(said)} in {where}; {reason}"


def _instead(key: str) -> str:
    beginnings = [beginning for beginning in _INSTEAD if key.startswith(beginning)]
    return _INSTEAD[beginnings[0]] if beginnings else "it would have no effect: leave it out."


def _as_dict(settings: Any) -> Mapping[str, Any]:
    if settings is None:
        return {}
    is_object = is_dataclass(settings) and not isinstance(settings, type)
    return asdict(settings) if is_object else dict(settings)
