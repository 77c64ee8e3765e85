"""The algorithms of this package, a line each; importing it imports none of them.

Exports, the names that Ray Tune knows, Figure 2's list and the tests' go by it.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Entry:
    """Where an algorithm is.

    Attributes:
        module: the module.
        algorithm: the name of its class; that of its configuration ends with "Config" besides.
        in_figure_2: whether the paper's Figure 2, or its ablation, compares it.
    """

    module: str
    algorithm: str
    in_figure_2: bool = True

    @property
    def configuration(self) -> str:
        """The name of its configuration's class."""
        return f"{self.algorithm}Config"

    def load(self) -> Any:
        """Its class; imports RLlib."""
        return getattr(importlib.import_module(self.module), self.algorithm)


REGISTRY = {
    "ROMMEO-AC": Entry("rommeo_rllib.rommeo_ac.algorithm", "ROMMEOAC"),
    "ROMMEO-AC-EMP": Entry("rommeo_rllib.rommeo_ac.empirical", "ROMMEOACEMP"),
    "PR2-AC": Entry("rommeo_rllib.baselines.pr2_ac", "PR2AC"),
    "MASQL": Entry("rommeo_rllib.baselines.masql", "MASQL"),
    "MADDPG": Entry("rommeo_rllib.baselines.maddpg", "MADDPG"),
    "MASAC": Entry("rommeo_rllib.baselines.masac", "MASAC", in_figure_2=False),
    "DDPG": Entry("rommeo_rllib.baselines.maddpg", "DDPG"),
    "DDPG-OM": Entry("rommeo_rllib.baselines.maddpg", "DDPGOM"),
}
"""By the names under which Ray Tune knows them."""
