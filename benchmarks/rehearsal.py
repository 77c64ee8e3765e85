"""A sweep on a cluster of three nodes, in which a node and the driver are killed.

    python benchmarks/rehearsal.py
    python benchmarks/rehearsal.py --undisturbed

The nodes are Ray's own (`ray.cluster_utils.Cluster`), each with its own raylet, on this machine;
the sweep is `rommeo sweep`, first until the driver is killed, then again with `--resume`. In the
end there must be a result for each seed of each setting, and the table must be that of an
undisturbed sweep. By default: 8 settings of alpha x 6 seeds on Max of Two Quadratics, a trial a
seed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tyro

POLL_SECONDS = 0.5
HEAD, WORKERS = 0, 2
NAME = "rehearsal"


@dataclass(frozen=True)
class Settings:
    """What is swept, and when what is killed.

    Attributes:
        configuration: a configuration's name or file.
        alpha: constant values of alpha.
        initial: initial values of schedules.
        decay_steps: env steps of schedules.
        seeds: seeds of each setting.
        stop_steps: env steps of a trial.
        together: whether the seeds of a setting are one trial; else each is its own.
        node_dies_at: trials that are done when a node is killed.
        driver_dies_at: trials that are done when the driver is killed.
        undisturbed: kill nothing.
        storage: where results go; by default a temporary folder.
        json: where to write the table.
    """

    configuration: str = "max_of_two_quadratics/rommeo_ac"
    alpha: tuple[float, ...] = (0.1, 1.0)
    initial: tuple[float, ...] = (2.0, 10.0, 50.0)
    decay_steps: tuple[int, ...] = (125, 250)
    seeds: int = 6
    stop_steps: int = 500
    together: bool = False
    node_dies_at: int = 12
    driver_dies_at: int = 30
    undisturbed: bool = False
    storage: Path | None = None
    json: Path | None = None


@dataclass
class Rehearsal:
    """The cluster, the sweep on it, and what has happened."""

    settings: Settings
    storage: Path
    events: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    drivers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def run(self) -> list[dict[str, Any]]:
        """Runs all; the table's rows."""
        from ray.cluster_utils import Cluster

        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": HEAD})
        nodes = [cluster.add_node(num_cpus=1) for _ in range(WORKERS)]
        cluster.wait_for_nodes()
        self.note(f"{1 + WORKERS} nodes are up")
        try:
            driver = self.start(cluster.address)
            if not self.settings.undisturbed:
                self.await_trials(self.settings.node_dies_at, driver)
                cluster.remove_node(nodes[0], allow_graceful=False)
                self.note("a node was killed")
                self.await_trials(self.settings.driver_dies_at, driver)
                os.kill(driver.pid, signal.SIGKILL)
                driver.wait()
                self.note(f"the driver was killed, {self.trials_done()} trials were done")
                driver = self.start(cluster.address, "--resume")
            status = driver.wait()
            self.note(f"the sweep ended with status {status}")
            if status:
                raise RuntimeError(f"rommeo sweep ended with status {status}")
        finally:
            for driver in self.drivers:
                driver.kill()
            cluster.shutdown()
        return json.loads((self.storage / "table.json").read_text())

    def start(self, address: str, *options: str) -> subprocess.Popen[bytes]:
        """`rommeo sweep` on the cluster."""
        settings = self.settings
        grids = {
            "--alpha": settings.alpha,
            "--initial": settings.initial,
            "--decay-steps": settings.decay_steps,
        }
        values = [str(x) for name, grid in grids.items() if grid for x in (name, *grid)]
        apart = () if settings.together else ("--replicas", "1")
        command = [
            *(sys.executable, "-m", "rommeo_rllib.cli", "sweep", settings.configuration),
            *values,
            *("--num-samples", str(settings.seeds), "--stop-steps", str(settings.stop_steps)),
            *("--success-above", "9", "--name", NAME, "--storage", str(self.storage)),
            *("--json", str(self.storage / "table.json")),
            *apart,
            *options,
        ]
        environment = os.environ | {
            "RAY_ADDRESS": address,
            "OMP_NUM_THREADS": "1",
            # By default Tune stores the state of an experiment every ten seconds or more.
            "TUNE_GLOBAL_CHECKPOINT_S": "1",
        }
        self.note("the driver starts")
        self.drivers.append(subprocess.Popen(command, env=environment))
        return self.drivers[-1]

    def await_trials(self, count: int, driver: subprocess.Popen[bytes]) -> None:
        """Waits until that many trials are done."""
        while self.trials_done() < count:
            if driver.poll() is not None:
                raise RuntimeError("the sweep ended before anything could be killed")
            time.sleep(POLL_SECONDS)

    def trials_done(self) -> int:
        """Trials whose end is stored."""
        files = (self.storage / NAME).glob("*/result.json")
        return sum('"done": true' in file.read_text() for file in files)

    def note(self, event: str) -> None:
        """Says what has happened, and when."""
        self.events.append(f"{time.monotonic() - self.began:6.1f} s: {event}")
        print(self.events[-1], flush=True)


def main(settings: Settings) -> None:
    """Rehearses, and says whether all results are there."""
    with tempfile.TemporaryDirectory(prefix="ray") as temporary:
        # A cluster leaves its address where every ray.init() on this machine would find it.
        os.environ["RAY_TMPDIR"] = temporary
        # On a busy machine a node takes longer to come up than the half minute that Ray grants it.
        os.environ.setdefault("RAY_raylet_start_wait_time_s", "300")
        storage = (settings.storage or Path(temporary, "results")).resolve()
        rows = Rehearsal(settings, storage).run()
    schedules = len(settings.initial) * len(settings.decay_steps)
    expected = (len(settings.alpha) + schedules) * settings.seeds
    found = sum(row["seeds"] for row in rows)
    print(f"{found} of {expected} results.")
    if settings.json is not None:
        settings.json.write_text(json.dumps(rows, indent=2) + "\n")
    if found != expected:
        sys.exit(1)


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
