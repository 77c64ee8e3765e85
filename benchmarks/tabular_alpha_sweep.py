"""ROMMEO-Q on the climbing game over a grid of alpha's schedules, as a heat map.

    python benchmarks/tabular_alpha_sweep.py --start low --out docs/images
    python benchmarks/tabular_alpha_sweep.py --start optimistic --out /tmp

Alpha falls exponentially to 0.1; the other settings are the paper's, but for an "optimistic" start
Q begins at 12, above every payoff. One cell is one run of the trainable "ROMMEO-Q", as a sweep with
Ray Tune has it, but without Ray's processes.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rommeo_rllib.reporting.figures import save
from rommeo_rllib.reporting.tabular_figures import alpha_heat_map
from rommeo_rllib.tabular.paper_settings import PAPER_SETTINGS
from rommeo_rllib.tabular.trainable import TRAINABLES, share_table

INITIAL = [0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 500.0]
DECAY_STEPS = [5, 10, 20, 40, 80, 160, 240]
FINAL = 0.1
STARTS = {"low": ("Q begins in [0, 1)", (0.0, 1.0)), "optimistic": ("Q begins at 12", 12.0)}


def main() -> None:
    """Sweeps, and writes the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--start", choices=list(STARTS), default="low")
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    arguments = parser.parse_args()
    what, initial_q = STARTS[arguments.start]
    rows = [
        _run(initial, decay_steps, initial_q, arguments.trials)
        for initial in INITIAL
        for decay_steps in DECAY_STEPS
    ]
    shares = [row["converged"] for row in rows]
    print(f"{what}: share converged from {min(shares):.3f} to {max(shares):.3f}")
    title = f"ROMMEO-Q on the climbing game, {what}: {arguments.trials} trials a cell"
    figure = alpha_heat_map(*share_table(rows), title=title)
    for path in save(figure, arguments.out, f"alpha-sweep-{arguments.start}"):
        print(f"Written: {path}")


def _run(initial: float, decay_steps: int, initial_q: Any, trials: int) -> dict[str, float]:
    alpha = {
        "initial": initial,
        "final": FINAL,
        "decay_steps": decay_steps,
        "kind": "exponential",
    }
    settings = {**PAPER_SETTINGS["ROMMEO-Q"], "alpha": alpha, "initial_q": initial_q}
    config = {**settings, "trials": trials, "episodes": 300, "episodes_per_iteration": 300}
    result = TRAINABLES["ROMMEO-Q"](config=config).train()
    return {
        "config/alpha/initial": initial,
        "config/alpha/decay_steps": decay_steps,
        "converged": result["converged"],
    }


if __name__ == "__main__":
    main()
