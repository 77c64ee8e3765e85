"""Bundles, read: trained policies from files of anybody's, without running any code of theirs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from safetensors import safe_open

from rommeo_rllib.deployment.rebuilding import SENSELESS, algorithms, rebuilt
from rommeo_rllib.file_versions import require_version
from rommeo_rllib.joint_action.checkpoints.bundle_writing import (
    BUNDLE,
    DESCRIPTION_FILE,
    FORMAT,
    GAME_SETTINGS,
    VERSION,
    WEIGHTS_FILE,
)
from rommeo_rllib.joint_action.modules.policy import JointActionPolicy
from rommeo_rllib.joint_action.settings.settings_json import settings_from_json
from rommeo_rllib.joint_action.spaces.agents import AgentID
from rommeo_rllib.naming import printable, unknown_name_message
from rommeo_rllib.rllib_boundary.tune import is_registered

_MOST_BYTES = 1 << 26
"""Of a description: hundreds of times those of a game with large images."""
_KINDS: Mapping[str, type | tuple[type, ...]] = {
    "agents": (list, type(None)),
    "algorithm": str,
    "connectors": str,
    "environment": (str, type(None)),
    "env_config": (dict, type(None)),
    "missing": dict,
    "networks": list,
    "opponent_groups": list,
    "policies": dict,
    "settings": dict,
}


class Bundle:
    """Trained policies, and what is known of their game.

    Args:
        path: the bundle's folder, or that of a checkpoint in which there is one.

    Raises:
        ValueError: if there is none, or it is of a foreign version, or damaged.
    """

    def __init__(self, path: str | Path):
        folder = bundle_folder(path)
        if folder is None:
            raise ValueError(
                f"{printable(path)} is no bundle; allowed: a folder with {DESCRIPTION_FILE} and "
                f"{WEIGHTS_FILE}, as `rommeo export --bundle` writes it."
            )
        self.folder = folder
        file = folder / DESCRIPTION_FILE
        try:
            if file.stat().st_size > _MOST_BYTES:
                raise ValueError(f"it has more than {_MOST_BYTES} bytes")
            self._content = json.loads(file.read_text(encoding="utf-8"))
        except SENSELESS as error:
            raise self._damaged(f"{DESCRIPTION_FILE} cannot be read: {error}") from error
        self._check()

    def _check(self) -> None:
        content = self._content
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise self._damaged(f'{DESCRIPTION_FILE} lacks `"format": "{FORMAT}"`')
        require_version(self.folder / DESCRIPTION_FILE, content.get("version"), VERSION)
        for key, kind in _KINDS.items():
            if key not in content or not isinstance(content[key], kind):
                raise self._damaged(f"`{key}` is {content.get(key)}")
        for policy, number in content["policies"].items():
            if type(number) is not int or not 0 <= number < len(content["networks"]):
                raise self._damaged(f"the policy {policy} has no network")
        for key, kind in (("agents", str), ("opponent_groups", list)):
            for pair in content[key] or ():
                agent, other = pair if isinstance(pair, list) and len(pair) == 2 else (None, None)
                if type(agent) not in (str, int) or type(other) is not kind:
                    raise self._damaged(f"`{key}` has the entry {pair}")

    def _damaged(self, what: str) -> ValueError:
        return ValueError(f"The bundle {printable(self.folder)} is damaged: {printable(what)}.")

    @property
    def policies(self) -> list[str]:
        """The ids of the policies in it."""
        return sorted(self._content["policies"])

    @property
    def missing(self) -> Mapping[str, str]:
        """Policies of the game that are not in it, and why."""
        return self._content["missing"]

    @property
    def agents(self) -> Mapping[AgentID, str] | None:
        """Which policy plays for each agent; None where that was not settled once and for all."""
        pairs = self._content["agents"]
        return None if pairs is None else dict(pairs)

    @property
    def connectors(self) -> str:
        """The user's own pieces between environment and policies: see `game_described`."""
        return self._content["connectors"]

    def policy(self, name: str) -> JointActionPolicy:
        """A policy with all of its networks, as it was trained.

        Raises:
            ValueError: if there is none of that name, or its networks cannot be built or do not
                fit their weights.
        """
        if name in self.missing:
            raise ValueError(
                f"The bundle {printable(self.folder)} lacks the policy {printable(name)}: "
                f"{printable(self.missing[name])}."
            )
        if name not in self.policies:
            message = unknown_name_message("policy", name, self.policies)
            raise ValueError(printable(f"{self.folder}: {message}"))
        network = self._content["networks"][self._content["policies"][name]]
        try:
            return rebuilt(network, self._weights, self._names.get(name, {}))
        except SENSELESS as error:
            raise self._damaged(f"the policy {name!r} cannot be built: {error}") from error

    @cached_property
    def _weights(self) -> Any:
        file = self.folder / WEIGHTS_FILE
        try:
            if not file.is_file():
                raise ValueError("there is no such file")
            return safe_open(file, "pt")
        except SENSELESS as error:
            raise ValueError(f"{WEIGHTS_FILE} cannot be read: {error}") from error

    @cached_property
    def _names(self) -> dict[str, dict[str, str]]:
        """For each policy the names of its parameters among all weights, by their own names."""
        found: dict[str, dict[str, str]] = {}
        for name in self._weights.keys():  # noqa: SIM118
            policy, _, parameter = name.partition("/")
            found.setdefault(policy, {})[parameter] = name
        return found

    def config(self) -> AlgorithmConfig:
        """A configuration with the game and with who plays it, to be changed at will.

        Raises:
            ValueError: if the bundle does not say enough to play; it says what is to be done.
        """
        content = self._content
        for is_known, what in (
            (self.connectors == "none", "was trained with connectors of its user's own"),
            (content["environment"] is not None, "has an environment that is no registered name"),
            (content["env_config"] is not None, "has an `env_config` that JSON cannot tell"),
            (self.agents is not None, "has agents whose policies are not settled beforehand"),
        ):
            if not is_known:
                raise ValueError(f"{printable(self.folder)} {what}; {_GIVE_CONFIG}")
        name = content["environment"]
        if not is_registered(name):
            # RLlib and Gymnasium would import a module whose path is given as a name.
            raise ValueError(
                f"{printable(self.folder)} is of the environment {printable(name)}, which is "
                "registered nowhere; load a Python file that registers it: --load FILE."
            )
        algorithm = algorithms().get(content["algorithm"])
        if algorithm is None:
            raise ValueError(
                f"{printable(self.folder)} is of the algorithm {printable(content['algorithm'])}, "
                f"which is none of {', '.join(algorithms())}; {_GIVE_CONFIG}"
            )
        config = algorithm.get_default_config()
        config.environment(name, env_config=settings_from_json(content["env_config"]))
        for key in GAME_SETTINGS:
            setattr(config, key, content["settings"].get(key, getattr(config, key)) is True)
        config.opponent_groups = dict(content["opponent_groups"]) or None
        mapping = _Mapping(self.agents or {}, printable(self.folder))
        config.multi_agent(policies=set(mapping.table.values()), policy_mapping_fn=mapping)
        return config


_GIVE_CONFIG = "give the configuration with which it was trained: --config FILE."


class _Mapping:
    """RLlib's `policy_mapping_fn`, from a table."""

    def __init__(self, table: Mapping[AgentID, str], where: str):
        self.table, self._where = dict(table), where

    def __call__(self, agent: AgentID, *args: Any, **kwargs: Any) -> str:
        if agent not in self.table:
            raise ValueError(
                f"{self._where} has no policy for the agent {agent!r} of its environment; "
                f"{_GIVE_CONFIG}"
            )
        return self.table[agent]


def bundle_folder(path: str | Path) -> Path | None:
    """Where the bundle lies: the folder itself, or one in a checkpoint; None if there is none."""
    folder = Path(path).expanduser().resolve()
    for candidate in (folder, folder / BUNDLE):
        if (candidate / DESCRIPTION_FILE).is_file():
            return candidate
    return None


def copy_bundle(path: str | Path, to: str | Path) -> None:
    """Copies the bundle of a checkpoint into a folder of its own, when it was found to be whole.

    Raises:
        ValueError: if there is none, it is damaged, or it lacks policies of the user's own classes.
    """
    bundle = Bundle(path)
    for name in sorted({*bundle.policies, *bundle.missing}):
        bundle.policy(name)
    folder = Path(to).expanduser().resolve()
    if folder == bundle.folder:
        raise ValueError(f"{printable(to)} is the bundle itself; give another folder.")
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{printable(to)} is a file; allowed: a folder.")
    folder.mkdir(parents=True, exist_ok=True)
    for file in (WEIGHTS_FILE, DESCRIPTION_FILE):
        shutil.copyfile(bundle.folder / file, folder / file)
