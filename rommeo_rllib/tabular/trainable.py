"""The tabular learners as trainables of Ray Tune: `tune.run("ROMMEO-Q", config={...})`.

An iteration is some episodes of all trials. The configuration holds what is played and, beside it,
the learner's own settings:

    {"game": "climbing_game", "trials": 100, "episodes": 300, "alpha": {"initial": 50.0, ...}}
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ray import tune

from rommeo_rllib.provenance import PROVENANCE, provenance
from rommeo_rllib.tabular import LEARNERS
from rommeo_rllib.tabular.learner import TabularLearner
from rommeo_rllib.tabular.play_config import CONVERGED, P_OPTIMUM, REWARD, make_play

_CHECKPOINT = "play.pkl"


class TabularTrainable(tune.Trainable):
    """Plays a game with tabular learners of one class; see `PlayConfig` for the configuration.

    Each result holds `converged` (absent where the best return is not known), `p_optimum`,
    `reward`, `episodes` and `plays`; after the last episode `done` is true.

    Raises:
        ValueError: on a key that is unknown (the message names the nearest one) or a value that is
            not allowed.
    """

    learner: ClassVar[type[TabularLearner]]

    def setup(self, config: dict[str, Any]) -> None:
        """Makes the learners and the game."""
        self._config, self._play = make_play(self.learner, config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begins anew with another configuration, so that a sweep can reuse its processes."""
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Plays the episodes of one iteration, or those that are left."""
        left = self._config.episodes - self._play.episodes
        episodes = max(1, min(self._config.episodes_per_iteration, left))
        p_optimum, rewards, converged = self._play.run(episodes)
        result = {
            P_OPTIMUM: float(p_optimum.mean()),
            REWARD: float(rewards.mean()),
            "episodes": self._play.episodes,
            "plays": self._play.learners[0].plays,
            "done": self._play.episodes >= self._config.episodes,
            PROVENANCE: provenance(),
        }
        if converged is not None:
            result[CONVERGED] = float(np.mean(converged))
        return result

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Writes learners, game and random generators."""
        (Path(checkpoint_dir) / _CHECKPOINT).write_bytes(pickle.dumps(self._play))

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Goes on exactly where the checkpoint was written."""
        self._play = pickle.loads((Path(checkpoint) / _CHECKPOINT).read_bytes())


def make_trainable(learner: type[TabularLearner]) -> type[TabularTrainable]:
    """A trainable of this learner, called as the class is."""
    return type(f"{learner.__name__}Trainable", (TabularTrainable,), {"learner": learner})


TRAINABLES: dict[str, type[TabularTrainable]] = {
    name: make_trainable(learner) for name, learner in LEARNERS.items()
}
"""One trainable a learner, by its name: "ROMMEO-Q" and so on."""

# So that a trainable can be pickled by its name.
globals().update({trainable.__name__: trainable for trainable in TRAINABLES.values()})


def alpha_search_space(key: str = "alpha") -> dict[str, Any]:
    """A search space over alpha's schedule, or a rival's `temperature`, in units of the reward."""
    return {
        key: {
            "initial": tune.loguniform(0.5, 500.0),
            "final": tune.loguniform(0.05, 20.0),
            "decay_steps": tune.lograndint(10, 240),
            "kind": tune.choice(["linear", "exponential"]),
        }
    }


def share_table(results: Any, key: str = "alpha") -> tuple[list[float], list[float], np.ndarray]:
    """What `alpha_heat_map` draws, from a sweep over a grid of alpha's schedules.

    Args:
        results: the results of `tune.Tuner.fit` or an iterable of dicts, flattened as in Tune's
            data frames: "config/alpha/initial", "config/alpha/decay_steps" and "converged".
        key: the schedule that was swept.

    Returns:
        The initial values, the decays, and the share of trials that converged, averaged where
        several trials share a cell: (decays, initial values); NaN where there were none.
    """
    is_grid = hasattr(results, "get_dataframe")
    rows = results.get_dataframe().to_dict("records") if is_grid else list(results)
    cells: dict[tuple[float, float], list[float]] = {}
    for row in rows:
        prefix = f"config/{key}/"
        cell = (float(row[f"{prefix}decay_steps"]), float(row[f"{prefix}initial"]))
        cells.setdefault(cell, []).append(float(row[CONVERGED]))
    decays = sorted({decay for decay, _ in cells})
    initial = sorted({first for _, first in cells})
    table = np.full((len(decays), len(initial)), np.nan)
    for (decay, first), shares in cells.items():
        table[decays.index(decay), initial.index(first)] = np.mean(shares)
    return initial, decays, table
