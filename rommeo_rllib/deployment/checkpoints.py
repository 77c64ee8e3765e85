"""What a checkpoint of an algorithm holds, read without starting the algorithm or Ray."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core import COMPONENT_LEARNER, COMPONENT_LEARNER_GROUP, COMPONENT_RL_MODULE
from ray.rllib.core.rl_module.rl_module import RLModule

from rommeo_rllib.joint_action.checkpoint_manifest import MANIFEST, check_manifest
from rommeo_rllib.naming import unknown_name_message

_CONSTRUCTION_FILE = "class_and_ctor_args.pkl"


def policies_in(checkpoint: str | Path) -> list[str]:
    """The ids of the policies in a checkpoint; those of replicas end with "@number".

    Raises:
        ValueError: if the folder is no checkpoint of an algorithm, or is damaged.
    """
    folder = _modules_folder(checkpoint)
    return sorted(path.name for path in folder.iterdir() if path.is_dir())


def load_policy(checkpoint: str | Path, policy: str) -> RLModule:
    """A policy with all of its networks, as it was trained.

    Only load checkpoints that you trust: RLlib keeps parts of them as pickled objects.

    Args:
        checkpoint: the folder that `Algorithm.save_to_path` or Tune wrote.
        policy: its id.

    Raises:
        ValueError: if the folder is no checkpoint of an algorithm, or has no such policy.
    """
    known = policies_in(checkpoint)
    if policy not in known:
        raise ValueError(f"{checkpoint}: {unknown_name_message('policy', policy, known)}")
    return RLModule.from_checkpoint(str(_modules_folder(checkpoint) / policy))


def load_config(checkpoint: str | Path) -> AlgorithmConfig:
    """The configuration that the algorithm was built from, to be changed at will.

    Raises:
        ValueError: if the folder is no checkpoint of an algorithm.
    """
    _modules_folder(checkpoint)
    with (Path(checkpoint) / _CONSTRUCTION_FILE).open("rb") as file:
        construction: dict[str, Any] = pickle.load(file)
    arguments, _ = construction["ctor_args_and_kwargs"]
    given = arguments[0]
    if isinstance(given, AlgorithmConfig):
        return given.copy(copy_frozen=False)
    return construction["class"].get_default_config().update_from_dict(given)


def _modules_folder(checkpoint: str | Path) -> Path:
    folder = Path(checkpoint).expanduser().resolve()
    modules = folder / COMPONENT_LEARNER_GROUP / COMPONENT_LEARNER / COMPONENT_RL_MODULE
    if not modules.is_dir() or not (folder / _CONSTRUCTION_FILE).is_file():
        raise ValueError(
            f"{checkpoint} is no checkpoint of an algorithm; allowed: a folder that "
            "`Algorithm.save_to_path` or Ray Tune wrote."
        )
    # Checkpoints of other algorithms of RLlib's have no such list.
    if (folder / MANIFEST).exists():
        check_manifest(folder)
    return modules
