"""ROMMEO as a first-class citizen of Ray RLlib.

Importing the package registers its algorithms ("ROMMEO-AC", its rivals "PR2-AC", "MASQL", "MADDPG",
"DDPG" and "DDPG-OM", and the tabular "ROMMEO-Q" and its own) and its games
("max_of_two_quadratics", "climbing_game", ...) with Ray, as soon as RLlib is imported. The import
itself is light: the games, the tabular learners and the mathematics can be had without Ray.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import wrapt

if TYPE_CHECKING:
    from rommeo_rllib.baselines.maddpg.algorithm import (
        DDPG,
        DDPGOM,
        MADDPG,
        DDPGConfig,
        DDPGOMConfig,
        MADDPGConfig,
    )
    from rommeo_rllib.baselines.masql.algorithm import MASQL, MASQLConfig
    from rommeo_rllib.baselines.pr2_ac.algorithm import PR2AC, PR2ACConfig
    from rommeo_rllib.pettingzoo_env import PettingZooMultiAgentEnv
    from rommeo_rllib.rommeo_ac.algorithm import ROMMEOAC, ROMMEOACConfig
    from rommeo_rllib.rommeo_ac.empirical import ROMMEOACEMP, ROMMEOACEMPConfig
    from rommeo_rllib.rommeo_ac.policy import ROMMEOPolicy

__version__ = "0.1.0"

_PUBLIC_NAMES = {
    "DDPG": "rommeo_rllib.baselines.maddpg.algorithm",
    "DDPGConfig": "rommeo_rllib.baselines.maddpg.algorithm",
    "DDPGOM": "rommeo_rllib.baselines.maddpg.algorithm",
    "DDPGOMConfig": "rommeo_rllib.baselines.maddpg.algorithm",
    "MADDPG": "rommeo_rllib.baselines.maddpg.algorithm",
    "MADDPGConfig": "rommeo_rllib.baselines.maddpg.algorithm",
    "MASQL": "rommeo_rllib.baselines.masql.algorithm",
    "MASQLConfig": "rommeo_rllib.baselines.masql.algorithm",
    "PR2AC": "rommeo_rllib.baselines.pr2_ac.algorithm",
    "PR2ACConfig": "rommeo_rllib.baselines.pr2_ac.algorithm",
    "PettingZooMultiAgentEnv": "rommeo_rllib.pettingzoo_env",
    "ROMMEOAC": "rommeo_rllib.rommeo_ac.algorithm",
    "ROMMEOACConfig": "rommeo_rllib.rommeo_ac.algorithm",
    "ROMMEOACEMP": "rommeo_rllib.rommeo_ac.empirical",
    "ROMMEOACEMPConfig": "rommeo_rllib.rommeo_ac.empirical",
    "ROMMEOPolicy": "rommeo_rllib.rommeo_ac.policy",
}

__all__ = [  # noqa: RUF022 (as a reader wants them)
    "ROMMEOACConfig",
    "ROMMEOAC",
    "ROMMEOPolicy",
    "ROMMEOACEMPConfig",
    "ROMMEOACEMP",
    "DDPGConfig",
    "DDPG",
    "DDPGOMConfig",
    "DDPGOM",
    "MADDPGConfig",
    "MADDPG",
    "MASQLConfig",
    "MASQL",
    "PR2ACConfig",
    "PR2AC",
    "PettingZooMultiAgentEnv",
]


def __getattr__(name: str) -> Any:
    """Imports a public name, and with it RLlib, when it is first used."""
    if name not in _PUBLIC_NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC_NAMES[name]), name)


# Tune imports RLlib when it meets the name of an algorithm that it does not know, so that
# `tune.run("ROMMEO-AC", ...)` finds it, too.
@wrapt.when_imported("ray.rllib")
def _register_with_ray(_: Any) -> None:
    importlib.import_module("rommeo_rllib.registration").register()
