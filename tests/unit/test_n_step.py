"""Batches that look several of an agent's own steps ahead."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_episodes import NUM_ACTIONS, Script, Transition, any_script, play

from rommeo_rllib.joint_action.replay.buffer import JointReplayBuffer
from rommeo_rllib.joint_action.replay.columns import SUCCESSOR

AGENTS = ("agent_0", "agent_1", "agent_2")
POLICIES = [f"policy_{agent}" for agent in AGENTS]
GAMMA = 0.5
ALWAYS = tuple(range(100))
BOTH = dict.fromkeys(AGENTS[:2], ALWAYS)


def make_buffer(n_step: Any, capacity: int = 1000) -> JointReplayBuffer:
    spaces = dict.fromkeys(AGENTS, gym.spaces.Discrete(NUM_ACTIONS))
    return JointReplayBuffer(capacity, spaces, seed=0, n_step=n_step)


def sample(buffer: JointReplayBuffer, rows: int = 200) -> Any:
    return buffer.sample(POLICIES, rows, gammas=dict.fromkeys(POLICIES, GAMMA))


def fill(buffer: JointReplayBuffer, scripts: Sequence[tuple[Script, list[int]]]) -> list[Any]:
    """Plays the scripts side by side, a chunk of each a round; what happened in each."""
    played = [
        play(script, cuts, episode_number=number, seed=number)
        for number, (script, cuts) in enumerate(scripts)
    ]
    for round_ in zip_longest(*(chunks for chunks, _ in played)):
        buffer.add([chunk for chunk in round_ if chunk is not None])
    return [
        {(transition.agent, transition.step): transition for transition in truth}
        for _, truth in played
    ]


def ahead(truth: dict[Any, Transition], first: Transition, n_step: int) -> list[Transition]:
    """A transition and those of the same agent that follow it, `n_step` at most."""
    found = [first]
    while len(found) < n_step and not found[-1].terminated:
        following = truth.get((first.agent, found[-1].next_step))
        if following is None:
            break
        found.append(following)
    return found


@settings(max_examples=80, deadline=None)
@given(st.lists(any_script(), min_size=1, max_size=3), st.integers(1, 4))
def test_rows_look_ahead_within_their_agents_episode(scripts, n_step):
    buffer = make_buffer(n_step)
    truths = fill(buffer, scripts)
    for agent, policy in zip(AGENTS, POLICIES, strict=True):
        batch = sample(buffer).get(policy)
        if batch is None:
            assert not any(of == agent for truth in truths for of, _ in truth)
            continue
        others = [other for other in AGENTS if other != agent]
        for row, (episode, step, _) in enumerate(batch["obs"].astype(int)):
            steps = ahead(truths[episode], truths[episode][agent, step], n_step)
            returned = sum(GAMMA**k * later.reward for k, later in enumerate(steps))
            assert batch["rewards"][row] == pytest.approx(returned, rel=1e-6)
            assert batch["discounts"][row] == GAMMA ** len(steps)
            assert batch["terminateds"][row] == steps[-1].terminated
            assert batch["actions"][row].argmax() == steps[0].action
            if not steps[-1].terminated:
                assert batch["new_obs"][row, 1] == steps[-1].next_step
                mask = [other in steps[-1].next_acting for other in others]
                np.testing.assert_array_equal(batch["next_opponent_mask"][row], mask)


def test_a_row_looks_as_far_as_has_been_sampled():
    buffer = make_buffer(3)
    chunks, _ = play(Script(BOTH, 9, "truncated"), cuts=(2, 5))
    for chunk, (most, last) in zip(chunks, [(2, 2), (3, 5), (3, 9)], strict=True):
        buffer.add([chunk])
        batch = sample(buffer)["policy_agent_0"]
        assert batch["discounts"].min() == GAMMA**most
        assert batch["new_obs"][:, 1].max() == last
        newest = batch["obs"][:, 1] == last - 1
        assert (batch["discounts"][newest] == GAMMA).all()


def test_rows_that_have_been_overwritten_are_not_looked_at():
    buffer = make_buffer(3, capacity=5)
    truths = fill(buffer, [(Script(BOTH, 6, "truncated"), []), (Script(BOTH, 7, "truncated"), [])])
    batch = sample(buffer)["policy_agent_1"]
    for row, (episode, step, _) in enumerate(batch["obs"].astype(int)):
        steps = ahead(truths[episode], truths[episode]["agent_1", step], 3)
        assert batch["new_obs"][row, 1] == steps[-1].next_step
    assert set(batch["obs"][:, 1]) == {2, 3, 4, 5, 6}


def test_what_opponents_see_next_is_that_of_the_last_step():
    buffer = make_buffer(2)
    (truth,) = fill(buffer, [(Script({**BOTH, "agent_1": (0, 1, 2)}, 6, "truncated"), [])])
    spaces = dict.fromkeys(AGENTS, gym.spaces.Box(-1.0, 200.0, (3,), np.float32))
    batch = buffer.sample(["policy_agent_0"], 200, None, spaces, {"policy_agent_0": GAMMA})
    batch = batch["policy_agent_0"]
    for row, step in enumerate(batch["obs"][:, 1].astype(int)):
        last = ahead(truth, truth["agent_0", step], 2)[-1]
        seen = truth.get(("agent_1", last.step))
        counts = seen is not None and "agent_1" in last.next_acting
        assert batch["next_opponent_mask"][row, 0] == float(counts)
        if counts:
            assert batch["opponent_0_new_obs"][row, 1] == seen.next_step


def test_a_restored_buffer_links_what_comes_to_what_it_has():
    chunks, _ = play(Script(BOTH, 9, "truncated"), cuts=(4,))
    whole, part, restored = make_buffer(3), make_buffer(3), make_buffer(3)
    for chunk in chunks:
        whole.add([chunk])
    part.add([chunks[0]])
    restored.set_state(part.get_state())
    restored.add([chunks[1]])
    for agent in AGENTS[:2]:
        columns = (buffer.storage.columns[agent][SUCCESSOR] for buffer in (whole, restored))
        np.testing.assert_array_equal(*columns)


def test_each_row_draws_its_horizon_from_the_range():
    buffer = make_buffer((2, 4))
    fill(buffer, [(Script(BOTH, 20, "truncated"), [])])
    batch = sample(buffer, 600)["policy_agent_0"]
    inner = batch["discounts"][batch["obs"][:, 1] < 16]
    found, counts = np.unique(inner, return_counts=True)
    np.testing.assert_array_equal(found, [GAMMA**4, GAMMA**3, GAMMA**2])
    assert counts.min() > 100


@pytest.mark.parametrize("capacity", [3, 6])
def test_a_smaller_buffer_keeps_the_links_among_the_newest(capacity):
    source, target = make_buffer(3), make_buffer(3, capacity)
    fill(source, [(Script(BOTH, 8, "truncated"), [])])
    target.set_state(source.get_state())
    following = target.storage.next_own_rows("agent_0", np.arange(capacity))
    np.testing.assert_array_equal(following, [*range(1, capacity), -1])


def test_a_buffer_that_was_stored_without_links_looks_one_step_ahead():
    source, target = make_buffer(1), make_buffer(3)
    fill(source, [(Script(BOTH, 8, "truncated"), [])])
    target.set_state(source.get_state())
    assert (sample(target)["policy_agent_0"]["discounts"] == GAMMA).all()


def test_links_that_wait_for_lost_episodes_are_forgotten():
    buffer = make_buffer(2, capacity=100)
    for number in range(4000):
        chunks, _ = play(Script(BOTH, 2), episode_number=number)  # It never ends.
        buffer.add(chunks)
    assert max(map(len, buffer.storage._unlinked[0].values())) < 3000
