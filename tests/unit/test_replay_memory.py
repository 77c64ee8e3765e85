"""How much memory a replay takes, and when."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import psutil
import pytest
from gymnasium.spaces import Box, Dict, Discrete

from rommeo_rllib.joint_action.replay.buffer import JointReplayBuffer
from rommeo_rllib.joint_action.replay.memory_needed import bytes_per_env_step, check_replay_fits
from rommeo_rllib.joint_action.replay.transitions import AgentTransitions, JointSteps
from rommeo_rllib.process_memory import available_memory, keep_freed_memory

IMAGE = Box(0, 255, (64, 64, 3), np.uint8)
OBSERVATIONS = {"a": IMAGE, "b": Dict({"x": Box(-1.0, 1.0, (3,), np.float32), "y": Discrete(4)})}
ACTIONS = {"a": Discrete(2), "b": Box(-1.0, 1.0, (2,), np.float64)}


def one_step(length: int = 1) -> JointSteps:
    agents = {
        agent: AgentTransitions(
            policy=agent,
            rows=np.arange(length),
            obs=np.zeros((length, *shape), dtype),
            actions=np.zeros((length, *action), kind),
            rewards=np.zeros(length, np.float32),
            next_obs=np.zeros((length, *shape), dtype),
            terminated=np.zeros(length, np.float32),
            next_acting=[{"a", "b"}] * length,
        )
        for agent, shape, dtype, action, kind in (
            ("a", (64, 64, 3), np.uint8, (), np.int64),
            ("b", (4,), np.float32, (2,), np.float32),
        )
    }
    return JointSteps(length, agents)


def test_what_a_replay_will_need_is_known_before():
    buffer = JointReplayBuffer(7, ACTIONS, observation_spaces=OBSERVATIONS)
    buffer.add_steps(one_step())
    assert buffer.storage.nbytes == 7 * bytes_per_env_step(OBSERVATIONS, ACTIONS)


@pytest.mark.parametrize("replicas", [1, 3])
def test_memory_is_taken_as_it_is_written_to(replicas):
    keep_freed_memory()
    np.ones(10_000_000)  # Freed at once, and kept by the C library.
    process = psutil.Process()
    replay = JointReplayBuffer(
        20_000, ACTIONS, 0, observation_spaces=OBSERVATIONS, replicas=replicas
    )
    before = process.memory_info().rss
    for replica in range(replicas):
        replay.add_steps(dataclasses.replace(one_step(), replica=replica))
    assert replay.storage.nbytes > replicas * 490e6
    assert process.memory_info().rss - before < 20e6


@pytest.mark.parametrize("replicas", [1, 4])
def test_a_capacity_that_cannot_fit_names_one_that_does(replicas, monkeypatch):
    monkeypatch.setattr(
        "rommeo_rllib.joint_action.replay.memory_needed.available_memory", lambda: 1_000_000_000
    )
    row = replicas * bytes_per_env_step(OBSERVATIONS, ACTIONS)
    fits = 1_000_000_000 // row
    check_replay_fits(fits, replicas, OBSERVATIONS, ACTIONS)
    expected = rf"`replay_capacity` is {fits + 1} .* Allowed here: at most {int(8e8 / row)}\."
    with pytest.raises(ValueError, match=expected):
        check_replay_fits(fits + 1, replicas, OBSERVATIONS, ACTIONS)


def write_group(folder: Path, limit: str, used: str, prefix: str, names: tuple[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names[0]).write_text(limit + "\n")
    (folder / names[1]).write_text(used + "\n")
    (folder / "memory.stat").write_text(f"{prefix}inactive_file 100\n{prefix}active_file 20\n")


@pytest.mark.parametrize(
    ("folder", "prefix", "names"),
    [
        (".", "", ("memory.max", "memory.current")),
        ("memory", "total_", ("memory.limit_in_bytes", "memory.usage_in_bytes")),
    ],
    ids=["version 2", "version 1"],
)
def test_a_containers_limit_counts(folder, prefix, names, tmp_path):
    write_group(tmp_path / folder, "5000", "3000", prefix, names)
    assert available_memory(tmp_path) == 2120


def test_without_a_container_the_machines_memory_counts(tmp_path):
    write_group(tmp_path, "max", "3000", "", ("memory.max", "memory.current"))
    found = available_memory(tmp_path)
    assert found == pytest.approx(psutil.virtual_memory().available, rel=0.1)
