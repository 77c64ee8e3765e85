"""What a checkpoint of an algorithm holds, read without starting the algorithm or Ray.

Its bundle is read where it has one. Everything else consists of pickled objects, and reading these
runs whatever code they name: it is done for files that somebody vouches for.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core import COMPONENT_LEARNER, COMPONENT_LEARNER_GROUP, COMPONENT_RL_MODULE
from ray.rllib.core.rl_module.rl_module import RLModule

from rommeo_rllib.deployment.bundles import Bundle, bundle_folder
from rommeo_rllib.joint_action.checkpoints.manifest import MANIFEST, check_manifest
from rommeo_rllib.joint_action.spaces.agents import AgentID
from rommeo_rllib.joint_action.spaces.replicas import replica_id
from rommeo_rllib.naming import printable, unknown_name_message
from rommeo_rllib.rllib_boundary.env_runners import connectors

_CONSTRUCTION_FILE = "class_and_ctor_args.pkl"


class NotTrusted(ValueError):
    """What was asked for is in pickled objects only, and nobody has vouched for these."""


class Trained:
    """Trained policies and their game, in a checkpoint or a bundle.

    Args:
        path: the folder.
        trust: whether its pickled objects may be read, which runs whatever code they name.
        config: the configuration to play by, instead of the one that is stored.

    Raises:
        ValueError: if the folder is neither a checkpoint nor a bundle, or is damaged.
    """

    def __init__(
        self, path: str | Path, *, trust: bool = False, config: AlgorithmConfig | None = None
    ):
        self.path = path
        self._trust, self._config = trust, config
        self._bundle = Bundle(path) if bundle_folder(path) is not None else None
        # Checked before anything is read.
        self._modules = None if _is_bare_bundle(path) else _modules_folder(path)

    @property
    def policies(self) -> list[str]:
        """The ids of the policies; those of replicas end with "@number"."""
        if self._modules is None:
            assert self._bundle is not None
            return self._bundle.policies
        return sorted(path.name for path in self._modules.iterdir() if path.is_dir())

    def policy(self, name: str) -> RLModule:
        """A policy with all of its networks, as it was trained.

        Raises:
            NotTrusted: if it is in pickled objects only.
            ValueError: if there is no such policy.
        """
        if name not in self.policies:
            message = unknown_name_message("policy", name, self.policies)
            raise ValueError(printable(f"{self.path}: {message}"))
        if self._bundle is not None and (name in self._bundle.policies or self._modules is None):
            return self._bundle.policy(name)
        assert self._modules is not None
        why = self._bundle.missing.get(name) if self._bundle else None
        folder = self._modules / name
        self._need_trust(
            folder, f"the policy {name!r} is in no bundle" + (f": {why}" if why else "")
        )
        return RLModule.from_checkpoint(str(folder))

    def config(self) -> AlgorithmConfig:
        """The configuration to play by, to be changed at will.

        Raises:
            NotTrusted: if it is in pickled objects only.
            ValueError: if a bundle does not say enough to play.
        """
        if self._config is not None:
            return self._config.copy(copy_frozen=False)
        why = "it has no bundle"
        if self._bundle is not None:
            try:
                return self._bundle.config()
            except ValueError as error:
                if self._modules is None:
                    raise
                why = str(error).rstrip(".")
        self._need_trust(Path(self.path).expanduser() / _CONSTRUCTION_FILE, why)
        return _stored_config(Path(self.path).expanduser())

    def policy_of(self, agent: AgentID) -> str:
        """The id of the policy that plays for an agent.

        Raises:
            ValueError: if there is none.
        """
        if self._bundle is not None and self._config is None and self._bundle.agents is not None:
            known = {str(name): policy for name, policy in self._bundle.agents.items()}
            if str(agent) not in known:
                message = unknown_name_message("agent", agent, known)
                raise ValueError(printable(f"{self.path}: {message}"))
            return known[str(agent)]
        return self.config().policy_mapping_fn(agent, None)

    def stored_name(self, policy: str, replica: int) -> str:
        """The policy's id here, which may be one of replicas."""
        replicated = replica_id(policy, replica)
        return replicated if replicated in self.policies else policy

    def restore_connectors(self, runner: Any) -> None:
        """Gives an env runner's connectors the state that they had.

        Raises:
            NotTrusted: if they had one, which is in pickled objects only.
        """
        if self._bundle is not None and self._bundle.connectors != "stateful":
            return
        folder = Path(self.path).expanduser().resolve() / "env_runner"
        for name, pipeline in connectors(runner).items():
            stored = folder / f"{name}_connector"
            if stored.is_dir():
                self._need_trust(stored, "the state of its connectors is in no bundle")
                pipeline.restore_from_path(str(stored))

    def _need_trust(self, read: Path, why: str) -> None:
        if self._trust:
            return
        root = Path(self.path).expanduser().resolve()
        files = [read.resolve()] if read.is_file() else sorted(read.resolve().rglob("*.pkl"))
        names = [file.relative_to(root).as_posix() for file in files]
        raise NotTrusted(
            printable(
                f"{self.path}: {why}. Reading it would run whatever code stands in "
                f"{', '.join(names)}; if you trust who made it, give --trust (in Python: "
                "trust=True)."
            )
        )


def policies_in(checkpoint: str | Path) -> list[str]:
    """The ids of the policies in a checkpoint or bundle; those of replicas end with "@number".

    Raises:
        ValueError: if the folder is neither, or is damaged.
    """
    return Trained(checkpoint).policies


def load_policy(checkpoint: str | Path, policy: str, *, trust: bool = False) -> RLModule:
    """A policy with all of its networks, as it was trained.

    Args:
        checkpoint: the folder that `Algorithm.save_to_path` or Tune wrote, or a bundle.
        policy: its id.
        trust: whether a policy that is in no bundle may be read from pickled objects, which runs
            whatever code they name.

    Raises:
        NotTrusted: if it would have to be trusted.
        ValueError: if the folder is no checkpoint of an algorithm, or has no such policy.
    """
    return Trained(checkpoint, trust=trust).policy(policy)


def _stored_config(folder: Path) -> AlgorithmConfig:
    with (folder / _CONSTRUCTION_FILE).open("rb") as file:
        construction: dict[str, Any] = pickle.load(file)
    arguments, _ = construction["ctor_args_and_kwargs"]
    given = arguments[0]
    if isinstance(given, AlgorithmConfig):
        return given.copy(copy_frozen=False)
    return construction["class"].get_default_config().update_from_dict(given)


def _is_bare_bundle(path: str | Path) -> bool:
    return bundle_folder(path) == Path(path).expanduser().resolve()


def _modules_folder(checkpoint: str | Path) -> Path:
    folder = Path(checkpoint).expanduser().resolve()
    modules = folder / COMPONENT_LEARNER_GROUP / COMPONENT_LEARNER / COMPONENT_RL_MODULE
    if not modules.is_dir() or not (folder / _CONSTRUCTION_FILE).is_file():
        raise ValueError(
            f"{printable(checkpoint)} is no checkpoint of an algorithm; allowed: a folder that "
            "`Algorithm.save_to_path` or Ray Tune wrote, or a bundle."
        )
    # Checkpoints of other algorithms of RLlib's have no such list.
    if (folder / MANIFEST).exists():
        check_manifest(folder)
    return modules
