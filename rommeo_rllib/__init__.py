"""ROMMEO as a first-class citizen of Ray RLlib.

Importing the package registers its algorithms ("ROMMEO-AC" and the others of `registry`, and the
tabular "ROMMEO-Q" and its own) and its games ("max_of_two_quadratics", "climbing_game", ...) with
Ray, as soon as RLlib is imported. The import itself is light: the games, the tabular learners and
the mathematics can be had without Ray.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import wrapt

from rommeo_rllib.registry import REGISTRY

if TYPE_CHECKING:
    # "X as X" tells type checkers that a name is public; at run time see `__getattr__`.
    from rommeo_rllib.baselines.maddpg import DDPG as DDPG
    from rommeo_rllib.baselines.maddpg import DDPGOM as DDPGOM
    from rommeo_rllib.baselines.maddpg import MADDPG as MADDPG
    from rommeo_rllib.baselines.maddpg import DDPGConfig as DDPGConfig
    from rommeo_rllib.baselines.maddpg import DDPGOMConfig as DDPGOMConfig
    from rommeo_rllib.baselines.maddpg import MADDPGConfig as MADDPGConfig
    from rommeo_rllib.baselines.masac import MASAC as MASAC
    from rommeo_rllib.baselines.masac import MASACConfig as MASACConfig
    from rommeo_rllib.baselines.masql import MASQL as MASQL
    from rommeo_rllib.baselines.masql import MASQLConfig as MASQLConfig
    from rommeo_rllib.baselines.pr2_ac import PR2AC as PR2AC
    from rommeo_rllib.baselines.pr2_ac import PR2ACConfig as PR2ACConfig
    from rommeo_rllib.pettingzoo_env import PettingZooMultiAgentEnv as PettingZooMultiAgentEnv
    from rommeo_rllib.rommeo_ac.algorithm import ROMMEOAC as ROMMEOAC
    from rommeo_rllib.rommeo_ac.algorithm import ROMMEOACConfig as ROMMEOACConfig
    from rommeo_rllib.rommeo_ac.empirical import ROMMEOACEMP as ROMMEOACEMP
    from rommeo_rllib.rommeo_ac.empirical import ROMMEOACEMPConfig as ROMMEOACEMPConfig
    from rommeo_rllib.rommeo_ac.policy import ROMMEOPolicy as ROMMEOPolicy

__version__ = "0.1.0"

_MODULES = {
    **{name: e.module for e in REGISTRY.values() for name in (e.configuration, e.algorithm)},
    "ROMMEOPolicy": "rommeo_rllib.rommeo_ac.policy",
    "PettingZooMultiAgentEnv": "rommeo_rllib.pettingzoo_env",
}
"""Where each public name is."""

__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    """Imports a public name, and with it RLlib, when it is first used."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


# Tune imports RLlib when it meets the name of an algorithm that it does not know, so that
# `tune.run("ROMMEO-AC", ...)` finds it, too.
@wrapt.when_imported("ray.rllib")
def _register_with_ray(_: Any) -> None:
    importlib.import_module("rommeo_rllib.registration").register()
