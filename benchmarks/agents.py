"""What an agent costs among 2 to 32: one env step and one update of all, models of all or of few.

The opponent model is a product over the opponents, so that an agent's networks grow linearly with
the number of agents that it models; `opponent_groups` keeps that number small.

    python benchmarks/agents.py
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median

import ray
from rich.console import Console
from rich.table import Table
from setups import rommeo_config

from rommeo_rllib import ROMMEOACConfig

AGENTS = (2, 4, 8, 16, 32)
NEIGHBOURS = 3
HIDDENS, BATCH, STEPS, REPEATS = (100, 100), 256, 10, 5


def with_neighbours(config: ROMMEOACConfig, agents: int) -> ROMMEOACConfig:
    """Each agent models the next three only, in a circle."""
    names = [f"player_{index}" for index in range(agents)]
    groups = {
        name: [names[(index + step) % agents] for step in range(1, NEIGHBOURS + 1)]
        for index, name in enumerate(names)
    }
    return config.training(opponent_groups=groups)


def measure(config: ROMMEOACConfig) -> tuple[float, int]:
    """CPU milliseconds of an env step with its updates, and the parameters of an agent."""
    algorithm = config.build_algo()
    try:
        algorithm.train()  # Fills the replay, and torch's caches.
        times = []
        for _ in range(REPEATS):
            started = time.process_time()
            algorithm.train()
            times.append((time.process_time() - started) / STEPS * 1e3)
        policy = algorithm.learner_group._learner.module["player_0"]
        return median(times), sum(parameter.numel() for parameter in policy.parameters())
    finally:
        algorithm.stop()


def rows(numbers: Sequence[int]) -> list[list[str]]:
    """The table: agents, all modelled, few modelled."""
    found = []
    for agents in numbers:
        everybody = measure(rommeo_config(agents, HIDDENS, BATCH, 0.95, STEPS))
        row = [str(agents), *_cells(*everybody, agents)]
        if agents > NEIGHBOURS + 1:
            config = with_neighbours(rommeo_config(agents, HIDDENS, BATCH, 0.95, STEPS), agents)
            row += _cells(*measure(config), agents)
        else:
            row += ["", "", ""]
        found.append(row)
    return found


def _cells(milliseconds: float, parameters: int, agents: int) -> list[str]:
    return [f"{milliseconds:.1f}", f"{milliseconds / agents:.2f}", f"{parameters:,}"]


def main() -> None:
    """Prints the table."""
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="error")
    headings = ["ms", "ms an agent", "parameters of an agent"]
    table = Table("agents", *headings, *(f"{h} ({NEIGHBOURS} modelled)" for h in headings))
    for row in rows(AGENTS):
        table.add_row(*row)
    Console(width=160).print(table)
    ray.shutdown()


if __name__ == "__main__":
    main()
