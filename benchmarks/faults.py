"""Kills each part of a sweep, in each way and at each moment, and looks at what is left.

    python benchmarks/faults.py
    python benchmarks/faults.py --targets driver raylet --repetitions 1

Each case runs a small `rommeo sweep` and sends a signal to one of its processes three times: while
trials sample, while one saves, and while the list of trials is written. Where that ends the
command, it is run again with `--resume`, until it ends well. Each setting pays another reward,
whatever is learned: in the table no result may be lost (a seed less), doubled (a seed more) or
mislabelled (another setting's reward). Cases are written as they come; the same command continues
where it was stopped.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import tyro
from measure import progress

TITLES = {
    "env runner": "ray::JointActionEnvRunner",
    "evaluation runner": "ray::JointActionEnvRunner",
    "learner": "ray::_WrappedExecutable",
    "trial": "ray::ROMMEOAC",
    "raylet": "raylet/raylet",
    "gcs": "gcs_server",
}
"""What the command line of each process contains."""

SIGNALS = {name: getattr(signal, name) for name in ("SIGKILL", "SIGSTOP", "SIGINT", "SIGTERM")}
WRITTEN = {
    "sampling": ("*/result.json",),
    "saving": ("*/checkpoint_*",),
    "snapshot": ("experiment_state*", "rommeo-trials.json"),
}
"""The moments, and what is written then."""
POLL_SECONDS = 0.005
PAUSE_SECONDS = 5.0
ORPHANS_SECONDS = 2.0
MARK = "ROMMEO_FAULTS_CASE"
REPLACED = ("env runner", "evaluation runner")
"""Those that are stopped for good, since a hung one is to be replaced."""

CONFIGURATION = '''"""Two agents are paid what the environment's settings say, whatever they do."""

import time

import gymnasium as gym
import numpy as np
from ray.rllib.env.multi_agent_env import MultiAgentEnv

from rommeo_rllib import ROMMEOACConfig

AGENTS = ["player_0", "player_1"]


class Paying(MultiAgentEnv):
    def __init__(self, config):
        super().__init__()
        self.paid = float(config["paid"])
        self.possible_agents = self.agents = AGENTS
        self.observation_spaces = dict.fromkeys(AGENTS, gym.spaces.Box(0.0, 1.0, (1,), np.float32))
        self.action_spaces = dict.fromkeys(AGENTS, gym.spaces.Discrete(2))

    def reset(self, *, seed=None, options=None):
        self.time = 0
        return dict.fromkeys(AGENTS, np.zeros(1, np.float32)), {{}}

    def step(self, action_dict):
        self.time += 1
        time.sleep(0.01)  # So that there is time to be hit.
        observations = dict.fromkeys(AGENTS, np.zeros(1, np.float32))
        rewards = dict.fromkeys(AGENTS, self.paid)
        return observations, rewards, {{"__all__": self.time == 5}}, {{"__all__": False}}, {{}}


config = (
    ROMMEOACConfig()
    .environment(Paying, env_config={{"paid": 1.0}})
    .multi_agent(
        policies=set(AGENTS), policy_mapping_fn=lambda agent, *args, **kwargs: agent
    )
    .training(
        alpha=1.0, train_batch_size_per_learner=16, num_steps_sampled_before_learning_starts=10
    )
    # So few CPUs that two trials run at once.
    .resources(num_cpus_for_main_process=0.5)
    .env_runners(
        num_env_runners={env_runners}, num_cpus_per_env_runner=0.25, sample_timeout_s=3.0
    )
    .learners(num_learners={learners}, num_cpus_per_learner=0.25)
    .evaluation(
        evaluation_interval=1,
        evaluation_duration=1,
        evaluation_num_env_runners={evaluation_runners},
    )
    .rl_module(model_config={{"fcnet_hiddens": [8]}})
    .reporting(min_sample_timesteps_per_iteration=50)
)
stop = {{"num_env_steps_sampled_lifetime": 400}}
'''

PAID = (1.0, 10.0)
"""What the settings pay for a step, so that no result can pass for another's."""

SEEDS = 1
MOST_STARTS = 8
"""Of the command, before a sweep counts as one that does not end well."""
JSON = Path(__file__).with_suffix(".json")


@dataclass(frozen=True)
class Settings:
    """Which cases, how often, and where results go.

    Attributes:
        targets: the processes that are hit.
        signals: what they are sent; SIGSTOP is followed by SIGCONT after five seconds, but for env
            runners, which stay stopped.
        moments: when each sweep is hit: while trials sample, while one saves, while the list of the
            trials is written.
        repetitions: of each case.
        give_up_s: seconds after which a sweep that does not end counts as hung, and is killed.
        json: where to write cases.
    """

    targets: tuple[str, ...] = (*TITLES, "driver")
    signals: tuple[str, ...] = tuple(SIGNALS)
    moments: tuple[str, ...] = tuple(WRITTEN)
    repetitions: int = 10
    give_up_s: float = 240.0
    json: Path = JSON


@dataclass
class Sweep:
    """One sweep in a folder of its own."""

    folder: Path
    target: str
    give_up_s: float

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        """`rommeo sweep`, in the background."""
        file = self.folder / "game.py"
        file.write_text(
            CONFIGURATION.format(
                env_runners=int(self.target == "env runner"),
                evaluation_runners=int(self.target == "evaluation runner"),
                learners=int(self.target == "learner"),
            )
        )
        command = [
            *(sys.executable, "-m", "rommeo_rllib.cli", "sweep", str(file)),
            *("--grid", "env_config.paid=" + ",".join(map(str, PAID))),
            *("--num-samples", str(SEEDS), "--replicas", "1", "--checkpoint-frequency", "1"),
            *("--storage", str(self.folder), "--name", "sweep"),
            *("--json", str(self.folder / "table.json"), *options),
        ]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "TUNE_GLOBAL_CHECKPOINT_S": "1"}
        environment[MARK] = str(self.folder)
        log = (self.folder / "log.txt").open("ab")
        # A shell starts what runs in the background with SIGINT ignored.
        return subprocess.Popen(
            command,
            env=environment,
            stdout=log,
            stderr=log,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )

    def ended(self, driver: subprocess.Popen[bytes]) -> int | None:
        """The status of a sweep that has ended; None if it hung and was killed."""
        try:
            return driver.wait(self.give_up_s)
        except subprocess.TimeoutExpired:
            for process in tree_of(driver.pid):
                process.kill()
            driver.wait()
            return None

    def end_orphans(self) -> int:
        """Kills what has outlived its sweep, such as workers of a killed raylet; how many did."""
        time.sleep(ORPHANS_SECONDS)
        orphans = [process for process in psutil.process_iter() if self._started(process)]
        for process in orphans:
            process.kill()
        return len(orphans)

    def _started(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get(MARK) == str(self.folder)
        except psutil.Error:
            return False

    def table(self) -> dict[float, tuple[int, float]]:
        """For each setting how many seeds there are, and what they were paid for a step."""
        file = self.folder / "table.json"
        rows = json.loads(file.read_text()) if file.exists() else []
        return {
            row["settings"]["env_config.paid"]: (row["seeds"], row["return_per_play"]["mean"])
            for row in rows
        }

    def await_moment(self, moment: str, driver: subprocess.Popen[bytes]) -> psutil.Process | None:
        """Waits for it; the process to hit, or None if the sweep ends before, or hangs."""
        experiment = self.folder / "sweep"
        seen: set[tuple[Path, float]] | None = None
        last = time.monotonic() + self.give_up_s
        while driver.poll() is None and time.monotonic() < last:
            try:
                files = [file for pattern in WRITTEN[moment] for file in experiment.glob(pattern)]
                present = {(file, file.stat().st_mtime) for file in files if file.stat().st_size}
            except FileNotFoundError:  # It has just been replaced.
                present = set(seen or ())
            if seen is not None and present - seen:
                if moment == "sampling":
                    time.sleep(random.uniform(0.0, 1.0))
                process = self.process(driver)
                if process is not None:
                    return process
            seen = present
            time.sleep(POLL_SECONDS)
        return None

    def process(self, driver: subprocess.Popen[bytes]) -> psutil.Process | None:
        """The one that is to be hit, if it is there."""
        if self.target == "driver":
            return psutil.Process(driver.pid)
        found = [
            process
            for process in tree_of(driver.pid)
            if TITLES[self.target] in " ".join(cmdline_of(process))
        ]
        return random.choice(found) if found else None


def tree_of(pid: int) -> list[psutil.Process]:
    """A process and all that it has started, Ray's included."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def cmdline_of(process: psutil.Process) -> list[str]:
    """Its command line; nothing if it has ended."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def run_case(case: tuple[str, str], settings: Settings) -> dict[str, Any]:
    """Disturbs one sweep, and compares its table with that of an undisturbed one."""
    target, sent = case
    hits = []
    statuses: list[int | None] = []
    with tempfile.TemporaryDirectory(prefix="faults") as folder:
        sweep = Sweep(Path(folder), target, settings.give_up_s)
        driver = sweep.start()
        for moment in settings.moments:
            process = sweep.await_moment(moment, driver)
            if process is None and (status := sweep.ended(driver)) != 0:
                statuses.append(status)
                driver = sweep.start("--resume")
                process = sweep.await_moment(moment, driver)
            if process is None:
                continue
            hits.append(moment)
            strike(process, sent, pause=target not in REPLACED)
            if target == "driver" and sent != "SIGSTOP":
                sweep.ended(driver)  # A second signal while it ends is another case.
        statuses.append(sweep.ended(driver))
        while statuses[-1] != 0 and len(statuses) < MOST_STARTS:
            statuses.append(sweep.ended(sweep.start("--resume")))
        orphans = sweep.end_orphans()
        found = sweep.table()
        log = (sweep.folder / "log.txt").read_text(errors="replace")[-2000:]
    wrong: Counter[str] = Counter(lost=0, doubled=0, mislabelled=0)
    for paid in PAID:
        seeds, mean = found.get(paid, (0, paid))
        wrong["lost"] += max(SEEDS - seeds, 0)
        wrong["doubled"] += max(seeds - SEEDS, 0)
        wrong["mislabelled"] += not math.isclose(mean, paid, rel_tol=1e-6)
    result = {"hits": hits, "statuses": statuses, "orphans": orphans, **wrong}
    return result | ({"log": log} if sum(wrong.values()) or statuses[-1] != 0 else {})


def strike(process: psutil.Process, sent: str, *, pause: bool) -> None:
    """Sends the signal; a SIGSTOP that is a pause is followed by a SIGCONT."""
    process.send_signal(SIGNALS[sent])
    if sent == "SIGSTOP" and pause:
        time.sleep(PAUSE_SECONDS)
        if process.is_running():
            process.send_signal(signal.SIGCONT)


def table(results: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Lines of a Markdown table, one for each target and signal."""
    counted = (*WRITTEN, "resumed", "not ended", "lost", "doubled", "mislabelled")
    yield f"| process | signal | sweeps | {' | '.join(counted)} |"
    yield "|---" * (3 + len(counted)) + "|"
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for name, result in results.items():
        target, sent, _ = name.split("/")
        groups.setdefault((target, sent), []).append(result)
    for (target, sent), group in groups.items():
        sums = [sum(one[kind] for one in group) for kind in ("lost", "doubled", "mislabelled")]
        resumed = sum(len(one["statuses"]) > 1 for one in group)
        hits = [sum(moment in one["hits"] for one in group) for moment in WRITTEN]
        failed = sum(one["statuses"][-1] != 0 for one in group)
        numbers = " | ".join(map(str, (len(group), *hits, resumed, failed, *sums)))
        yield f"| {target} | {sent} | {numbers} |"


def main(settings: Settings) -> None:
    """Runs the cases that are not done yet, and prints the table."""
    results = json.loads(settings.json.read_text()) if settings.json.exists() else {}
    cases = [
        (repetition, case)
        for repetition in range(settings.repetitions)
        for case in itertools.product(settings.targets, settings.signals)
    ]
    with progress("faults", len(cases)) as done:
        for repetition, case in cases:
            name = "/".join((*case, str(repetition)))
            if name not in results:
                results[name] = run_case(case, settings)
                settings.json.write_text(json.dumps(results, indent=1) + "\n")
            done()
    print("\n".join(table(results)))


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
