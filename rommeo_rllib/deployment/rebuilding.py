"""A policy built again from a bundle, whose description may say anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from rommeo_rllib.joint_action.checkpoints.bundle_writing import WEIGHTS_FILE
from rommeo_rllib.joint_action.modules.policy import INIT_KEY, OPPONENTS, JointActionPolicy
from rommeo_rllib.joint_action.settings.settings_json import settings_from_json
from rommeo_rllib.joint_action.spaces.agents import Opponents
from rommeo_rllib.joint_action.spaces.space_json import num_values, space_from_json

_MOST_OBSERVED, _MOST_ACTED = 1 << 23, 1 << 16
"""Numbers in what a policy and its opponents observe, and in their actions."""

SENSELESS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,  # Torch's, and the one of too deep nesting.
    SafetensorError,
    TypeError,
    ValueError,
)
"""What reading a senseless file, and building what it describes, may raise."""


def rebuilt(
    network: Mapping[str, Any], weights: Any, names: Mapping[str, str]
) -> JointActionPolicy:
    """The policy that a bundle describes, with its weights.

    Args:
        network: its description.
        weights: an open safetensors file.
        names: the names of its weights there, by its own.

    Raises:
        ValueError: if it is of a foreign class, needs more memory than its weights say, or does
            not fit them; a senseless description may raise any of `SENSELESS`.
    """
    _check_outline(network, len(names))
    # First without memory: it may say that it needs any amount of it.
    with torch.device("meta"):
        _check_weights(_build(network).state_dict(), weights, names)
    policy = _build(network)
    policy.load_state_dict({key: weights.get_tensor(name) for key, name in names.items()})
    return policy


def _build(network: Mapping[str, Any]) -> JointActionPolicy:
    opponents = network["opponents"]
    settings = {
        **settings_from_json(network["model_config"]),
        OPPONENTS: Opponents(
            tuple(map(space_from_json, opponents["action_spaces"])),
            tuple(map(space_from_json, opponents["observation_spaces"])),
            tuple(map(str, opponents["policies"])),
        ),
        # Nobody's stream of random numbers is touched for weights that are replaced at once.
        INIT_KEY: (0,),
    }
    return policy_classes()[network["class"]](
        observation_space=space_from_json(network["observation_space"]),
        action_space=space_from_json(network["action_space"]),
        inference_only=network["inference_only"] is True,
        model_config=settings,
    )


def _check_outline(network: Mapping[str, Any], num_weights: int) -> None:
    """Raises a ValueError for a foreign class, or what would take up any amount of memory."""
    if network["class"] not in policy_classes():
        known = ", ".join(policy_classes())
        raise ValueError(f"there is no class {network['class']!r}; known: {known}")
    for kind, most in (("observation", _MOST_OBSERVED), ("action", _MOST_ACTED)):
        spaces = [network[f"{kind}_space"], *network["opponents"][f"{kind}_spaces"]]
        values = sum(map(num_values, spaces))
        if values > most:
            raise ValueError(f"its {kind}s have {values} numbers; allowed: at most {most}")
    for key, value in network["model_config"].items():
        # Each layer has weights; RLlib looks up names among torch's attributes.
        if isinstance(value, list) and len(value) > num_weights:
            raise ValueError(f"`{key}` has {len(value)} entries for {num_weights} weights")
        if isinstance(value, str) and value and not value[0].isalpha():
            raise ValueError(f"`{key}` is {value[:60]!r}")


def _check_weights(expected: Mapping[str, Tensor], weights: Any, names: Mapping[str, str]) -> None:
    """Raises a ValueError unless stored weights are those of a policy, by name and shape."""
    if expected.keys() != names.keys():
        raise ValueError(f"{WEIGHTS_FILE} has other weights than its networks")
    for key, value in expected.items():
        shape = tuple(weights.get_slice(names[key]).get_shape())
        if shape != tuple(value.shape):
            raise ValueError(f"the weights {key} have the shape {shape} for {tuple(value.shape)}")


@cache
def algorithms() -> dict[str, Any]:
    """This package's algorithms, by the names of their classes."""
    from rommeo_rllib.registration import ALGORITHMS

    return {algorithm.__name__: algorithm for algorithm in ALGORITHMS.values()}


@cache
def policy_classes() -> dict[str, Callable[..., JointActionPolicy]]:
    """The classes of which a bundle's policies may be, by name: those of the algorithms."""
    specs = [one.get_default_config().get_default_rl_module_spec() for one in algorithms().values()]
    return {spec.module_class.__name__: spec.module_class for spec in specs}
