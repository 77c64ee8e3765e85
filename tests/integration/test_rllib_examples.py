"""RLlib's own multi-agent examples, with another config class and `.training()` call."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import ray.rllib.examples.multi_agent as examples

TRAINING = """.training(
            num_steps_sampled_before_learning_starts=100,
            updates_per_env_step=0.01,
            train_batch_size_per_learner=32,
        )
"""


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("rock_paper_scissors_heuristic_vs_learned", []),
        ("multi_agent_cartpole", ["--num-envs-per-env-runner", "2"]),
    ],
)
def test_an_example_of_rllibs_runs_with_only_config_class_and_training_changed(
    name, arguments, tmp_path
):
    (folder,) = examples.__path__
    source = (Path(folder) / f"{name}.py").read_text()
    before = "get_trainable_cls(args.algo)\n        .get_default_config()\n"
    assert source.count(before) == 1
    source = source.replace(before, f"ROMMEOACConfig(){TRAINING}")
    # Its own call, where there is one.
    source = re.sub(r"\.training\(\n\s+vf_loss_coeff=[\d.]+,\n\s+\)\n", "", source)
    script = tmp_path / f"{name}.py"
    script.write_text(f"from rommeo_rllib import ROMMEOACConfig\n{source}")
    command = [sys.executable, str(script), "--no-tune", "--stop-iters", "1", "--num-agents", "2"]
    finished = subprocess.run(
        [*command, "--num-env-runners", "0", "--num-cpus", "2", *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr[-2000:]
    assert "iter=0 R=" in finished.stdout
