"""Bundles, read: trained policies from files of anybody's, without running any code of theirs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.tune.registry import ENV_CREATOR, _global_registry
from safetensors import SafetensorError, safe_open

from rommeo_rllib.joint_action.bundle_writing import (
    BUNDLE,
    DESCRIPTION_FILE,
    FORMAT,
    GAME_SETTINGS,
    VERSION,
    WEIGHTS_FILE,
    tensor_name,
)
from rommeo_rllib.joint_action.policy import INIT_KEY, OPPONENTS, JointActionPolicy
from rommeo_rllib.joint_action.space_json import space_from_json
from rommeo_rllib.joint_action.spaces import AgentID, Opponents
from rommeo_rllib.naming import printable, unknown_name_message


class Bundle:
    """Trained policies, and what is known of their game.

    Args:
        path: the bundle's folder, or that of a checkpoint in which there is one.

    Raises:
        ValueError: if there is none, or it was written by a newer version, or is damaged.
    """

    def __init__(self, path: str | Path):
        folder = bundle_folder(path)
        if folder is None:
            raise ValueError(
                f"{printable(path)} is no bundle; allowed: a folder with {DESCRIPTION_FILE} and "
                f"{WEIGHTS_FILE}, as `rommeo export --bundle` writes it."
            )
        self.folder = folder
        try:
            self._content = json.loads((folder / DESCRIPTION_FILE).read_text(encoding="utf-8"))
        except (OSError, RecursionError, ValueError) as error:
            raise self._damaged(f"{DESCRIPTION_FILE} cannot be read: {error}") from error
        self._check()

    def _check(self) -> None:
        content = self._content
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise self._damaged(f'{DESCRIPTION_FILE} lacks `"format": "{FORMAT}"`')
        version = content.get("version")
        if type(version) is not int or version < 1:
            raise self._damaged(f"its version is {printable(version)}")
        if version > VERSION:
            raise ValueError(
                f"The bundle {printable(self.folder)} has version {version}, and this rommeo-rllib "
                f"reads versions up to {VERSION}; install a newer one."
            )
        for key, kind in _KINDS.items():
            if not isinstance(content.get(key), kind):
                raise self._damaged(f"`{key}` is {printable(content.get(key))}")
        for policy, number in content["policies"].items():
            if type(number) is not int or not 0 <= number < len(content["networks"]):
                raise self._damaged(f"the policy {policy} has no network")
        for key, kind in (("agents", str), ("opponent_groups", list)):
            for pair in content.get(key) or ():
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
        pairs = self._content.get("agents")
        return None if pairs is None else dict(pairs)

    @property
    def connectors(self) -> str:
        """The user's own pieces between environment and policies: see `game_described`."""
        return self._content["connectors"]

    @cached_property
    def _tensors(self) -> Any:
        try:
            return safe_open(self.folder / WEIGHTS_FILE, "pt")
        except (OSError, SafetensorError) as error:
            raise self._damaged(f"{WEIGHTS_FILE} cannot be read: {error}") from error

    def policy(self, name: str) -> JointActionPolicy:
        """A policy with all of its networks, as it was trained.

        Raises:
            ValueError: if there is none of that name, or its network cannot be built or does not
                fit its weights.
        """
        if name not in self._content["policies"]:
            if name in self.missing:
                raise ValueError(
                    f"The bundle {printable(self.folder)} lacks the policy {printable(name)}: "
                    f"{printable(self.missing[name])}."
                )
            message = unknown_name_message("policy", name, self.policies)
            raise ValueError(f"{printable(self.folder)}: {printable(message)}")
        network = self._content["networks"][self._content["policies"][name]]
        try:
            policy = _build(network)
            start = tensor_name(name, "")
            names = [key for key in self._tensors.keys() if key.startswith(start)]  # noqa: SIM118
            weights = {key[len(start) :]: self._tensors.get_tensor(key) for key in names}
            policy.load_state_dict(weights)
        except (
            AttributeError,
            KeyError,
            RuntimeError,
            SafetensorError,
            TypeError,
            ValueError,
        ) as e:
            raise self._damaged(f"the policy {name!r} cannot be built: {e}") from e
        return policy

    def config(self) -> AlgorithmConfig:
        """A configuration with the game and with who plays it, to be changed at will.

        Raises:
            ValueError: if the bundle does not say enough to play; it says what is to be done.
        """
        content = self._content
        if self.connectors != "none":
            raise ValueError(
                f"{printable(self.folder)} was trained with connectors of somebody's own, which "
                "are Python code; give the configuration with which it was trained: --config FILE."
            )
        name = content["environment"]
        if name is None or content["env_config"] is None or self.agents is None:
            raise ValueError(
                f"{printable(self.folder)} does not say how to make its environment or who plays "
                "with which policy, since that was Python code; give the configuration with which "
                "it was trained: --config FILE."
            )
        if not _global_registry.contains(ENV_CREATOR, name):
            # RLlib and Gymnasium would import a module whose path is given as a name.
            raise ValueError(
                f"{printable(self.folder)} is of the environment {printable(name)}, which is "
                "registered nowhere; load a Python file that registers it: --load FILE."
            )
        algorithm = algorithms().get(content["algorithm"])
        if algorithm is None:
            raise ValueError(
                f"{printable(self.folder)} is of the algorithm {printable(content['algorithm'])}, "
                f"which is none of {', '.join(algorithms())}; give the configuration with which it "
                "was trained: --config FILE."
            )
        config = algorithm.get_default_config()
        config.environment(name, env_config=content["env_config"])
        for key in GAME_SETTINGS:
            setattr(config, key, content["settings"].get(key, getattr(config, key)) is True)
        groups = content["opponent_groups"]
        if groups:
            config.opponent_groups = dict(groups)
        mapping = _Mapping(self.agents)
        config.multi_agent(policies=set(self.agents.values()), policy_mapping_fn=mapping)
        return config


_KINDS: Mapping[str, type | tuple[type, ...]] = {
    "agents": (list, type(None)),
    "algorithm": str,
    "connectors": str,
    "environment": (str, type(None)),
    "env_config": (dict, type(None)),
    "missing": dict,
    "networks": list,
    "opponent_groups": (list, type(None)),
    "policies": dict,
    "settings": dict,
}


_UNBUILDABLE = (
    AttributeError,
    IndexError,
    KeyError,
    OverflowError,
    RuntimeError,
    SafetensorError,
    TypeError,
    ValueError,
)
"""What building networks by senseless settings may raise."""


class _Mapping:
    """RLlib's `policy_mapping_fn`, from a table."""

    def __init__(self, table: Mapping[AgentID, str]):
        self._table = dict(table)

    def __call__(self, agent: AgentID, *args: Any, **kwargs: Any) -> str:
        return self._table[agent]


def bundle_folder(path: str | Path) -> Path | None:
    """Where the bundle lies: the folder itself, or one in a checkpoint; None if there is none."""
    folder = Path(path).expanduser().resolve()
    for candidate in (folder, folder / BUNDLE):
        if (candidate / DESCRIPTION_FILE).is_file():
            return candidate
    return None


def _build(network: Mapping[str, Any]) -> JointActionPolicy:
    known = policy_classes()
    if network["class"] not in known:
        raise ValueError(f"there is no class {network['class']!r}; known: {', '.join(known)}")
    opponents = network["opponents"]
    settings = {
        **network["model_config"],
        OPPONENTS: Opponents(
            tuple(map(space_from_json, opponents["action_spaces"])),
            tuple(map(space_from_json, opponents["observation_spaces"])),
            tuple(map(str, opponents["policies"])),
        ),
        # Nobody's stream of random numbers is touched for weights that are replaced at once.
        INIT_KEY: (0,),
    }
    return known[network["class"]](
        observation_space=space_from_json(network["observation_space"]),
        action_space=space_from_json(network["action_space"]),
        inference_only=network["inference_only"] is True,
        model_config=settings,
    )


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


def copy_bundle(path: str | Path, to: str | Path) -> None:
    """Copies the bundle of a checkpoint into a folder of its own, when it was found to be whole.

    Raises:
        ValueError: if there is none, it is damaged, or it lacks policies of the user's own classes.
    """
    bundle = Bundle(path)
    for name in sorted({*bundle.policies, *bundle.missing}):
        bundle.policy(name)
    folder = Path(to)
    folder.mkdir(parents=True, exist_ok=True)
    for file in (WEIGHTS_FILE, DESCRIPTION_FILE):
        shutil.copyfile(bundle.folder / file, folder / file)
