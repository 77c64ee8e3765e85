"""(f) A sweep of short trials through Tune: seeds a minute, and the share of CPU time in training.

    python benchmarks/sweep.py
    python benchmarks/sweep.py --trials 64 --modes trials replicas

Max of Two Quadratics as it is tuned, its alpha swept with what `rommeo sweep` uses. The share is
CPU time within `training_step`, over that of the driver and of all workers, from the sweep's
beginning to its end; Ray's own services are told apart. With replicas there is one trial a core,
with as many copies as make up the number of seeds. Linux only.
"""

from __future__ import annotations

import math
import os
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro
from measure import Report, Row, Spread, prepare

Mode = Literal["trials", "replicas"]
TRAINING_CPU, EVALUATION_CPU = "training_step_cpu_s", "evaluation_cpu_s"
POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Settings:
    """What is swept.

    Attributes:
        full: 64 seeds.
        trials: seeds.
        episodes: length of a trial in episodes of 25 plays; None is the tuned configuration's own.
        modes: a trial for each, or one trial a core with replicas.
        json: where to write the results.
    """

    full: bool = False
    trials: int = 16
    episodes: int | None = None
    modes: tuple[Mode, ...] = ("trials", "replicas")
    json: Path | None = None


@dataclass
class ProcessTree:
    """CPU time of this process's descendants, looked up now and then, as they come and go."""

    last_seen: dict[int, float] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    own_cost: float = 0.0

    def look(self) -> None:
        """Notes the CPU seconds of all descendants that live now."""
        parents, seconds = {}, {}
        tick = os.sysconf("SC_CLK_TCK")
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                pid = int(entry.name)
                # After the name: state, parent, ...; the 12th and 13th are user and system time.
                parents[pid], seconds[pid] = int(fields[1]), sum(map(int, fields[11:13])) / tick
            except (OSError, IndexError):
                continue  # It has ended meanwhile.
        for pid in self._descendants(parents):
            self.last_seen[pid] = seconds[pid]
            if not self.names.get(pid, "").startswith("ray::"):
                self.names[pid] = _command_line(pid) or self.names.get(pid, "")

    def workers(self) -> float:
        """CPU seconds of Ray's workers so far."""
        return sum(s for pid, s in self.last_seen.items() if self._is_worker(pid))

    def services(self) -> float:
        """CPU seconds of all other descendants so far."""
        return sum(s for pid, s in self.last_seen.items() if not self._is_worker(pid))

    def _is_worker(self, pid: int) -> bool:
        return self.names[pid].startswith("ray::") or "default_worker.py" in self.names[pid]

    @staticmethod
    def _descendants(parents: dict[int, int]) -> set[int]:
        found = {os.getpid()}
        while True:
            more = {pid for pid, parent in parents.items() if parent in found} - found
            if not more:
                return found - {os.getpid()}
            found |= more


def main(settings: Settings) -> None:
    """Runs a sweep in each mode."""
    prepare()
    report = Report("sweep", "A sweep of alpha through Tune")
    trials = 64 if settings.full else settings.trials
    for mode in settings.modes:
        try:
            report.rows.append(sweep(mode, trials, settings.episodes))
        except (ValueError, TypeError) as error:
            report.notes.append(f"Skipped {mode}: {error}")
    report.finish(settings.json)


def sweep(mode: Mode, seeds: int, episodes: int | None) -> Row:
    """One sweep in a Ray session of its own."""
    from rommeo_rllib.tuned_configs.max_of_two_quadratics import rommeo_ac as tuned

    stop = dict(tuned.stop)
    if episodes is not None:
        stop["num_env_steps_sampled_lifetime"] = episodes * tuned.PLAYS_PER_EPISODE
    config, trials = tuned.config.copy(copy_frozen=False), seeds
    if mode == "replicas":
        trials = min(os.cpu_count() or 1, seeds)
        config.training(replicas=math.ceil(seeds / trials))
        seeds = trials * config.replicas
    initial = np.exp(np.random.default_rng(0).uniform(np.log(10.0), np.log(40.0), trials))
    alphas = [{"initial": float(one), "final": 0.1, "decay_steps": 250} for one in initial]
    settings = [{"alpha": alpha} for alpha in alphas]
    results, spent = watched_trials(timed_algorithm(), config, stop, settings)
    training, evaluation = (
        sum(result.metrics[key] for result in results) for key in (TRAINING_CPU, EVALUATION_CPU)
    )
    shares = {
        "share of CPU in training": training / spent.cpu,
        "in training and evaluation": (training + evaluation) / spent.cpu,
    }
    measured = {
        "seeds a minute": 60.0 * seeds / spent.wall,
        "training (CPU s)": training,
        "evaluation (CPU s)": evaluation,
        "all workers (CPU s)": spent.workers,
        "driver (CPU s)": spent.driver,
        "Ray's services (CPU s)": spent.services,
    }
    return Row(
        {"sweep": mode, "seeds": seeds, "Tune trials": trials},
        {name: Spread.of([value]) for name, value in shares.items()},
        {name: Spread.of([value]) for name, value in measured.items()},
    )


@dataclass(frozen=True)
class Spent:
    """What an experiment has cost, in seconds: of CPU, but for the clock's on the wall."""

    driver: float
    workers: float
    services: float
    wall: float

    @property
    def cpu(self) -> float:
        """Driver and workers; Ray's own services are there anyway."""
        return self.driver + self.workers


def watched_trials(
    algorithm: type, config: Any, stop: dict[str, Any], settings: Sequence[dict[str, Any]]
) -> tuple[Any, Spent]:
    """Runs a trial of each setting of keys in a Ray session of their own: results, and the cost."""
    from rommeo_rllib.experiments.ray_session import quiet_ray

    with quiet_ray():
        tree, ended = ProcessTree(), threading.Event()
        watching = threading.Thread(target=_watch, args=(tree, ended), daemon=True)
        watching.start()
        cpu, wall = time.process_time(), time.perf_counter()
        results = _run(algorithm, config, stop, settings)
        driver, wall = time.process_time() - cpu, time.perf_counter() - wall
        ended.set()
        watching.join()
    # To watch is no part of what is watched.
    return results, Spent(driver - tree.own_cost, tree.workers(), tree.services(), wall)


def _run(
    algorithm: type, config: Any, stop: dict[str, Any], settings: Sequence[dict[str, Any]]
) -> Any:
    from rich.console import Console

    from rommeo_rllib.experiments.running import Experiment, run_trials
    from rommeo_rllib.experiments.trials import Trial

    with tempfile.TemporaryDirectory() as storage:
        experiment = Experiment(
            algorithm,
            config,
            stop,
            storage,
            "benchmark",
            trials=[
                Trial(setting, seed, config.replicas, config.replicas)
                for seed, setting in enumerate(settings)
            ],
            configured=dict,
            checkpoint=False,
            tensorboard=False,
        )
        results = run_trials(experiment, Console(quiet=True))
    if results.errors:
        raise RuntimeError(
            f"{len(results.errors)} of {len(settings)} trials failed"
        ) from results.errors[0]
    return results


def timed_algorithm() -> type:
    """ROMMEO-AC that reports the CPU time of its training steps and of its evaluations."""
    from rommeo_rllib import ROMMEOAC

    class TimedROMMEOAC(ROMMEOAC):
        def setup(self, config: Any) -> None:
            # Called for each trial that a process runs.
            self.training_cpu = self.evaluation_cpu = 0.0
            super().setup(config)

        def training_step(self) -> None:
            begin = time.process_time()
            super().training_step()
            self.training_cpu += time.process_time() - begin

        def evaluate(self, *args: Any, **kwargs: Any) -> Any:
            begin = time.process_time()
            results = super().evaluate(*args, **kwargs)
            self.evaluation_cpu += time.process_time() - begin
            return results

        def step(self) -> dict[str, Any]:
            results = super().step()
            return results | {
                TRAINING_CPU: self.training_cpu,
                EVALUATION_CPU: self.evaluation_cpu,
            }

    return TimedROMMEOAC


def _watch(tree: ProcessTree, ended: threading.Event) -> None:
    """Looks at the processes until `ended`."""
    while not ended.wait(POLL_SECONDS):
        tree.look()
        tree.own_cost = time.thread_time()
    tree.look()


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
    except OSError:
        return ""


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
