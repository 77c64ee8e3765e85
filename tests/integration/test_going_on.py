"""Sweeps and trainings that fail, are stopped, and go on: nothing is lost or mislabelled."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from rommeo_rllib.cli import main

pytestmark = pytest.mark.usefixtures("ray_session")

# Alpha and seed decide what is paid, so that no result can pass for another's.
GAME = """
import gymnasium as gym
import numpy as np
from ray.rllib.env.multi_agent_env import MultiAgentEnv

from rommeo_rllib import ROMMEOACConfig

AGENTS = ["one", "other"]


class Game(MultiAgentEnv):
    def __init__(self, config=None):
        super().__init__()
        self.config = config
        self.possible_agents = self.agents = AGENTS
        self.observation_spaces = dict.fromkeys(AGENTS, gym.spaces.Box(0.0, 1.0, (1,), np.float32))
        self.action_spaces = dict.fromkeys(AGENTS, gym.spaces.Discrete(2))
        self.seed = None

    def reset(self, *, seed=None, options=None):
        self.time = 0
        self.seed = seed if self.seed is None else self.seed
        return dict.fromkeys(AGENTS, np.zeros(1, np.float32)), {}

    def step(self, action_dict):
        if BROKEN and self.config["paid"] == 10:
            raise RuntimeError("the power is off")
        self.time += 1
        observations = dict.fromkeys(AGENTS, np.zeros(1, np.float32))
        rewards = dict.fromkeys(AGENTS, float(self.config["paid"]))
        return observations, rewards, {"__all__": self.time == 5}, {"__all__": False}, {}


BROKEN = False
config = (
    ROMMEOACConfig()
    .environment(Game, env_config={"paid": 1})
    .multi_agent(policies=set(AGENTS), policy_mapping_fn=lambda agent, *args, **kwargs: agent)
    .training(train_batch_size_per_learner=8, num_steps_sampled_before_learning_starts=10)
    .rl_module(model_config={"fcnet_hiddens": [8]})
    .reporting(min_sample_timesteps_per_iteration=20)
)
stop = {"num_env_steps_sampled_lifetime": 40}
"""


class Sweeps:
    """Runs `rommeo sweep` again and again in one folder."""

    def __init__(self, folder: Path):
        self.folder, self.file, self.table = folder, folder / "game.py", folder / "table.json"
        self.file.write_text(GAME)

    def __call__(self, paid: str, *options: str) -> int:
        self.table.unlink(missing_ok=True)
        grid = ["--grid", f"env_config.paid={paid}", "--replicas", "1"]
        where = ["--storage", str(self.folder / "results"), "--name", "mine"]
        try:
            main(["sweep", str(self.file), *grid, *where, "--json", str(self.table), *options])
        except SystemExit as end:
            return int(end.code or 0)
        return 0

    @property
    def rows(self) -> dict[int, tuple[int, float]]:
        """What the table says: seeds and mean return by what was paid."""
        rows: list[dict[str, Any]] = json.loads(self.table.read_text())
        return {
            row["settings"]["env_config.paid"]: (row["seeds"], row["return_per_play"]["mean"])
            for row in rows
        }

    @property
    def written(self) -> dict[Path, int]:
        """When each trial's results were written last."""
        files = (self.folder / "results" / "mine").glob("*/result.json")
        return {file: file.stat().st_mtime_ns for file in files}


@pytest.mark.slow
def test_a_sweep_that_failed_is_cured_resumed_and_extended(tmp_path, capsys):
    sweep = Sweeps(tmp_path)
    two = ["--num-samples", "2"]
    sweep.file.write_text(GAME.replace("BROKEN = False", "BROKEN = True"))
    assert sweep("1,10", *two) == 1
    assert sweep.rows == {1: (2, 1.0)}
    error = capsys.readouterr().err
    assert "2 of 4 trials failed; the first: RuntimeError: the power is off" in error
    assert "--name mine --resume" in error

    # What was cured is run as it is now, and nothing else.
    sweep.file.write_text(GAME)
    before = sweep.written
    assert sweep("10,1", *two, "--resume") == 0
    assert sweep.rows == {1: (2, 1.0), 10: (2, 10.0)}
    ended = [file for file, time in sweep.written.items() if before.get(file) == time]
    assert len(ended) == 2
    assert len(sweep.written) == 4

    # Another order changes nothing, other values are refused, and added if that is asked for.
    before = sweep.written
    assert sweep("10,1", *two, "--resume") == 0
    assert sweep("10,2", *two, "--resume") == 2
    assert "new: env_config.paid 2" in capsys.readouterr().err
    assert sweep("1,10", *two, "--resume", "--stop-steps", "60") == 2
    assert "stop.num_env_steps_sampled_lifetime was 40, now 60" in capsys.readouterr().err
    assert sweep("1,10", *two) == 2
    assert "--resume goes on with it" in capsys.readouterr().err
    assert sweep.written == before
    assert sweep("10,2", "--num-samples", "3", "--extend") == 0
    assert sweep.rows == {1: (2, 1.0), 10: (3, 10.0), 2: (3, 2.0)}
    assert {file: sweep.written[file] for file in before} == before

    # What is lost is run again.
    (lost, *_) = before
    lost.write_text("")
    assert sweep("1,2,10", "--num-samples", "3", "--extend") == 0
    assert sweep.rows == {1: (3, 1.0), 10: (3, 10.0), 2: (3, 2.0)}

    page = tmp_path / "report.html"
    (lost, *_) = sweep.written
    lines = lost.read_text().splitlines()
    lost.write_text(f"{lines[0]}\n")
    (trials,) = tmp_path.glob("results/*/rommeo-trials.json")
    content = json.loads(trials.read_text())
    content["trials"][-1] |= {"status": "failed", "error": "no luck"}
    trials.write_text(json.dumps(content))
    main(["report", str(tmp_path / "results"), "--out", str(page)])
    said = " ".join(capsys.readouterr().out.split())
    assert "has not ended" in said
    assert "failed and is left out: no luck" in said


def stopped(
    command: list[str], sent: signal.Signals, results: Path, log: Path
) -> subprocess.CompletedProcess[str]:
    """Runs a command as a process until there are results, then sends it a signal."""
    environment = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "rommeo_rllib.cli", *command],
            env=environment,
            stdout=out,
            stderr=out,
            # A shell starts what runs in the background with SIGINT ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        try:
            while process.poll() is None:
                if any(file.stat().st_size for file in results.glob("*/result.json")):
                    break
                time.sleep(0.1)
            process.send_signal(sent)
            process.wait(60)
        finally:
            process.kill()
    return subprocess.CompletedProcess(command, process.returncode, log.read_text())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "sent", "status"),
    [("sweep", signal.SIGINT, 130), ("train", signal.SIGTERM, 143)],
)
def test_a_signal_leaves_what_can_be_resumed_and_is_no_end(command, sent, status, tmp_path, capsys):
    file, table = tmp_path / "game.py", tmp_path / "table.json"
    file.write_text(GAME.replace('"num_env_steps_sampled_lifetime": 40', STOP))
    options = [str(file), "--storage", str(tmp_path), "--name", "mine", "--json", str(table)]
    if command == "sweep":
        options += ["--alpha", "1", "--num-samples", "1"]
    done = stopped([command, *options], sent, tmp_path / "mine", tmp_path / "log.txt")
    assert done.returncode == status, done.stdout
    said = done.stdout.splitlines()
    assert f"{'interrupted' if status == 130 else 'terminated'}: 0 of 1 trials" in said[-1]
    assert "--resume" in said[-1]
    assert "Traceback" not in done.stdout
    assert "***" not in done.stdout
    assert not table.exists()
    (trial,) = json.loads((tmp_path / "mine" / "rommeo-trials.json").read_text())["trials"]
    assert trial["status"] == "running"
    if command == "train":
        assert any("Seed 0: not ended" in line and "no checkpoint yet" in line for line in said)
        return
    # It is not ended for the next command either.
    with pytest.raises(SystemExit) as end:
        main([command, *options])
    assert end.value.code == 2
    main(["report", str(tmp_path / "mine"), "--out", str(tmp_path / "report.html")])
    assert "has not ended" in " ".join(capsys.readouterr().out.split())


STOP = '"num_env_steps_sampled_lifetime": 100_000'
