"""The replay buffer: alignment, the ring, drawing, checkpoints. No Ray runtime."""

from __future__ import annotations

import json
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from ray.rllib.env.multi_agent_episode import MultiAgentEpisode
from scripted_episodes import NUM_ACTIONS, End, Script, joint_code, observation, play

from rommeo_rllib.joint_action.replay.buffer import JointReplayBuffer, opponent_column

ALWAYS = tuple(range(100_000))
AGENTS = ("agent_0", "agent_1", "agent_2")
DISCRETE = gym.spaces.Discrete(NUM_ACTIONS)
POLICIES = [f"policy_{agent}" for agent in AGENTS]


def make_buffer(capacity=1000, agents=AGENTS, seed=0) -> JointReplayBuffer:
    return JointReplayBuffer(capacity, dict.fromkeys(agents, DISCRETE), seed=seed)


def fill(buffer: JointReplayBuffer, length: int, *, cuts=(), episode_number=0, **script) -> None:
    observes = script.pop("observes", dict.fromkeys(AGENTS, ALWAYS))
    policy_of = script.pop("policy_of", None)
    chunks, _ = play(
        Script(observes, length, script.pop("ending", "truncated"), **script),
        cuts,
        episode_number=episode_number,
        seed=episode_number,
        policy_of=policy_of,
    )
    for chunk in chunks:
        buffer.add([chunk])


def steps_in(batch) -> list[tuple[int, int]]:
    """The (episode, env step) of each row."""
    return [(int(episode), int(step)) for episode, step in batch["obs"][:, :2]]


def codes_of(agent: str, batch) -> np.ndarray:
    """What the rewards must be if own and opponents' actions stand in the right rows."""
    others = [other for other in AGENTS if other != agent]
    columns = np.split(batch["opponent_actions"], len(others), axis=1)
    codes = []
    for row in range(len(batch["rewards"])):
        actions = {agent: int(batch["actions"][row].argmax())}
        for index, other in enumerate(others):
            one_hot = columns[index][row]
            assert one_hot.sum() == batch["opponent_mask"][row, index]
            if one_hot.any():
                actions[other] = int(one_hot.argmax())
        codes.append(joint_code(actions, AGENTS))
    return np.array(codes, np.float32)


def assert_equal(batches, others) -> None:
    assert batches.keys() == others.keys()
    for policy in batches:
        assert batches[policy].keys() == others[policy].keys()
        for name, column in batches[policy].items():
            np.testing.assert_array_equal(column, others[policy][name], err_msg=name)
            assert column.dtype == others[policy][name].dtype


@pytest.mark.parametrize("cuts", [(), (7, 14, 21)])
def test_opponents_actions_stand_beside_the_own_in_every_row(cuts):
    buffer = make_buffer()
    fill(buffer, 30, cuts=cuts)
    batches = buffer.sample(POLICIES, 500)
    for agent, policy in zip(AGENTS, POLICIES, strict=True):
        batch = batches[policy]
        assert set(steps_in(batch)) == {(0, step) for step in range(30)}
        np.testing.assert_array_equal(batch["rewards"], codes_of(agent, batch))
        np.testing.assert_array_equal(batch["new_obs"][:, 1], batch["obs"][:, 1] + 1)
        assert (batch["obs"][:, 2] == ord(agent[-1])).all()
        assert (batch["opponent_mask"] == 1).all()
        assert (batch["terminateds"] == 0).all()


def test_absent_opponents_are_masked_and_zero():
    buffer = make_buffer()
    fill(buffer, 20, ending="terminated", leaves={"agent_1": End(5)})
    batch = buffer.sample(POLICIES, 500)["policy_agent_0"]
    absent = batch["obs"][:, 1] >= 5
    assert absent.any()
    np.testing.assert_array_equal(batch["opponent_mask"][:, 0], (~absent).astype(np.float32))
    assert (batch["opponent_actions"][absent, :NUM_ACTIONS] == 0).all()
    assert (batch["opponent_mask"][:, 1] == 1).all()
    np.testing.assert_array_equal(batch["rewards"], codes_of("agent_0", batch))


def test_an_agent_draws_only_steps_at_which_it_acted():
    buffer = make_buffer()
    observes = {"agent_0": ALWAYS, "agent_1": ALWAYS[::3], "agent_2": ALWAYS[4:]}
    fill(buffer, 12, observes=observes)
    batches = buffer.sample(POLICIES, 300)
    drawn = {policy: {step for _, step in steps_in(batch)} for policy, batch in batches.items()}
    assert drawn == {
        "policy_agent_0": set(range(12)),
        "policy_agent_1": {0, 3, 6, 9},
        "policy_agent_2": set(range(4, 12)),
    }


def test_an_agent_that_never_acted_is_masked_and_its_policy_gets_no_batch():
    buffer = make_buffer()
    fill(buffer, 6, observes={"agent_0": ALWAYS, "agent_2": ALWAYS})
    batches = buffer.sample(POLICIES, 50)
    assert batches.keys() == {"policy_agent_0", "policy_agent_2"}
    batch = batches["policy_agent_0"]
    assert (batch["opponent_mask"] == [0, 1]).all()
    assert (batch["opponent_actions"][:, :NUM_ACTIONS] == 0).all()


@pytest.mark.parametrize("cuts", [(), (3, 6, 9), (8,)])
def test_the_oldest_steps_go_first(cuts):
    buffer = make_buffer(capacity=10)
    fill(buffer, 8, episode_number=0)
    fill(buffer, 9, episode_number=1, cuts=cuts)
    assert len(buffer) == 10
    kept = {(0, 7)} | {(1, step) for step in range(9)}
    for agent, policy in zip(AGENTS, POLICIES, strict=True):
        batch = buffer.sample(POLICIES, 300)[policy]
        assert set(steps_in(batch)) == kept
        np.testing.assert_array_equal(batch["rewards"], codes_of(agent, batch))


def test_of_more_steps_than_fit_the_newest_are_kept():
    buffer = make_buffer(capacity=10)
    fill(buffer, 4, episode_number=0)
    fill(buffer, 33, episode_number=1)
    assert len(buffer) == 10
    batch = buffer.sample(POLICIES, 300)["policy_agent_1"]
    assert set(steps_in(batch)) == {(1, step) for step in range(23, 33)}
    np.testing.assert_array_equal(batch["rewards"], codes_of("agent_1", batch))


def test_overwritten_steps_no_longer_count_for_those_who_acted_there():
    buffer = make_buffer(capacity=6)
    fill(buffer, 6)
    fill(buffer, 6, episode_number=1, observes={"agent_0": ALWAYS, "agent_1": (0, 3, 6)})
    batches = buffer.sample(POLICIES, 200)
    assert "policy_agent_2" not in batches
    assert set(steps_in(batches["policy_agent_1"])) == {(1, 0), (1, 3)}
    assert (batches["policy_agent_0"]["opponent_mask"][:, 1] == 0).all()


def test_drawing_is_uniform_over_the_steps_that_a_policy_acted_in():
    buffer = make_buffer(capacity=50)
    fill(buffer, 80, observes={**dict.fromkeys(AGENTS, ALWAYS), "agent_1": ALWAYS[::2]})
    draws = 25_000
    for policy, valid in [("policy_agent_0", 50), ("policy_agent_1", 25)]:
        steps = buffer.sample([policy], draws)[policy]["obs"][:, 1]
        counts = np.unique(steps, return_counts=True)[1]
        assert len(counts) == valid
        expected = draws / valid
        chi_squared = ((counts - expected) ** 2 / expected).sum()
        # Mean valid - 1, standard deviation sqrt(2 (valid - 1)); the seed is fixed.
        assert chi_squared < valid + 5 * np.sqrt(2 * valid)


def test_the_priors_batch_holds_recent_steps_only():
    buffer = make_buffer(capacity=40)
    fill(buffer, 60, cuts=range(5, 60, 5))
    batch = buffer.sample(POLICIES, 400, recent_window=7)["policy_agent_2"]
    recent = batch["recent_obs"][:, 1]
    assert set(recent.astype(int)) == set(range(53, 60))
    assert batch["obs"][:, 1].min() == 20
    # Its opponents' actions are those of its own rows, not of the other batch's.
    own = {int(step): row for step, row in zip(batch["obs"][:, 1], batch["opponent_actions"])}  # noqa: B905
    for step, row in zip(recent, batch["recent_opponent_actions"], strict=True):
        np.testing.assert_array_equal(row, own[int(step)])
    assert (batch["recent_opponent_mask"] == 1).all()
    assert len({len(column) for column in batch.values()}) == 1


def test_a_policy_absent_of_late_fits_its_prior_on_all_that_it_saw():
    buffer = make_buffer()
    fill(buffer, 20, leaves={"agent_1": End(5, truncated=True)})
    batch = buffer.sample(POLICIES, 100, recent_window=4)["policy_agent_1"]
    assert set(batch["recent_obs"][:, 1].astype(int)) == set(range(5))


def test_each_policy_gets_the_steps_that_it_acted_in():
    buffer = make_buffer()
    for number in range(6):
        mapped = (lambda a, e: "even") if number % 2 == 0 else (lambda a, e: "odd")
        fill(buffer, 4, episode_number=number, policy_of=mapped)
    batches = buffer.sample(["even", "odd", "never"], 300)
    assert batches.keys() == {"even", "odd"}
    assert {episode for episode, _ in steps_in(batches["even"])} == {0, 2, 4}
    assert {episode for episode, _ in steps_in(batches["odd"])} == {1, 3, 5}


def test_a_shared_policy_gets_the_steps_of_all_its_agents():
    buffer = make_buffer()
    fill(buffer, 10, policy_of=lambda agent, episode: "shared")
    batch = buffer.sample(["shared"], 900)["shared"]
    assert len(batch["obs"]) == 900
    for agent in AGENTS:
        own = batch["obs"][:, 2] == ord(agent[-1])
        assert 230 < own.sum() < 370
        part = {name: column[own] for name, column in batch.items()}
        np.testing.assert_array_equal(part["rewards"], codes_of(agent, part))


def test_mixed_spaces_are_encoded_as_the_networks_see_them():
    spaces = {
        "box": gym.spaces.Box(-1.0, 1.0, (2,), np.float32),
        "from_5": gym.spaces.Discrete(3, start=5),
    }
    buffer = JointReplayBuffer(10, spaces, seed=0)
    episode = MultiAgentEpisode(
        action_space=spaces, agent_to_module_mapping_fn=lambda agent, episode: agent
    )
    obs = {"box": np.zeros(1, np.float32), "from_5": 2}
    episode.add_env_reset(observations=obs)
    action = np.array([0.25, -1.0], np.float32)
    episode.add_env_step(obs, {"box": action, "from_5": 6}, {"box": 1.0, "from_5": 2.0})
    buffer.add([episode.to_numpy()])
    batches = buffer.sample(["box", "from_5"], 2)
    np.testing.assert_array_equal(batches["from_5"]["opponent_actions"], [action] * 2)
    np.testing.assert_array_equal(batches["from_5"]["actions"], [[0, 1, 0]] * 2)
    np.testing.assert_array_equal(batches["box"]["opponent_actions"], [[0, 1, 0]] * 2)
    assert batches["from_5"]["obs"].tolist() == [2, 2]


def test_the_same_seed_draws_the_same_batches():
    buffers = [make_buffer(seed=seed) for seed in (3, 3, 4)]
    for buffer in buffers:
        fill(buffer, 50)
    first, same, other = [buffer.sample(POLICIES, 40, recent_window=10) for buffer in buffers]
    assert_equal(first, same)
    assert not np.array_equal(first[POLICIES[0]]["obs"], other[POLICIES[0]]["obs"])


def test_an_unknown_agent_is_named():
    buffer = make_buffer(agents=AGENTS[:2])
    with pytest.raises(ValueError, match=r"'agent_2' acted.*possible_agents"):
        fill(buffer, 3)


def test_a_reward_that_is_not_finite_names_the_agent():
    episode = MultiAgentEpisode(agent_to_module_mapping_fn=lambda agent, episode: agent)
    both = {agent: observation(0, 0, agent) for agent in AGENTS}
    episode.add_env_reset(observations=both)
    rewards = {"agent_0": 0.0, "agent_1": float("inf"), "agent_2": 0.0}
    episode.add_env_step(both, dict.fromkeys(AGENTS, 0), rewards)
    with pytest.raises(ValueError, match=r"'agent_1'.*inf"):
        make_buffer().add([episode.to_numpy()])


def test_a_capacity_below_one_is_refused():
    with pytest.raises(ValueError, match="`capacity` is 0"):
        make_buffer(capacity=0)


def test_an_empty_buffer_gives_no_batches():
    buffer = make_buffer()
    assert len(buffer) == 0
    assert buffer.sample(POLICIES, 10) == {}


def test_memory_is_that_of_the_raw_arrays():
    capacity = 1000
    buffer = make_buffer(capacity)
    fill(buffer, 5)
    obs = 3 * 4
    a_row = 2 * obs + 8 + 4 + 4  # Observations, an int64 action, reward, terminated.
    raw = len(AGENTS) * capacity * a_row
    assert raw <= buffer.storage.nbytes <= 1.1 * raw


# Checkpoints.


def saved(tmp_path: Path, capacity=20, length=50) -> tuple[JointReplayBuffer, Path]:
    buffer = make_buffer(capacity)
    fill(buffer, length, leaves={"agent_1": End(length - 5, truncated=True)})
    buffer.sample(POLICIES, 3)
    folder = tmp_path / "replay_buffer"
    buffer.save_to_path(folder)
    return buffer, folder


@pytest.mark.parametrize("length", [12, 20, 50])
def test_a_restored_buffer_draws_what_the_original_draws(tmp_path, length):
    buffer, folder = saved(tmp_path, length=length)
    restored = make_buffer(20, seed=99)
    fill(restored, 7, episode_number=5)
    restored.restore_from_path(folder)
    assert len(restored) == len(buffer)
    for _ in range(3):
        assert_equal(
            restored.sample(POLICIES, 30, recent_window=8),
            buffer.sample(POLICIES, 30, recent_window=8),
        )


def test_a_restored_buffer_goes_on_filling_as_the_original(tmp_path):
    buffer, folder = saved(tmp_path)
    restored = make_buffer(20)
    restored.restore_from_path(folder)
    for either in (buffer, restored):
        fill(either, 7, episode_number=2)
    assert_equal(restored.sample(POLICIES, 50), buffer.sample(POLICIES, 50))


@pytest.mark.parametrize("capacity", [8, 64])
def test_a_buffer_of_another_capacity_keeps_the_newest_steps(tmp_path, capacity):
    _, folder = saved(tmp_path, capacity=20, length=50)
    restored = make_buffer(capacity)
    restored.restore_from_path(folder)
    count = min(capacity, 20)
    assert len(restored) == count
    batch = restored.sample(POLICIES, 400)["policy_agent_0"]
    assert set(steps_in(batch)) == {(0, step) for step in range(50 - count, 50)}
    np.testing.assert_array_equal(batch["rewards"], codes_of("agent_0", batch))
    fill(restored, 3, episode_number=1)
    drawn = set(steps_in(restored.sample(POLICIES, 400)["policy_agent_0"]))
    kept = min(count, capacity - 3)
    assert drawn == {(0, s) for s in range(50 - kept, 50)} | {(1, 0), (1, 1), (1, 2)}


def test_a_checkpoint_holds_plain_arrays(tmp_path):
    _, folder = saved(tmp_path)
    assert sorted(file.name for file in folder.iterdir()) == ["manifest.json", "transitions.npz"]
    with np.load(folder / "transitions.npz", allow_pickle=False) as stored:
        assert all(len(stored[name]) == 20 for name in stored.files)
    assert json.loads((folder / "manifest.json").read_text())["size"] == 20


@pytest.mark.parametrize("name", ["manifest.json", "transitions.npz"])
@pytest.mark.parametrize("damage", ["missing", "truncated", "garbage", "empty"])
def test_a_damaged_file_is_named(tmp_path, name, damage):
    _, folder = saved(tmp_path)
    file = folder / name
    content = file.read_bytes()
    file.unlink()
    if damage != "missing":
        file.write_bytes(
            {"truncated": content[: len(content) // 2], "garbage": b"\x93" * 200, "empty": b""}[
                damage
            ]
        )
    with pytest.raises(ValueError, match=f"cannot be read.*{name}"):
        make_buffer(20).restore_from_path(folder)


def test_a_flipped_byte_is_noticed(tmp_path):
    _, folder = saved(tmp_path)
    file = folder / "transitions.npz"
    content = bytearray(file.read_bytes())
    # Within an array, not in the zip file's own records.
    content[content.index(b"NUMPY") + 130] ^= 0xFF
    file.write_bytes(bytes(content))
    with pytest.raises(ValueError, match=r"transitions\.npz"):
        make_buffer(20).restore_from_path(folder)


def test_a_damaged_file_leaves_the_buffer_as_it_was(tmp_path):
    _, folder = saved(tmp_path)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["size"] += 1
    (folder / "manifest.json").write_text(json.dumps(manifest))
    buffer, untouched = make_buffer(20, seed=5), make_buffer(20, seed=5)
    for either in (buffer, untouched):
        fill(either, 9, episode_number=1)
    with pytest.raises(ValueError, match="cannot be read"):
        buffer.restore_from_path(folder)
    assert_equal(buffer.sample(POLICIES, 20), untouched.sample(POLICIES, 20))


def test_a_checkpoint_of_other_agents_is_refused(tmp_path):
    _, folder = saved(tmp_path)
    with pytest.raises(ValueError, match=r"agent_2.*environment's are"):
        make_buffer(20, agents=AGENTS[:2]).restore_from_path(folder)


def test_a_checkpoint_of_another_action_space_is_refused(tmp_path):
    _, folder = saved(tmp_path)
    spaces = dict.fromkeys(AGENTS, gym.spaces.Box(-1.0, 1.0, (2,), np.float32))
    with pytest.raises(ValueError, match=r"'agent_0', whose action space is Box"):
        JointReplayBuffer(20, spaces).restore_from_path(folder)


def test_what_opponents_observe_stands_in_the_row_in_which_they_acted():
    buffer = make_buffer()
    fill(buffer, 30, observes={**dict.fromkeys(AGENTS, ALWAYS), "agent_1": tuple(range(0, 30, 2))})
    shape = buffer.sample(POLICIES, 1)[POLICIES[0]]["obs"].shape[1:]
    space = gym.spaces.Box(0.0, 1e6, shape)
    spaces = dict.fromkeys(AGENTS, space)
    batch = buffer.sample(POLICIES, 200, observation_spaces=spaces)[POLICIES[0]]
    for number, other in enumerate(AGENTS[1:]):
        present = batch["opponent_mask"][:, number] == 1.0
        seen = batch[opponent_column("obs", number)]
        np.testing.assert_array_equal(seen[present, :2], batch["obs"][present, :2])
        assert (seen[present, 2] == ord(other[-1])).all()
        assert not seen[~present].any()
        later = batch[opponent_column("new_obs", number)]
        assert (later[present, 1] > seen[present, 1]).all()
    assert present.all()
    assert 0 < batch["opponent_mask"][:, 0].sum() < 200


def test_opponents_observations_are_left_out_unless_asked_for():
    buffer = make_buffer()
    fill(buffer, 5)
    batch = buffer.sample(POLICIES, 3)[POLICIES[0]]
    assert not any(name.startswith("opponent_0") for name in batch)


# Rows that all policies share.


def test_policies_may_share_the_steps_in_which_all_of_them_acted():
    buffer = make_buffer()
    fill(buffer, 30, observes={**dict.fromkeys(AGENTS, ALWAYS), "agent_1": (3, 4, 9, 20)})
    batches = buffer.sample(POLICIES, 200, shared_rows=True)
    steps = steps_in(batches[POLICIES[0]])
    assert set(steps) == {(0, step) for step in (3, 4, 9, 20)}
    for agent, policy in zip(AGENTS, POLICIES, strict=True):
        assert steps_in(batches[policy]) == steps
        np.testing.assert_array_equal(
            batches[policy]["rewards"] % 1000, codes_of(agent, batches[policy])
        )


@pytest.mark.parametrize("policies", [["shared"], [*POLICIES, "somebody"]])
def test_without_common_steps_nobody_gets_shared_rows(policies):
    buffer = make_buffer()
    shared = policies == ["shared"]
    fill(buffer, 5, policy_of=(lambda agent, episode: "shared") if shared else None)
    assert buffer.sample(policies, 5, shared_rows=True) == {}
