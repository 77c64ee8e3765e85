"""(h) Replicas: seeds per CPU minute of one trial with many copies against one trial each.

    python benchmarks/replicas.py

Max of Two Quadratics as it is tuned, from building the algorithm to the end of its budget; the
trials run one after the other in this process, Ray running and everything imported already.
"""

from __future__ import annotations

import gc
import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from measure import Report, Row, Spread, interleave, prepare, progress, resident_bytes

MEBIBYTE = 2**20
LINEARITY = "memory of a replica / with fewer"


@dataclass(frozen=True)
class Settings:
    """What is varied, and how long to measure.

    Attributes:
        full: the whole budget of the tuned configuration.
        replicas: numbers of copies; the first must be 1.
        episodes: length of a trial in episodes of 25 plays.
        repetitions: trials of each number.
        json: where to write the results.
    """

    full: bool = False
    replicas: tuple[int, ...] = (1, 16, 64)
    episodes: int = 10
    repetitions: int = 3
    json: Path | None = None


def main(settings: Settings) -> None:
    """Measures speed in turns, then memory in a process for each number of copies."""
    prepare()
    from rommeo_rllib.experiments.ray_session import quiet_ray
    from rommeo_rllib.tuned_configs.max_of_two_quadratics import rommeo_ac as tuned

    report = Report("replicas", "Replicas: seeds per CPU minute, and memory")
    budget = tuned.stop["num_env_steps_sampled_lifetime"]
    env_steps = budget if settings.full else settings.episodes * tuned.PLAYS_PER_EPISODE
    try:
        tuned.config.copy(copy_frozen=False).training(replicas=2)
    except (ValueError, TypeError) as error:
        report.notes.append(f"Skipped: {error}")
        report.finish(settings.json)
        return
    with quiet_ray(), progress("replicas", len(settings.replicas) * settings.repetitions) as done:
        turns = {str(n): trial_turn(n, env_steps) for n in settings.replicas}
        interleave({"warm-up": trial_turn(1, env_steps)}, 1)
        rates = interleave(turns, settings.repetitions, done)
    context = multiprocessing.get_context("spawn")
    memory = []
    for replicas in settings.replicas:
        with context.Pool(1) as pool:
            memory.append(pool.apply(memory_of, (replicas, env_steps)))

    one = rates[str(settings.replicas[0])]
    per_replica = [used / n for n, used in zip(settings.replicas, memory, strict=True)]
    for index, (replicas, used) in enumerate(zip(settings.replicas, memory, strict=True)):
        own = rates[str(replicas)]
        # A single trial fits into what is left of those before; that is no yardstick.
        growth = per_replica[index] / per_replica[index - 1] if index > 1 else None
        report.rows.append(
            Row(
                {"replicas": replicas},
                {
                    "seeds per CPU minute / one trial each": Spread.of_ratio(own, one),
                }
                | ({} if growth is None else {LINEARITY: Spread.of([growth])}),
                {
                    "seeds per CPU minute": Spread.of(own),
                    "memory (MiB)": Spread.of([used / MEBIBYTE]),
                    "memory, a replica (MiB)": Spread.of([per_replica[index] / MEBIBYTE]),
                },
            )
        )
    report.notes.append(
        f"{env_steps} env steps and updates a copy. Memory is what building and training add to "
        "the process."
    )
    report.finish(settings.json)


def trial_turn(replicas: int, env_steps: int) -> Callable[[], float]:
    """One trial; seeds per CPU minute."""

    def turn() -> float:
        begin = time.process_time()
        train(replicas, env_steps).stop()
        return 60.0 * replicas / (time.process_time() - begin)

    return turn


def train(replicas: int, goal: int) -> Any:
    """An algorithm that has trained for `goal` env steps of each copy."""
    from setups import env_steps, without_evaluation

    from rommeo_rllib.tuned_configs.max_of_two_quadratics import rommeo_ac as tuned

    config = without_evaluation(tuned.config)
    if replicas > 1:
        config.training(replicas=replicas)
    algorithm = config.build_algo()
    while env_steps(algorithm.train()) < goal:
        pass
    return algorithm


def memory_of(replicas: int, env_steps: int) -> int:
    """Bytes that a trial adds to this process, which should be a fresh one."""
    prepare()
    from rommeo_rllib.experiments.ray_session import quiet_ray

    with quiet_ray():
        train(1, 1).stop()  # Imports and the like are nobody's.
        gc.collect()
        before = resident_bytes()
        algorithm = train(replicas, env_steps)
        gc.collect()
        used = resident_bytes() - before
        algorithm.stop()
    return used


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
