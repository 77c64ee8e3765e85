"""The settings that published experiments on the climbing game used, as far as they are known.

Of ROMMEO-Q, its ablation, JAL, WoLF-PHC, FMQ and PR2-Q: what the ROMMEO paper's authors used for
Figure 1, by their programs, whose peculiarities are settings here. Of the others, which do not come
from there: usual values. None was tuned here; what tuning brings is in `tuned_configs`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def falling(floor: float, height: float = 500.0, rate: float = 0.1) -> list[list[float]]:
    """The authors' temperature floor + height exp(-rate play), as a schedule's points.

    Straight lines between points 5 plays apart lie at most 3.1 % of the exponential's value above
    it; after 120 plays, where what is left of 500 is 0.003, it stays.
    """
    plays = range(0, 121, 5)
    return [[float(t), round(floor + height * math.exp(-rate * t), 4)] for t in plays]


# The authors' step is 10000 / (10000 + play), which is 1 for all practical purposes, and their
# joint learners update on the newest play alone.
_AUTHORS: dict[str, Any] = {"learning_rate": 1.0, "initial_q": (0.0, 1.0)}

PAPER_SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "ROMMEO-Q": {**_AUTHORS, "alpha": falling(0.1), "prior_window": 50},
    "ROMMEO-Q-EMP": {**_AUTHORS, "alpha": falling(0.1), "prior_window": 50},
    "JAL": {
        **_AUTHORS,
        "temperature": None,
        "epsilon": 0.05,
        "prior_window": 50,
        "normalised": True,
    },
    "WoLF-PHC": {**_AUTHORS, "delta_win": 0.0025, "delta_lose": 0.005, "epsilon": 0.1},
    "FMQ-c10": {
        "learning_rate": 0.9,
        "initial_q": (0.0, 1.0),
        "temperature": falling(1.0),
        "c": 10.0,
        "restarts_count": False,
    },
    "PR2-Q": {**_AUTHORS, "temperature": 1.0, "counts_answers": True},
    "Distributed-Q": {"initial_q": -1000.0, "epsilon": 0.05},
    "Hysteretic-Q": {
        "learning_rate": 0.1,
        "decrease_rate": 0.01,
        "initial_q": 0.0,
        "temperature": {
            "initial": 50.0,
            "final": 0.05,
            "decay_steps": 1000,
            "kind": "exponential",
        },
        "epsilon": 0.0,
    },
    "Lenient-Q": {"learning_rate": 0.1, "initial_q": 0.0},
}
"""Settings by the learner's name."""
