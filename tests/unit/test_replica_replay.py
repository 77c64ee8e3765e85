"""Replay of replicas: drawing from all buffers at once gives what each would draw by itself."""

from __future__ import annotations

import dataclasses
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from rommeo_rllib.joint_action.replay.buffer import JointReplayBuffer
from rommeo_rllib.joint_action.replay.transitions import AgentTransitions, JointSteps
from rommeo_rllib.joint_action.spaces.replicas import ReplicaBatches, replica_id

SPACES = {"a": gym.spaces.Discrete(3), "b": gym.spaces.Box(-1.0, 1.0, (2,), np.float32)}
POLICIES = ["p_a", "p_b"]
REPLICAS, CAPACITY, SEED = 3, 20, 5


def steps(
    replica: int,
    length: int,
    start: int = 0,
    absent: tuple[int, ...] = (),
    left: tuple[int, ...] = (),
) -> JointSteps:
    """Random joint steps; agent "b" misses those in `absent`, and is gone after those in `left`."""
    rng = np.random.default_rng([replica, start])
    agents = {}
    for agent, space in SPACES.items():
        rows = np.array([row for row in range(length) if agent == "a" or row not in absent])
        space.seed(int(rng.integers(1000)))
        obs = rng.normal(size=(len(rows), 2)).astype(np.float32)
        agents[agent] = AgentTransitions(
            policy=f"p_{agent}",
            rows=rows,
            obs=obs,
            actions=np.stack([space.sample() for _ in rows]),
            rewards=rng.normal(size=len(rows)).astype(np.float32),
            next_obs=obs + 1.0,
            terminated=np.zeros(len(rows), np.float32),
            next_acting=[{"a"} if row + 1 in absent or row in left else {"a", "b"} for row in rows],
        )
    return JointSteps(length, agents, replica)


def by_itself(*args: Any, **kwargs: Any) -> JointSteps:
    """The same for a replay of its own."""
    return dataclasses.replace(steps(*args, **kwargs), replica=0)


def filled(lengths: tuple[int, ...], absent: tuple[int, ...] = ()):
    """A replay of all replicas, and a buffer of its own for each, with the same content."""
    replay = JointReplayBuffer(CAPACITY, SPACES, SEED, replicas=REPLICAS)
    alone = [JointReplayBuffer(CAPACITY, SPACES, SEED + r) for r in range(REPLICAS)]
    for replica, buffer in enumerate(alone):
        for start, length in enumerate(lengths):
            replay.add_steps(steps(replica, length, start, absent))
            buffer.add_steps(by_itself(replica, length, start, absent))
    return replay, alone


def assert_draws_as_alone(replay: JointReplayBuffer, alone, recent_window):
    found = replay.sample(POLICIES, 8, recent_window)
    for replica, buffer in enumerate(alone):
        for policy, columns in buffer.sample(POLICIES, 8, recent_window).items():
            own = found[replica_id(policy, replica)]
            assert own.keys() == columns.keys()
            for name, column in columns.items():
                np.testing.assert_array_equal(own[name], column)
    return found


def in_common(length: int, start: int, left: tuple[int, ...] = ()) -> JointSteps:
    """The steps of all replicas, one replica's after the other."""
    of_replicas = [steps(r, length, start, left=left).agents for r in range(REPLICAS)]
    agents = {}
    for agent in SPACES:
        columns = zip(*(of_one[agent].columns() for of_one in of_replicas), strict=True)
        joined = [np.concatenate(column) for column in columns]
        acting = [one for of_one in of_replicas for one in of_one[agent].next_acting]
        agents[agent] = AgentTransitions(
            f"p_{agent}", np.arange(length), *joined, next_acting=acting
        )
    return JointSteps(length, agents, replicas=REPLICAS)


@pytest.mark.parametrize("lengths", [(1, 1), (7, 6), (15, 15), (3, 30)])
def test_steps_of_all_replicas_are_stored_as_those_of_each(lengths):
    _, alone = filled(lengths)
    replay = JointReplayBuffer(CAPACITY, SPACES, SEED, replicas=REPLICAS)
    for start, length in enumerate(lengths):
        replay.add_steps(in_common(length, start))
    for buffer, own in zip(replay.of_replicas, alone, strict=True):
        state, wanted = buffer.get_state(), own.get_state()
        np.testing.assert_equal(state, wanted)
    assert_draws_as_alone(replay, alone, 4)


def test_who_has_left_by_the_next_step_is_stored_for_all_replicas_as_for_each():
    replay = JointReplayBuffer(CAPACITY, SPACES, SEED, replicas=REPLICAS)
    alone = [JointReplayBuffer(CAPACITY, SPACES, SEED + r) for r in range(REPLICAS)]
    for start, left in enumerate([(), (1, 3), ()]):
        replay.add_steps(in_common(4, start, left))
        for replica, buffer in enumerate(alone):
            buffer.add_steps(by_itself(replica, 4, start, left=left))
    found = assert_draws_as_alone(replay, alone, None)
    masks = found["p_a@1"]["next_opponent_mask"]
    assert masks.shape == (8, 1)
    drawn = replay.sample(["p_a"], 500)["p_a@1"]["next_opponent_mask"]
    assert drawn.mean() == pytest.approx(10 / 12, abs=0.07)
    # A buffer that is filled anew does not see what was there before.
    fresh = JointReplayBuffer(CAPACITY, SPACES, SEED)
    fresh.add_steps(by_itself(0, 6))
    for buffer in replay.of_replicas:
        buffer.set_state(fresh.get_state())
    assert replay.sample(["p_a"], 50)["p_a@2"]["next_opponent_mask"].all()


def test_steps_are_stored_where_each_buffer_stands_if_these_differ():
    replay, alone = filled((7,))
    replay.add_steps(steps(1, 2, 9))
    alone[1].add_steps(by_itself(1, 2, 9))
    replay.add_steps(in_common(4, 2))
    for replica, (buffer, own) in enumerate(zip(replay.of_replicas, alone, strict=True)):
        own.add_steps(by_itself(replica, 4, 2))
        np.testing.assert_equal(buffer.get_state(), own.get_state())


@pytest.mark.parametrize("recent_window", [None, 4, 100])
@pytest.mark.parametrize("lengths", [(1,), (7, 6), (15, 15)])
def test_replicas_are_drawn_from_at_once_as_each_alone(lengths, recent_window):
    replay, alone = filled(lengths)
    for _ in range(3):
        found = assert_draws_as_alone(replay, alone, recent_window)
        assert isinstance(found, ReplicaBatches)


@pytest.mark.parametrize("recent_window", [None, 4])
def test_where_an_agent_was_absent_each_replica_draws_from_where_it_acted(recent_window):
    assert_draws_as_alone(*filled((7,), absent=(2, 3)), recent_window)


@pytest.mark.parametrize("recent_window", [None, 8])
def test_replicas_of_different_length_draw_from_what_each_has(recent_window):
    replay, alone = filled((7,))
    replay.add_steps(steps(1, 2, 9))
    alone[1].add_steps(by_itself(1, 2, 9))
    assert_draws_as_alone(replay, alone, recent_window)


def test_a_policy_that_has_acted_in_some_replicas_only_gets_batches_of_those():
    replay = JointReplayBuffer(CAPACITY, SPACES, SEED, replicas=REPLICAS)
    for replica in range(REPLICAS):
        of_both = steps(replica, 4)
        of_one = dataclasses.replace(of_both, agents={"a": of_both.agents["a"]})
        replay.add_steps(of_both if replica == 1 else of_one)
    assert set(replay.sample(POLICIES, 5)) == {"p_a@0", "p_a@1", "p_a@2", "p_b@1"}


def test_a_restored_replay_draws_as_before():
    replay, alone = filled((15, 15))
    states = [buffer.get_state() for buffer in replay.of_replicas]
    restored, _ = filled((3,))
    for buffer, state in zip(restored.of_replicas, states, strict=True):
        buffer.set_state(state)
    assert isinstance(assert_draws_as_alone(restored, alone, None), ReplicaBatches)


def test_batches_stack_in_the_order_of_policies_and_replicas():
    columns = {p: {"x": np.arange(6.0).reshape(3, 2) + 10 * i} for i, p in enumerate("pq")}
    batches = ReplicaBatches(columns)
    assert list(batches) == ["p@0", "p@1", "p@2", "q@0", "q@1", "q@2"]
    assert "q@1" in batches
    assert "r@0" not in batches
    np.testing.assert_array_equal(batches["q@1"]["x"], [12.0, 13.0])
    stacked = batches.stacked(list(batches))
    np.testing.assert_array_equal(stacked["x"][:, 0], [0.0, 2.0, 4.0, 10.0, 12.0, 14.0])
    np.testing.assert_array_equal(batches.stacked(["q@0", "q@1", "q@2"])["x"], columns["q"]["x"])
    assert batches.stacked(["p@0", "q@0"]) is None
