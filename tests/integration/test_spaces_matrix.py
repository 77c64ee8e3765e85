"""Any spaces, each way of sampling: rows of the replay against the environment's own log.

The environment does what environments do: it returns lists, tuples and numbers of other types, it
writes into the arrays that it has returned, and into those that it is given.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space, Tuple
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from ray.rllib.env.multi_agent_env import MultiAgentEnv
from representative import cases
from small import assert_finite, own_policy, policy_of

from rommeo_rllib import ROMMEOACConfig
from rommeo_rllib.deployment.export import export_program
from rommeo_rllib.deployment.player import Player
from rommeo_rllib.joint_action.replay.buffer import JointReplayBuffer
from rommeo_rllib.joint_action.spaces.encoding import decode_actions, encode_actions, env_action
from rommeo_rllib.joint_action.spaces.packing import pack
from rommeo_rllib.joint_action.spaces.replicas import replica_id

pytestmark = pytest.mark.usefixtures("ray_session")

AGENTS = ("a", "b")
LENGTH = 4
LOSSES = ["q_loss", "policy_loss", "opponent_model_loss", "prior_loss"]


class DisguisingEnv(MultiAgentEnv):
    """Random observations in all forms that say the same; the reward is the env step of its life.

    Args:
        config: "spaces", for each agent its (observation space, action space); "log", a folder for
            one file an environment; "seed".
    """

    def __init__(self, config: Mapping[str, Any]):
        super().__init__()
        self.possible_agents = self.agents = list(AGENTS)
        self.observation_spaces = {a: copy.deepcopy(s[0]) for a, s in config["spaces"].items()}
        self.action_spaces = {a: copy.deepcopy(s[1]) for a, s in config["spaces"].items()}
        self.rng = np.random.default_rng(config["seed"])
        for agent in AGENTS:
            self.observation_spaces[agent].seed(int(self.rng.integers(1000)))
        folder = Path(config["log"])
        self.log = folder / f"{len(list(folder.iterdir())):03}.pkl"
        self.log.touch()
        self.steps = 0
        self.returned: list[Any] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        self.time = 0
        return self._observe(), {}

    def step(self, action_dict: Mapping[str, Any]):
        for agent, action in action_dict.items():
            assert self.action_spaces[agent].contains(action), (agent, action)
        record = {"seen": self.seen, "done": copy.deepcopy(action_dict), "reward": self.steps}
        spoil(list(action_dict.values()))
        spoil(self.returned)
        self.steps += 1
        self.time += 1
        over = {"__all__": self.time == LENGTH}
        answer = self._observe(), dict.fromkeys(AGENTS, record["reward"]), over
        with self.log.open("ab") as file:
            pickle.dump({**record, "seen_next": self.seen, "over": over["__all__"]}, file)
        return *answer, {"__all__": False}, {}

    def _observe(self) -> dict[str, Any]:
        self.seen = {agent: self.observation_spaces[agent].sample() for agent in AGENTS}
        observations = {
            agent: disguised(self.observation_spaces[agent], copy.deepcopy(seen), self.rng)
            for agent, seen in self.seen.items()
        }
        self.returned = list(observations.values())
        return observations


def disguised(space: Space, value: Any, rng: np.random.Generator) -> Any:
    """The value in another form that says the same."""
    if isinstance(space, Dict):
        keys = list(rng.permutation(list(space.spaces)))
        return {str(key): disguised(space[str(key)], value[str(key)], rng) for key in keys}
    if isinstance(space, Tuple):
        parts = [disguised(p, v, rng) for p, v in zip(space.spaces, value, strict=True)]
        return parts if rng.integers(2) else tuple(parts)
    if isinstance(space, Discrete):
        return [int(value), np.int8(value), np.array(value), float(value)][rng.integers(4)]
    forms = [value, value.tolist(), value.astype(np.float64), np.array(value, order="F")]
    return forms[rng.integers(len(forms))]


def spoil(value: Any) -> None:
    """Writes into all arrays of a value."""
    if isinstance(value, np.ndarray):
        if value.ndim:
            value[...] = 0
    elif isinstance(value, dict | list | tuple):
        for part in value.values() if isinstance(value, dict) else value:
            spoil(part)


CHOICES = st.one_of(
    st.builds(lambda n, start: Discrete(n, start=start), st.integers(1, 4), st.integers(-2, 2)),
    st.lists(st.integers(2, 3), min_size=1, max_size=2).map(MultiDiscrete),
    st.sampled_from([MultiDiscrete([[2, 3], [3, 2]]), MultiBinary(2), MultiBinary((2, 1))]),
)
NUMBERS = st.builds(
    lambda shape, high, dtype: Box(-high, high, shape, dtype),
    st.sampled_from([(), (1,), (2,), (2, 2)]),
    st.sampled_from([1.0, 3.0, np.inf]),
    st.sampled_from([np.float32, np.float64]),
)
WHOLE = st.sampled_from([Box(0, 255, (3,), np.uint8), Box(-5, 5, (2, 2), np.int32)])


def nested(leaves: st.SearchStrategy[Space]) -> st.SearchStrategy[Space]:
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=2).map(lambda parts: Tuple(tuple(parts))),
            st.dictionaries(st.sampled_from("xyz"), inner, min_size=1, max_size=2).map(Dict),
        ),
        max_leaves=3,
    )


SPACES = st.fixed_dictionaries(
    {a: st.tuples(nested(CHOICES | NUMBERS | WHOLE), nested(CHOICES | NUMBERS)) for a in AGENTS}
)


def make_config(spaces: Any, log: Path, seed: int, **training: Any) -> ROMMEOACConfig:
    return (
        ROMMEOACConfig()
        .environment(DisguisingEnv, env_config={"spaces": spaces, "log": str(log), "seed": seed})
        .multi_agent(policies=set(AGENTS), policy_mapping_fn=own_policy)
        .training(
            train_batch_size_per_learner=8,
            num_steps_sampled_before_learning_starts=8,
            replay_capacity=50,
            alpha=1.0,
            **training,
        )
        .rl_module(model_config={"fcnet_hiddens": [4]})
        .reporting(min_sample_timesteps_per_iteration=10)
        .evaluation(evaluation_duration=2, evaluation_interval=100)
        .debugging(seed=seed)
    )


def records_of(file: Path) -> list[dict[str, Any]]:
    """What an environment wrote down, without the check that it works."""
    found = []
    with file.open("rb") as opened:
        while True:
            try:
                found.append(pickle.load(opened))
            except EOFError:
                return found[1:]


def check_rows(
    replay: JointReplayBuffer, replica: int, records: list[dict[str, Any]], spaces: Any
) -> None:
    """Every row of a replay, and of a batch, is what the environment wrote down."""
    buffer = replay.of_replicas[replica]
    arrays = buffer.get_state()["arrays"]
    assert len(buffer) == len(records) >= 10
    for index, agent in enumerate(AGENTS):
        action_space = spaces[agent][1]
        columns = [arrays[f"{index}/{name}"] for name in ("obs", "actions", "rewards", "new_obs")]
        for record, obs, action, reward, new_obs in zip(records, *columns, strict=True):
            np.testing.assert_array_equal(obs, pack(record["seen"][agent]))
            np.testing.assert_array_equal(new_obs, pack(record["seen_next"][agent]))
            done = pack(record["done"][agent])
            np.testing.assert_allclose(pack(env_action(action_space, action)), done, atol=1e-5)
            assert reward == record["reward"]
    by_reward = {record["reward"]: row for row, record in enumerate(records)}
    for index, agent in enumerate(AGENTS):
        other = AGENTS[1 - index]
        batches = replay.sample([agent], 30)
        batch = batches[agent if len(replay.of_replicas) == 1 else replica_id(agent, replica)]
        rows = [by_reward[int(reward)] for reward in batch["rewards"]]
        stored = arrays[f"{1 - index}/actions"][rows]
        expected = encode_actions(spaces[other][1], stored)
        np.testing.assert_array_equal(batch["opponent_actions"], expected)
        np.testing.assert_array_equal(batch["terminateds"], [records[row]["over"] for row in rows])


WAYS: dict[str, dict[str, Any]] = {
    "fast": {},
    "stock": {"fast_sampling": False},
    "replicas": {"replicas": 2},
    "remote": {},
}


@pytest.mark.parametrize("way", cases(WAYS, ["fast"]))
@settings(
    max_examples=5,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_what_is_learned_from_is_what_happened(way, tmp_path_factory, data):
    spaces, seed = data.draw(SPACES), data.draw(st.integers(0, 1000))
    log = tmp_path_factory.mktemp("log")
    config = make_config(spaces, log, seed, **WAYS[way])
    if way == "remote":
        config.env_runners(num_env_runners=1, rollout_fragment_length=5)
    algorithm = config.build_algo()
    try:
        for _ in range(2):
            learners = algorithm.train()["learners"]
        for agent in AGENTS:
            assert_finite(learners[agent], LOSSES)
        files = sorted(log.iterdir())[: config.replicas]  # Those of evaluation come after.
        for replica, file in enumerate(files):
            # A fragment may be under way.
            records = records_of(file)[: len(algorithm.replay_buffer)]
            check_rows(algorithm.replay_buffer, replica, records, spaces)
        if way != "replicas":
            evaluated = algorithm.evaluate()["env_runners"]
            assert evaluated["num_episodes"] == 2
            check_players(algorithm, records, spaces)
    finally:
        algorithm.stop()


def check_players(algorithm: Any, records: list[dict[str, Any]], spaces: Any) -> None:
    """A player sees what the networks saw, whatever its form, and acts within its space."""
    rng = np.random.default_rng(0)
    for agent in AGENTS:
        observation_space, action_space = spaces[agent]
        policy = policy_of(algorithm, agent)
        seen = [record["seen"][agent] for record in records]
        disguises = [disguised(observation_space, copy.deepcopy(one), rng) for one in seen]
        actions = Player(policy).act(disguises)
        assert all(action_space.contains(action) for action in actions)
        with torch.no_grad():
            packed = torch.from_numpy(np.stack([pack(one) for one in seen]))
            flat = policy.act(policy.encode(packed), explore=False)
        expected = decode_actions(action_space, flat, env_units=True).numpy()
        for action, wanted in zip(actions, expected, strict=True):
            np.testing.assert_allclose(pack(action), wanted, atol=1e-5)


@pytest.mark.slow
@settings(
    max_examples=3,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(spaces=SPACES)
def test_an_exported_policy_acts_as_the_player_does(spaces, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    algorithm = make_config(spaces, folder, 0).build_algo()
    try:
        policy = policy_of(algorithm, "a").unwrapped()
    finally:
        algorithm.stop()
    export_program(policy, folder / "program.pt2")
    program = torch.export.load(folder / "program.pt2").module()
    space = spaces["a"][0]
    seen = [space.sample() for _ in range(5)]
    exported = program(torch.from_numpy(np.stack([pack(one) for one in seen]))).numpy()
    for action, wanted in zip(Player(policy).act(seen), exported, strict=True):
        np.testing.assert_allclose(pack(action), wanted, atol=1e-5)
