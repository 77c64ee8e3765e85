"""Prioritised replay: what is drawn, how it is weighed, and what TD errors change."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_episodes import NUM_ACTIONS, Script, play
from test_replica_replay import steps

from rommeo_rllib.joint_action.replay.buffer import JointReplayBuffer
from rommeo_rllib.joint_action.replay.prioritized import PRIORITY, SumTrees, prioritized
from rommeo_rllib.joint_action.replay.transitions import JointSteps

AGENTS = ("agent_0", "agent_1")
POLICIES = ["policy_agent_0", "policy_agent_1"]
ALWAYS = dict.fromkeys(AGENTS, tuple(range(100)))
ROWS = 4000


def make_buffer(alpha=1.0, beta=1.0, capacity=1000) -> JointReplayBuffer:
    spaces = dict.fromkeys(AGENTS, gym.spaces.Discrete(NUM_ACTIONS))
    make = prioritized({"alpha": alpha, "beta": beta}, "replay_priorities")
    return JointReplayBuffer(capacity, spaces, 0, make_sampler=make)


def fill(buffer: JointReplayBuffer, length: int, observes=ALWAYS, policy_of=None) -> None:
    chunks, _ = play(Script(observes, length, "truncated"), policy_of=policy_of)
    buffer.add(chunks)


def steps_of(batch) -> np.ndarray:
    return batch["obs"][:, 1].astype(int)


def teach(buffer: JointReplayBuffer, errors, policy="policy_agent_0") -> None:
    """Tells the TD error of each step, as a learner would."""
    batch = buffer.sample([policy], ROWS)[policy]
    buffer.note_errors(batch["indices"], np.asarray(errors, np.float32)[steps_of(batch)])


def shares(buffer: JointReplayBuffer, length: int, policy="policy_agent_0") -> np.ndarray:
    return np.bincount(steps_of(buffer.sample([policy], ROWS)[policy]), minlength=length) / ROWS


def test_transitions_are_drawn_in_proportion_to_their_errors():
    buffer = make_buffer()
    fill(buffer, 4)
    np.testing.assert_allclose(shares(buffer, 4), 0.25, atol=0.03)
    teach(buffer, [1.0, 2.0, 3.0, 4.0])
    np.testing.assert_allclose(shares(buffer, 4), [0.1, 0.2, 0.3, 0.4], atol=0.03)
    # The other agent's are its own.
    np.testing.assert_allclose(shares(buffer, 4, "policy_agent_1"), 0.25, atol=0.03)


@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_alpha_says_how_much_errors_count(alpha):
    buffer = make_buffer(alpha)
    fill(buffer, 2)
    teach(buffer, [1.0, 16.0])
    wanted = np.array([1.0, 16.0]) ** alpha
    np.testing.assert_allclose(shares(buffer, 2), wanted / wanted.sum(), atol=0.03)


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_weights_make_up_for_what_is_drawn_more_often(beta):
    buffer = make_buffer(beta=beta)
    fill(buffer, 2)
    teach(buffer, [1.0, 4.0])
    batch = buffer.sample(["policy_agent_0"], ROWS)["policy_agent_0"]
    for step, weight in ((0, 1.0), (1, 0.25**beta)):
        np.testing.assert_allclose(batch["weights"][steps_of(batch) == step], weight, rtol=1e-5)
    if beta == 1.0:
        # The weighted mean is that of uniform draws.
        mean = np.average(steps_of(batch), weights=batch["weights"])
        assert mean == pytest.approx(0.5, abs=0.03)


def test_beta_follows_the_clock():
    beta = {"initial": 0.0, "final": 1.0, "decay_steps": 100}
    buffer = make_buffer(beta=beta)
    fill(buffer, 2)
    teach(buffer, [1.0, 4.0])
    least = [
        buffer.sample(["policy_agent_0"], 200, env_steps=clock)["policy_agent_0"]["weights"].min()
        for clock in (0, 50, 100, 1000)
    ]
    np.testing.assert_allclose(least, [1.0, 0.5, 0.25, 0.25], rtol=1e-5)


def test_what_was_never_drawn_counts_as_the_greatest():
    buffer = make_buffer(capacity=3)
    fill(buffer, 2)
    teach(buffer, [5.0, 10.0])
    fill(buffer, 1)
    batch = buffer.sample(["policy_agent_0"], ROWS)["policy_agent_0"]
    newest = np.bincount(steps_of(batch), minlength=2)
    # Two rows of step 0 (errors 5 and, new, 10), one of step 1 (10).
    np.testing.assert_allclose(newest / ROWS, [0.6, 0.4], atol=0.03)


def test_what_is_overwritten_is_not_drawn():
    buffer = make_buffer(capacity=4)
    fill(buffer, 3)
    teach(buffer, [100.0, 100.0, 100.0])
    fill(buffer, 6, {"agent_0": ALWAYS["agent_0"], "agent_1": (0, 3, 4)})
    assert set(steps_of(buffer.sample(["policy_agent_0"], 500)["policy_agent_0"])) == {2, 3, 4, 5}
    assert set(steps_of(buffer.sample(["policy_agent_1"], 500)["policy_agent_1"])) <= {3, 4}


def test_a_policy_of_several_agents_draws_from_all_of_them():
    buffer = make_buffer()
    fill(buffer, 2, policy_of=lambda agent, episode: "shared")
    batch = buffer.sample(["shared"], ROWS)["shared"]
    errors = np.where(batch["obs"][:, 2] == ord("0"), 1.0, 3.0)
    buffer.note_errors(batch["indices"], errors)
    batch = buffer.sample(["shared"], ROWS)["shared"]
    assert (batch["obs"][:, 2] == ord("1")).mean() == pytest.approx(0.75, abs=0.03)


def test_a_policy_draws_only_where_it_acted():
    buffer = make_buffer()
    for number in range(2):
        fill(buffer, 3, policy_of=lambda agent, episode, n=number: f"{agent}_{n}")
    assert buffer.sample(["agent_0_2"], 5) == {}
    batch = buffer.sample(["agent_0_1"], 100)["agent_0_1"]
    assert batch["indices"].min() >= 3


def test_replicas_have_priorities_of_their_own():
    together = JointReplayBuffer(
        20,
        {"a": gym.spaces.Discrete(3), "b": gym.spaces.Box(-1.0, 1.0, (2,), np.float32)},
        5,
        replicas=2,
        make_sampler=prioritized({"alpha": 1.0}, "x"),
    )
    alone = JointReplayBuffer(
        20, together.storage.action_spaces, 6, make_sampler=prioritized({"alpha": 1.0}, "x")
    )
    for replica in range(2):
        together.add_steps(steps(replica, 4))
    own = steps(1, 4)
    alone.add_steps(JointSteps(own.length, own.agents))
    for _ in range(3):
        found, wanted = together.sample(["p_a"], 50), alone.sample(["p_a"], 50)["p_a"]
        for name in ("rewards", "weights"):
            np.testing.assert_array_equal(found["p_a@1"][name], wanted[name])
        assert (found["p_a@1"]["indices"] == wanted["indices"] + 20).all()
        for batch in found.values():
            together.note_errors(batch["indices"], batch["rewards"])
        alone.note_errors(wanted["indices"], wanted["rewards"])


def test_recent_rows_are_drawn_uniformly():
    buffer = make_buffer()
    fill(buffer, 4)
    teach(buffer, [0.0, 0.0, 0.0, 9.0])
    batch = buffer.sample(["policy_agent_0"], ROWS, 2)["policy_agent_0"]
    recent = batch["recent_obs"][:, 1]
    assert recent.min() == 2
    assert recent.mean() == pytest.approx(2.5, abs=0.05)


@pytest.mark.parametrize("capacity", [1000, 3])
def test_a_restored_buffer_draws_as_before(capacity):
    buffer, restored = make_buffer(), make_buffer(capacity=capacity)
    fill(buffer, 5)
    teach(buffer, [5.0, 1.0, 2.0, 3.0, 4.0])
    restored.set_state(buffer.get_state())
    if capacity == 1000:
        first, second = buffer.sample(POLICIES, 50), restored.sample(POLICIES, 50)
        for policy in POLICIES:
            np.testing.assert_array_equal(first[policy]["obs"], second[policy]["obs"])
    else:
        wanted = np.array([0.0, 0.0, 2.0, 3.0, 4.0]) / 9.0
        np.testing.assert_allclose(shares(restored, 5), wanted, atol=0.03)
    assert buffer.get_state()["arrays"][f"0/{PRIORITY}"].shape == (5,)


def test_a_replay_that_was_stored_without_priorities_draws_evenly():
    spaces = dict.fromkeys(AGENTS, gym.spaces.Discrete(NUM_ACTIONS))
    uniform, restored = JointReplayBuffer(10, spaces, 0), make_buffer()
    fill(uniform, 4)
    restored.set_state(uniform.get_state())
    np.testing.assert_allclose(shares(restored, 4), 0.25, atol=0.03)


def test_an_error_that_is_not_finite_leaves_the_rest_reachable():
    buffer = make_buffer()
    fill(buffer, 3)
    teach(buffer, [np.nan, 1.0, 1.0])
    np.testing.assert_allclose(shares(buffer, 3), [0.0, 0.5, 0.5], atol=0.03)


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, 1e-9, 1e9]), min_size=1, max_size=20), st.data())
def test_a_sum_tree_draws_no_place_without_value(values, data):
    trees = SumTrees(2, len(values))
    places = np.array(data.draw(st.permutations(range(len(values)))))
    trees.put(np.ones(len(values), int), places, np.array(values)[places])
    assert trees.total(0) == 0.0
    assert trees.total(1) == pytest.approx(sum(values))
    np.testing.assert_array_equal(trees.values(1, np.arange(len(values))), values)
    if any(values):
        drawn = trees.draw(1, np.linspace(0.0, 1.0, 50, endpoint=False))
        assert all(values[place] > 0.0 for place in drawn)


@pytest.mark.parametrize("spec", ["x", 1, {"gamma": 1.0}, {"alpha": -0.1}, {"beta": None}])
def test_what_is_no_such_setting_is_told(spec):
    with pytest.raises(ValueError, match=r"replay_priorities"):
        prioritized(spec, "replay_priorities")
