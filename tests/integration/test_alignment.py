"""Every row of the replay buffer against what the environments wrote down."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import environments
import numpy as np
import pytest
from environments import ScriptedEnv, logged_transitions
from ray.rllib.env.multi_agent_episode import MultiAgentEpisode
from representative import cases
from scripted_episodes import NUM_ACTIONS, End, Script, joint_code

from rommeo_rllib import ROMMEOACConfig
from rommeo_rllib.joint_action.replay.buffer import JointReplayBuffer
from rommeo_rllib.joint_action.sampling.env_runner import JointActionEnvRunner

ALWAYS = tuple(range(100))
AGENTS = ("agent_0", "agent_1", "agent_2")


def everybody(**changed) -> dict[str, tuple[int, ...]]:
    return {**dict.fromkeys(AGENTS, ALWAYS), **changed}


SCENARIOS = {
    "simultaneous": [Script(everybody(), 7, "terminated"), Script(everybody(), 5, "truncated")],
    "one_step_episodes": [Script(everybody(), 1, "terminated")],
    "time_limit": [Script(everybody(), 6, "truncated")],
    "early_death": [
        Script(everybody(), 9, "terminated", {"agent_1": End(4), "agent_0": End(6)}),
        Script(everybody(), 8, "truncated", {"agent_2": End(1), "agent_1": End(3)}),
    ],
    "early_death_unobserved": [
        Script(everybody(), 9, "terminated", {"agent_1": End(4, observed=False)}),
    ],
    "early_truncation": [Script(everybody(), 9, "terminated", {"agent_1": End(5, truncated=True)})],
    "antiphase": [
        Script(everybody(agent_0=ALWAYS[::2], agent_1=(0, *ALWAYS[1::2])), 9, "truncated"),
        Script(everybody(agent_0=ALWAYS[::2], agent_1=ALWAYS[1::2]), 8, "terminated"),
    ],
    "mixed_periods": [
        Script(everybody(agent_0=ALWAYS[::3], agent_1=ALWAYS[::4]), 14, "truncated"),
        Script(everybody(agent_1=ALWAYS[::5], agent_2=ALWAYS[::2]), 11, "terminated"),
    ],
    "joins_late": [
        Script(everybody(agent_1=ALWAYS[4:]), 8, "terminated"),
        Script(everybody(agent_2=ALWAYS[2::3], agent_0=ALWAYS[3:]), 9, "truncated"),
    ],
    "joins_late_and_dies": [
        Script(everybody(agent_1=ALWAYS[3:]), 9, "terminated", {"agent_1": End(5)}),
    ],
    "turn_based": [
        Script(
            {
                "agent_0": ALWAYS[::3],
                "agent_1": ALWAYS[1::3],
                "agent_2": ALWAYS[2::3],
            },
            10,
            "terminated",
        )
    ],
    "turn_based_without_last_observation": [
        Script(
            {"agent_0": ALWAYS[::2], "agent_1": ALWAYS[1::2]},
            7,
            "terminated",
            final_observations=False,
        )
    ],
    "nobody_acts_at_some_steps": [
        Script({"agent_0": ALWAYS[::3], "agent_1": ALWAYS[::6]}, 10, "truncated")
    ],
}


def make_config(scripts: list[Script], log: Path, **env_runners) -> ROMMEOACConfig:
    agents = set(scripts[0].agents)
    return (
        ROMMEOACConfig()
        .environment(
            ScriptedEnv,
            env_config={"scripts": scripts, "log": str(log)},
            disable_env_checking=True,  # RLlib's check makes a step, which nobody stores.
        )
        .multi_agent(policies=agents, policy_mapping_fn=lambda agent, *args, **kwargs: agent)
        .env_runners(**env_runners)
        .training(num_steps_sampled_before_learning_starts=10_000)
        .rl_module(model_config={"fcnet_hiddens": [4]})
        .debugging(seed=0)
    )


def check_every_row(buffer: JointReplayBuffer, log: Path) -> int:
    """Compares all rows with the environments' own records; returns their number."""
    wanted = logged_transitions(log)
    check_joint_rows(buffer, wanted)
    batches = buffer.sample(buffer.agents, 60 * len(buffer))
    for agent in buffer.agents:
        own = {place: acted[agent] for place, acted in wanted.items() if agent in acted}
        if agent not in batches:
            assert not own
            continue
        batch = batches[agent]
        places = [tuple(place) for place in batch["obs"][:, :3].astype(int).tolist()]
        assert set(places) == set(own)
        _, rows = np.unique(batch["obs"], axis=0, return_index=True)
        for row in rows:
            check_row(agent, {name: column[row] for name, column in batch.items()}, wanted, buffer)
    return len(buffer)


def check_joint_rows(buffer: JointReplayBuffer, wanted) -> None:
    """No env step is lost or doubled, and all who acted at one share a row."""
    arrays = buffer.get_state()["arrays"]
    rows: list[set] = [set() for _ in range(len(buffer))]
    for index, _ in enumerate(buffer.agents):
        for row in np.flatnonzero(arrays[f"{index}/acted_by"] >= 0):
            rows[row].add(tuple(arrays[f"{index}/obs"][row, :3].astype(int).tolist()))
    assert all(len(places) == 1 for places in rows)
    places = [place for (place,) in rows]
    assert len(places) == len(set(places))
    assert set(places) == set(wanted)


def check_row(agent: str, row, wanted, buffer: JointReplayBuffer) -> None:
    place = tuple(int(x) for x in row["obs"][:3])
    acted = wanted[place]
    own = acted[agent]
    actions = {a: transition["action"] for a, transition in acted.items()}
    others = [other for other in buffer.agents if other != agent]
    opponent_actions = np.zeros((len(others), NUM_ACTIONS))
    for index, other in enumerate(others):
        if other in acted:
            opponent_actions[index, actions[other]] = 1
    assert row["obs"][3] == ord(agent[-1])
    np.testing.assert_array_equal(row["actions"], np.eye(NUM_ACTIONS)[own["action"]])
    np.testing.assert_array_equal(row["opponent_actions"], opponent_actions.flatten())
    np.testing.assert_array_equal(row["opponent_mask"], [other in acted for other in others])
    assert row["rewards"] == own["reward"]
    # The reward alone, too, says what everybody did at that step.
    assert row["rewards"] % 1000 == joint_code(actions, buffer.agents)
    assert row["terminateds"] == own["terminated"]
    if not own["terminated"]:
        next_obs = [*place[:2], own["next_step"], ord(agent[-1])]
        np.testing.assert_array_equal(row["new_obs"], next_obs)
        if own["next_acting"] is not None:
            present = [other in own["next_acting"] for other in others]
            np.testing.assert_array_equal(row["next_opponent_mask"], present)


def sample(scripts: list[Script], log: Path, fragment: int, **changed: Any) -> JointReplayBuffer:
    """Two environments on one env runner for 120 env steps, a fragment at a time."""
    log.mkdir(exist_ok=True)
    config = make_config(scripts, log, num_env_runners=0, num_envs_per_env_runner=2)
    config.environment(**changed.pop("environment", {}))
    config.callbacks(**changed)
    runner = JointActionEnvRunner(config=config, worker_index=0)
    spaces = runner.env.envs[0].unwrapped.action_spaces
    buffer = JointReplayBuffer(10_000, spaces, seed=0, n_step=3)
    for _ in range(60 // fragment):
        store(buffer, runner.sample(num_timesteps=2 * fragment))
    runner.stop()
    return buffer


def store(buffer: JointReplayBuffer, samples: list[Any]) -> None:
    """Joint steps as they are; of RLlib's episodes the joint steps."""
    episodes = [s for s in samples if isinstance(s, MultiAgentEpisode)]
    buffer.add(episodes)
    for steps in samples:
        if not isinstance(steps, MultiAgentEpisode):
            buffer.add_steps(steps)


def nothing(**kwargs: Any) -> None:
    """A callback; whoever has one gets RLlib's own way of sampling."""


OWN_WAY: dict[str, Any] = {}
RLLIBS_WAY: dict[str, Any] = {"on_episode_step": nothing}
both_ways = pytest.mark.parametrize("way", [OWN_WAY, RLLIBS_WAY], ids=["own_way", "rllibs_way"])


@both_ways
@pytest.mark.parametrize("fragment", cases([1, 3, 7], [3]))
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_rows_are_what_happened(scenario, fragment, way, tmp_path):
    buffer = sample(SCENARIOS[scenario], tmp_path, fragment, **way)
    rows = check_every_row(buffer, tmp_path)
    if scenario not in ("antiphase", "mixed_periods", "nobody_acts_at_some_steps"):
        assert rows > 100


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_both_ways_of_sampling_give_the_same_rows(scenario, tmp_path, monkeypatch):
    states = []
    for name, way in (("own", OWN_WAY), ("rllib", RLLIBS_WAY)):
        # Equal numbers for the environments, which policies observe.
        monkeypatch.setattr(environments, "_instances", itertools.count())
        states.append(sample(SCENARIOS[scenario], tmp_path / name, 3, **way).get_state()["arrays"])
    assert states[0].keys() == states[1].keys()
    for name, column in states[0].items():
        np.testing.assert_array_equal(column, states[1][name], err_msg=name)


@both_ways
def test_an_environment_may_use_its_arrays_again(way, tmp_path):
    scripts = SCENARIOS["simultaneous"]
    config = {"scripts": scripts, "log": str(tmp_path), "reuses_arrays": True}
    buffer = sample(scripts, tmp_path, 7, environment={"env_config": config}, **way)
    assert check_every_row(buffer, tmp_path) > 100


@both_ways
def test_one_agent_may_terminate_at_the_time_limit_of_all(way, tmp_path):
    script = Script(everybody(), 4, "truncated", {"agent_1": End(4)})
    check_every_row(sample([script], tmp_path, 3, **way), tmp_path)


ONE_ENV = {"num_env_runners": 0, "num_envs_per_env_runner": 1, "rollout_fragment_length": 1}
FIVE_ENVS = {"num_env_runners": 0, "num_envs_per_env_runner": 5, "rollout_fragment_length": 7}
TWO_BY_THREE = {"num_env_runners": 2, "num_envs_per_env_runner": 3, "rollout_fragment_length": 4}


@pytest.mark.parametrize(
    ("scenario", "env_runners"),
    [
        ("simultaneous", ONE_ENV),
        ("turn_based", ONE_ENV),
        ("simultaneous", FIVE_ENVS),
        ("early_death", FIVE_ENVS),
        pytest.param("simultaneous", TWO_BY_THREE, marks=pytest.mark.slow),
        pytest.param("mixed_periods", TWO_BY_THREE, marks=pytest.mark.slow),
    ],
)
def test_an_algorithm_stores_what_happened(ray_session, scenario, env_runners, tmp_path):
    config = make_config(SCENARIOS[scenario], tmp_path, **env_runners)
    config.reporting(min_sample_timesteps_per_iteration=100)
    algorithm = config.build_algo()
    try:
        for _ in range(2):
            result = algorithm.train()
        rows = check_every_row(algorithm.replay_buffer, tmp_path)
        sampled = sum(len(file.read_text().splitlines()) for file in tmp_path.iterdir())
        assert result["num_env_steps_sampled_lifetime"] == sampled >= 200
        assert (
            len(list(tmp_path.iterdir()))
            == max(env_runners["num_env_runners"], 1) * env_runners["num_envs_per_env_runner"]
        )
        if scenario != "mixed_periods":
            assert rows > sampled - 30
    finally:
        algorithm.stop()
