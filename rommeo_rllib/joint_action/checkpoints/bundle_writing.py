"""A bundle: trained policies as numbers and texts, which can be read without running any code.

RLlib's checkpoints consist of pickled objects, so that only those of people whom one trusts can be
read. A bundle says as much as acting needs: weights as safetensors; spaces, networks and who plays
with which policy as JSON.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save as save_tensors

from rommeo_rllib.joint_action.checkpoints.manifest import FileSystem, located
from rommeo_rllib.joint_action.modules.networks import FIRST_WEIGHTS
from rommeo_rllib.joint_action.modules.policy import INIT_KEY, OPPONENTS, JointActionPolicy
from rommeo_rllib.joint_action.settings.model_settings import is_ours
from rommeo_rllib.joint_action.settings.settings_json import settings_to_json
from rommeo_rllib.joint_action.spaces.agents import AgentID, Opponents
from rommeo_rllib.joint_action.spaces.space_json import Json, space_to_json
from rommeo_rllib.rllib_boundary import CONNECTORS
from rommeo_rllib.rllib_boundary.configs import given_connector
from rommeo_rllib.rllib_boundary.env_runners import connectors

BUNDLE = "bundle"
"""Name of the bundle's folder in a checkpoint."""

DESCRIPTION_FILE, WEIGHTS_FILE = "bundle.json", "weights.safetensors"

FORMAT, VERSION = "rommeo-rllib bundle", 1
"""What a description calls itself, and the version that is written; older ones are read, too."""

GAME_SETTINGS = ("disable_env_checking",)
"""Settings of a configuration that acting depends on, beside the environment's."""

_ASKED = 64
"""How often a policy mapping is asked, to find out whether chance is in it."""


def described(modules: Iterable[tuple[str, Any]]) -> tuple[dict[str, Json], dict[str, np.ndarray]]:
    """What of a bundle concerns policies: their description, and all weights by name.

    Policies that are alike, as replicas are, share a description.
    """
    networks: list[Json] = []
    policies: dict[str, int] = {}
    missing: dict[str, str] = {}
    tensors: dict[str, np.ndarray] = {}
    for name, module in modules:
        module = module.unwrapped()
        try:
            network = _network(module)
            weights = {
                tensor_name(name, key): np.array(value.detach().cpu().numpy(), order="C")
                for key, value in module.state_dict().items()
            }
        except (TypeError, ValueError) as error:
            missing[name] = str(error)
            continue
        if network not in networks:
            networks.append(network)
        policies[name] = networks.index(network)
        tensors |= weights
    return {"networks": networks, "policies": policies, "missing": missing}, tensors


def tensor_name(policy: str, parameter: str) -> str:
    """Under which a parameter stands among all weights."""
    return f"{policy}/{parameter}"


def _network(module: Any) -> dict[str, Json]:
    """How a policy's networks are built.

    Raises:
        ValueError: if it is not of this package's classes, or JSON cannot say it.
        TypeError: the same.
    """
    kind = type(module)
    if not isinstance(module, JointActionPolicy) or not is_ours(kind):
        raise ValueError(f"it is a {kind.__name__}, which is no class of this package")
    # Weights that are there need not be drawn.
    left_out = {OPPONENTS, INIT_KEY, *FIRST_WEIGHTS}
    settings = {key: value for key, value in module.model_config.items() if key not in left_out}
    opponents: Opponents = module.opponents
    return {
        "class": kind.__name__,
        "observation_space": _space(module.observation_space, "its observation space"),
        "action_space": _space(module.action_space, "its action space"),
        "inference_only": bool(module.inference_only),
        "model_config": _settings(settings),
        "opponents": {
            "action_spaces": [_space(s, "an opponent's") for s in opponents.action_spaces],
            "observation_spaces": [
                _space(s, "an opponent's") for s in opponents.observation_spaces
            ],
            "policies": list(opponents.policies),
        },
    }


def _space(space: Any, whose: str) -> Json:
    try:
        return space_to_json(space)
    except ValueError as error:
        raise ValueError(f"{whose} is {error}") from None


def _settings(settings: Any) -> Json:
    content = settings_to_json(settings)
    json.dumps(content, allow_nan=False)  # Raises for a number that is not finite.
    return content


def game_described(
    config: Any, agents: Iterable[AgentID], connectors: str, algorithm: str, release: str
) -> dict[str, Json]:
    """What of a bundle concerns the game: all that JSON can say, and None for the rest.

    Args:
        config: the algorithm's configuration.
        agents: the environment's.
        connectors: "none" beside RLlib's own, "stateless", or "stateful".
        algorithm: the name of its class.
        release: this package's.
    """
    try:
        env_config = _settings(dict(config.env_config or {}))
    except (TypeError, ValueError):
        env_config = None
    groups = config.opponent_groups or {}
    return {
        "format": FORMAT,
        "version": VERSION,
        "rommeo-rllib": release,
        "algorithm": algorithm,
        "environment": config.env if isinstance(config.env, str) else None,
        "env_config": env_config,
        "settings": {name: bool(getattr(config, name)) for name in GAME_SETTINGS},
        "opponent_groups": [[agent, list(others)] for agent, others in groups.items()],
        "agents": _mapping(config, agents),
        "connectors": connectors,
    }


def _mapping(config: Any, agents: Iterable[AgentID]) -> Json:
    """Pairs of agent and policy; None where that is not settled once and for all."""
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    asked = [(agent, {config.policy_of(agent) for _ in range(_ASKED)}) for agent in agents]
    # A run must not depend on whether it was saved.
    random.setstate(before[0])
    np.random.set_state(before[1])  # noqa: NPY002
    torch.set_rng_state(before[2])
    pairs = [[agent, *policies] for agent, policies in asked]
    settled = all(list(map(type, pair)) in ([str, str], [int, str]) for pair in pairs)
    return pairs if settled else None


def connectors_of(config: Any, env_runner: Any) -> str:
    """What there is of the user's own between environment and policies: see `game_described`."""
    if all(
        given_connector(config, name) is None
        and getattr(config, f"add_default_connectors_to_{name}_pipeline")
        for name in CONNECTORS
    ):
        return "none"
    if env_runner is None:
        return "stateful"  # Nobody here to ask.
    states = [one.get_state() for one in connectors(env_runner).values()]
    return "stateful" if any(map(_says_something, states)) else "stateless"


def _says_something(state: Any) -> bool:
    return any(map(_says_something, state.values())) if isinstance(state, Mapping) else True


def write_bundle(
    folder: Path,
    description: Mapping[str, Json],
    tensors: Mapping[str, np.ndarray],
    filesystem: FileSystem | None = None,
) -> None:
    """Writes both files of a bundle into a folder, which is made."""
    filesystem, folder = located(folder, filesystem)
    filesystem.create_dir(folder.as_posix(), recursive=True)
    contents = {
        WEIGHTS_FILE: save_tensors(dict(tensors)),
        DESCRIPTION_FILE: (json.dumps(description, indent=1, allow_nan=False) + "\n").encode(),
    }
    for name, content in contents.items():
        with filesystem.open_output_stream((folder / name).as_posix()) as opened:
            opened.write(content)
