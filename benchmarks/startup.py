"""(g) Start-up: import times, and the time from process start to the first update.

    python benchmarks/startup.py

Each measurement is a process of its own: CPU time of that process (not of Ray's services that it
starts), and wall-clock time.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import tyro
from measure import Report, Row, Spread, interleave, progress

BARE = "nothing"
STOCK_IMPORT = "RLlib's SACConfig"
IMPORTS = {
    BARE: "pass",
    "rommeo_rllib": "import rommeo_rllib",
    "rommeo_rllib.envs": "import rommeo_rllib.envs",
    "rommeo_rllib.tabular": "import rommeo_rllib.tabular",
    "rommeo_rllib.cli": "import rommeo_rllib.cli",
    "torch": "import torch",
    "rommeo_rllib.objective": "import rommeo_rllib.objective",
    "ray": "import ray",
    STOCK_IMPORT: "from ray.rllib.algorithms.sac import SACConfig",
    "ROMMEOACConfig": "from rommeo_rllib import ROMMEOACConfig",
}
STOCK_UPDATE = "first update, stock SAC"
OUR_UPDATE = "first update, ours"
FIRST_UPDATE = """
import sys
sys.path.insert(0, {folder!r})
from measure import prepare
prepare()
from rommeo_rllib.experiments.ray_session import quiet_ray
with quiet_ray():
    from setups import {config}
    algorithm = {config}(2, (100, 100), 256, 0.95, 1).build_algo()
    assert "player_0" in algorithm.train()["learners"]
    sys.stdout.flush()
"""


@dataclass(frozen=True)
class Settings:
    """How often.

    Attributes:
        full: more repetitions.
        repetitions: processes of each kind.
        json: where to write the results.
    """

    full: bool = False
    repetitions: int = 3
    json: Path | None = None


def main(settings: Settings) -> None:
    """Starts all kinds of processes in turns."""
    repetitions = 10 if settings.full else settings.repetitions
    folder = str(Path(__file__).parent)
    programs = dict(IMPORTS)
    for name, config in ((STOCK_UPDATE, "stock_sac_config"), (OUR_UPDATE, "rommeo_config")):
        programs[name] = FIRST_UPDATE.format(folder=folder, config=config)
    wall: dict[str, list[float]] = {name: [] for name in programs}
    turns = {name: process_turn(program, wall[name]) for name, program in programs.items()}
    with progress("start-up", len(programs) * repetitions) as done:
        cpu = interleave(turns, repetitions, done)

    report = Report("startup", "Start-up: imports, and process start to first update")
    for name in programs:
        stock = STOCK_UPDATE if "update" in name else STOCK_IMPORT
        report.rows.append(
            Row(
                {"what": name},
                {"CPU / stock": Spread.of_ratio(cpu[name], cpu[stock])},
                {"CPU (s)": Spread.of(cpu[name]), "wall (s)": Spread.of(wall[name])},
            )
        )
    report.notes.append(f"Stock is {STOCK_IMPORT} for imports. Updates include starting Ray.")
    report.finish(settings.json)


def process_turn(program: str, wall: list[float]) -> Callable[[], float]:
    """Runs a program in a new interpreter; its CPU seconds, and `wall` is added to."""

    def turn() -> float:
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
        begin = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-c", program], env=environment, stdout=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall.append(time.perf_counter() - begin)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"this program failed: {program}")
        return usage.ru_utime + usage.ru_stime

    return turn


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
