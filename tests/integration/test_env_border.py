"""What environments return, and what they are given, whichever way of sampling is in use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Tuple
from pettingzoo.utils import aec_to_parallel, parallel_to_aec
from ray.rllib.env.multi_agent_env import MultiAgentEnv
from ray.rllib.env.wrappers.pettingzoo_env import PettingZooEnv
from representative import cases
from small import own_policy

from rommeo_rllib import ROMMEOACConfig
from rommeo_rllib.envs.climbing_game import ClimbingGame
from rommeo_rllib.joint_action.replay.buffer import JointReplayBuffer
from rommeo_rllib.joint_action.sampling.env_border import EnvBorder
from rommeo_rllib.joint_action.sampling.env_guard import EnvGuard
from rommeo_rllib.joint_action.sampling.env_runner import JointActionEnvRunner
from rommeo_rllib.pettingzoo_env import PettingZooMultiAgentEnv

pytestmark = pytest.mark.usefixtures("ray_session")

SEEN = Box(-1.0, 1.0, (2,), np.float32)
AGENTS = ("a1", "a2")


class AsTold(MultiAgentEnv):
    """Returns what a test says, in place of what would be right.

    Args:
        config: "observation" and "action", spaces; "at", the step from which on `returned` changes
            what is returned; "returned", a function from what would be right to what is returned.
    """

    def __init__(self, config: Mapping[str, Any]):
        super().__init__()
        self.possible_agents = self.agents = list(AGENTS)
        self.observation_spaces = dict.fromkeys(AGENTS, config.get("observation", SEEN))
        self.action_spaces = dict.fromkeys(AGENTS, config.get("action", Discrete(2)))
        self.at, self.returned = config.get("at", 0), config.get("returned", lambda right: right)
        self.spoils = config.get("spoils", False)
        self.acted: list[dict[str, Any]] = []
        self.time = 0
        for agent in AGENTS:
            self.observation_spaces[agent].seed(0)

    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None):
        self.time = 0
        right = self._observe(), {}
        return self.returned(right) if self.at == 0 else right

    def step(self, action_dict: Mapping[str, Any]):
        self.time += 1
        self.acted.append({agent: _copied(action) for agent, action in action_dict.items()})
        if self.spoils:
            for action in action_dict.values():
                _spoil(action)
        over = {"__all__": self.time == 6}
        right = self._observe(), dict.fromkeys(AGENTS, 1.0), over, {"__all__": False}, {}
        return self.returned(right) if self.time >= self.at > 0 else right

    def _observe(self) -> dict[str, Any]:
        return {agent: self.observation_spaces[agent].sample() for agent in AGENTS}


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(part) for key, part in value.items()}
    return tuple(map(_copied, value)) if isinstance(value, tuple) else np.array(value)


def _spoil(value: Any) -> None:
    if isinstance(value, dict | tuple):
        for part in value.values() if isinstance(value, dict) else value:
            _spoil(part)
    elif isinstance(value, np.ndarray):
        value -= value.dtype.type(1)


def make_config(*, fast: bool = True, checked: bool = True, **env: Any) -> ROMMEOACConfig:
    return (
        ROMMEOACConfig()
        .environment(AsTold, env_config=env, disable_env_checking=not checked)
        .multi_agent(policies=set(AGENTS), policy_mapping_fn=own_policy)
        .training(fast_sampling=fast, num_steps_sampled_before_learning_starts=10_000)
        .rl_module(model_config={"fcnet_hiddens": [4]})
        .debugging(seed=0)
    )


def sampled(config: ROMMEOACConfig, env_steps: int = 20) -> tuple[JointReplayBuffer, list[Any]]:
    """A replay of some steps, and the environments' own records of the actions."""
    runner = JointActionEnvRunner(config=config, worker_index=0)
    (env,) = (env.unwrapped for env in runner.env.envs)
    env.acted.clear()
    buffer = JointReplayBuffer(
        100, env.action_spaces, seed=0, observation_spaces=env.observation_spaces
    )
    for one in runner.sample_joint_steps(num_timesteps=env_steps):
        buffer.add_steps(one) if hasattr(one, "replica") else buffer.add([one])
    runner.stop()
    return buffer, env.acted


both_ways = pytest.mark.parametrize("fast", cases([True, False], [True]), ids=["fast", "stock"])


@both_ways
@pytest.mark.parametrize(
    "action",
    [
        Discrete(3),
        MultiDiscrete([3, 3]),
        MultiBinary(3),
        Box(-np.inf, np.inf, (2,), np.float32),
        Box(-1.0, 1.0, (2,), np.float32),
        Dict({"x": MultiDiscrete([3, 3]), "y": Tuple((Discrete(2), MultiBinary(2)))}),
    ],
    ids=str,
)
def test_an_environment_may_do_anything_with_its_actions(action, fast):
    buffer, acted = sampled(make_config(fast=fast, action=action, spoils=True))
    arrays = buffer.get_state()["arrays"]
    assert len(acted) == len(buffer) == 20
    for index, agent in enumerate(AGENTS):
        stored = arrays[f"{index}/actions"]
        for row, step in zip(stored, acted, strict=True):
            done = step[agent]
            if isinstance(done, dict):
                y = done["y"]
                done = np.concatenate([done["x"].ravel(), y[0].ravel(), y[1].ravel()])
            np.testing.assert_allclose(row, done, atol=1e-6)


def replaced(observation: Any, agent: str = "a2"):
    """What is returned when one agent's observation is another."""
    return lambda right: ({**right[0], agent: observation}, *right[1:])


FIRST = {
    "int16": np.zeros(2, np.int16),
    "bool": np.zeros(2, bool),
    "float16": np.zeros(2, np.float16),
    "float64": np.zeros(2),
    "list": [0, 0],
    "tuple": (0.0, 0.0),
}


@both_ways
@pytest.mark.parametrize("first", FIRST)
def test_the_first_values_type_does_not_decide_what_is_kept(first, fast):
    """Of an agent whose first observation is of another type, later ones keep their fractions."""
    buffer, _ = sampled(make_config(fast=fast, returned=replaced(FIRST[first]), at=0))
    stored = buffer.get_state()["arrays"]["1/obs"]
    assert stored.dtype == np.float32
    assert (stored[1:] % 1 != 0).mean() > 0.5


WRONG_OBSERVATIONS: dict[str, tuple[Any, Any, str]] = {
    "choice out of range": (Discrete(3), 3, "which is none of the choices 0 to 2"),
    "part of a choice": (Discrete(3), 1.7, "which does not fit into int64"),
    "array for a choice": (Discrete(3), np.array([1]), r"which has the shape \(1,\), not \(\)"),
    "another component's": (MultiDiscrete([3, 4]), np.array([3, 0]), r"which has 3 at \[0\]"),
    "short tuple": (Tuple((SEEN, SEEN)), (np.zeros(2),), "which has 1 parts, not 2"),
    "unknown key": (
        Dict({"x": SEEN}),
        {"x": np.zeros(2), "y": 0},
        "which has the unknown key 'y'",
    ),
    "nan in a dict": (Dict({"x": SEEN}), {"x": [np.nan, 0]}, r"its part \['x'\] holds nan"),
    "inf in a list": (SEEN, [float("inf"), 0.0], "which holds inf"),
    "nan as a float": (Box(-1.0, 1.0, (), np.float32), float("nan"), "which holds nan"),
    "another shape": (SEEN, np.zeros(3), r"which has the shape \(3,\), not \(2,\)"),
    "nothing": (SEEN, None, "which is of the type NoneType"),
}


@both_ways
@pytest.mark.parametrize("at", [0, 15])
@pytest.mark.parametrize("case", WRONG_OBSERVATIONS)
def test_an_observation_that_its_space_cannot_hold_is_told_with_who_what_and_where(case, at, fast):
    space, value, said = WRONG_OBSERVATIONS[case]
    call = "step" if at else "reset"

    class Later(AsTold):
        def reset(self, **kwargs):
            kept = getattr(self, "steps", 0)
            answer = super().reset(**kwargs)
            self.steps = kept
            return answer

        def step(self, action_dict):
            self.steps += 1
            answer = super().step(action_dict)
            return replaced(value)(answer) if at and self.steps == at else answer

    returned = (lambda right: right) if at else replaced(value)
    config = make_config(fast=fast, observation=space, returned=returned, checked=at == 0)
    config.environment(Later)
    message = rf"Later: agent 'a2' received the observation .* from {call}\(\); {said}"
    with pytest.raises(ValueError, match=message):
        sampled(config)


def changed(index: int, **values: Any):
    """What is returned when one of the dicts has other values too."""

    def returned(right: tuple[Any, ...]) -> tuple[Any, ...]:
        parts = list(right)
        parts[index] = {**parts[index], **values}
        return tuple(parts)

    return returned


def without(index: int, key: str):
    def returned(right: tuple[Any, ...]) -> tuple[Any, ...]:
        parts = list(right)
        parts[index] = {k: v for k, v in parts[index].items() if k != key}
        return tuple(parts)

    return returned


WRONG_STEPS: dict[str, tuple[Any, str]] = {
    "nan reward": (changed(1, a2=np.nan), "'a2' received the reward nan"),
    "vector reward": (changed(1, a2=np.ones(1)), r"'a2' received the reward array\(\[1.\]\)"),
    "no reward's value": (changed(1, a2=None), "'a2' received the reward None"),
    "text as reward": (changed(1, a2="1"), "'a2' received the reward '1'"),
    "reward beyond float32": (changed(1, a2=1e300), r"'a2' received the reward 1e\+300"),
    "missing reward": (without(1, "a2"), "'a2' acted and received an observation, but no reward"),
    "unknown agent's reward": (changed(1, a9=1.0), "returned rewards for the agent 'a9'"),
    "unknown agent": (changed(0, a9=np.zeros(2)), "returned observations for the agent 'a9'"),
    "flag of no kind": (changed(2, a2="no"), "terminateds with 'no' for 'a2'"),
    "vector as flag": (changed(3, a2=np.zeros(2)), r"truncateds with array\(\[0., 0.\]\) for 'a2'"),
    "no __all__": (without(2, "__all__"), "without the key '__all__'"),
    "four values": (lambda right: right[:4], r"step\(\) returned 4; allowed: \(observations"),
    "no dict": (lambda right: (list(right[0]), *right[1:]), "observations of the type list"),
    "truncated unseen": (
        lambda right: without(0, "a2")(changed(3, a2=True)(right)),
        "'a2' was truncated without a last observation",
    ),
}


@both_ways
@pytest.mark.parametrize("case", WRONG_STEPS)
def test_what_a_step_returns_wrongly_is_told(case, fast):
    returned, said = WRONG_STEPS[case]
    with pytest.raises(ValueError, match=f"AsTold: .*{said}"):
        sampled(make_config(fast=fast, returned=returned, at=3, checked=False))


@pytest.mark.parametrize("case", WRONG_STEPS)
def test_what_a_step_returns_wrongly_is_told_when_the_algorithm_is_built(case):
    returned, said = WRONG_STEPS[case]
    with pytest.raises(ValueError, match=f"^AsTold: .*{said}"):
        make_config(returned=returned, at=1).build_algo()


@both_ways
def test_an_agent_that_comes_back_is_refused(fast):
    class Returning(AsTold):
        def step(self, action_dict):
            observations, rewards, over, *others = super().step(action_dict)
            return observations, rewards, {**over, "a2": self.time == 2}, *others

    config = make_config(fast=fast).environment(Returning)
    with pytest.raises(ValueError, match=r"'a2' received the observation .* after it had ended"):
        sampled(config)


@both_ways
def test_a_first_observation_out_of_bounds_is_refused_unless_the_check_is_off(fast):
    returned = replaced(np.array([0.0, 1.5]))
    with pytest.raises(ValueError, match=r"holds 1.5, outside of the bounds. The declared space"):
        sampled(make_config(fast=fast, returned=returned))
    buffer, _ = sampled(make_config(fast=fast, returned=returned, checked=False))
    assert buffer.get_state()["arrays"]["1/obs"][0].tolist() == [0.0, 1.5]


class Teammates(MultiAgentEnv):
    """Agent "a2" joins at the third step; all are paid from the first one on."""

    def __init__(self, config: Mapping[str, Any]):
        super().__init__()
        self.possible_agents = self.agents = list(AGENTS)
        self.observation_spaces = dict.fromkeys(AGENTS, SEEN)
        self.action_spaces = dict.fromkeys(AGENTS, Discrete(2))

    def reset(self, *, seed=None, options=None):
        self.time = 0
        return self._observe(), {}

    def step(self, action_dict):
        self.time += 1
        over = {"__all__": self.time == 6}
        return self._observe(), dict.fromkeys(AGENTS, 1.0), over, {"__all__": False}, {}

    def _observe(self):
        present = AGENTS if self.time >= 3 else AGENTS[:1]
        return {agent: np.zeros(2, np.float32) for agent in present}


@both_ways
def test_a_teams_reward_may_name_agents_that_have_not_come_yet(fast):
    config = make_config(fast=fast).environment(Teammates)
    runner = JointActionEnvRunner(config=config, worker_index=0)
    runner.sample_joint_steps(num_episodes=2)
    metrics = runner.get_metrics()
    returns = {a: v.peek() for a, v in metrics["agent_episode_returns_mean"].items()}
    runner.stop()
    assert returns == {"a1": 6.0, "a2": 3.0}


@both_ways
def test_an_episode_is_over_when_all_have_ended_whatever_is_said_of_all(fast):
    class Forgetful(AsTold):
        def step(self, action_dict):
            observations, rewards, over, *others = super().step(action_dict)
            ended = over["__all__"]
            return observations, rewards, {"__all__": False, "a1": ended, "a2": ended}, *others

    config = make_config(fast=fast).environment(Forgetful)
    runner = JointActionEnvRunner(config=config, worker_index=0)
    runner.sample_joint_steps(num_episodes=2)
    assert runner.get_metrics()["episode_len_mean"].peek() == 6
    runner.stop()


def test_turns_by_rllibs_wrapper_are_warned_of_once(recwarn):
    def turns(config: Mapping[str, Any]) -> PettingZooEnv:
        return PettingZooEnv(parallel_to_aec(ClimbingGame()))

    config = (
        ROMMEOACConfig()
        .environment(turns)
        .multi_agent(policies={"player_0", "player_1"}, policy_mapping_fn=own_policy)
        .rl_module(model_config={"fcnet_hiddens": [4]})
    )
    for _ in range(2):
        JointActionEnvRunner(config=config, worker_index=0).stop()
    said = [str(w.message) for w in recwarn if "PettingZooMultiAgentEnv" in str(w.message)]
    assert len(said) == 1


def test_a_parallel_environment_is_named_by_its_own_class():
    class Broken(ClimbingGame):
        def step(self, actions):
            _, *others = super().step(actions)
            return dict.fromkeys(actions, 99), *others

    env = PettingZooMultiAgentEnv(Broken())
    EnvBorder(env, EnvGuard(None)).close()
    env.reset()
    with pytest.raises(ValueError, match=r"^Broken: agent 'player_0' received the observation 99"):
        env.step({"player_0": 0, "player_1": 0})


def test_an_environment_with_one_space_for_all_agents_is_told_what_to_give():
    class OneSpace(AsTold):
        def __init__(self, config):
            super().__init__(config)
            self.observation_spaces = self.action_spaces = None
            self.observation_space, self.action_space = SEEN, Discrete(2)

    expected = r"cannot read the spaces of OneSpace .*`observation_spaces` and `action_spaces`"
    with pytest.raises(ValueError, match=expected):
        make_config().environment(OneSpace).build_algo()


def test_an_agent_without_a_space_is_named():
    class Spaceless(AsTold):
        def __init__(self, config):
            super().__init__(config)
            self.possible_agents = [*AGENTS, "a3"]

    with pytest.raises(ValueError, match=r"^Spaceless: agent 'a3' is among its `possible_agents`"):
        make_config().environment(Spaceless).build_algo()


def test_environments_made_anew_are_the_ones_that_are_played():
    config = make_config(returned=changed(1, a1=5.0), at=1)
    algorithm = config.reporting(min_sample_timesteps_per_iteration=30).build_algo()
    try:
        before = algorithm.train()["env_runners"]["agent_episode_returns_mean"]["a1"]
        runner = algorithm.env_runner
        runner.config.environment(env_config={"returned": changed(1, a1=7.0), "at": 1})
        runner.make_env()
        result = algorithm.train()["env_runners"]
    finally:
        algorithm.stop()
    assert before == 30.0
    assert result["episode_return_max"] == 48.0
    assert result["num_env_steps_sampled_lifetime"] == 60


def test_aec_environments_turned_parallel_act_at_once(recwarn):
    env = PettingZooMultiAgentEnv(aec_to_parallel(parallel_to_aec(ClimbingGame())))
    observations, _ = env.reset(seed=0)
    assert set(observations) == {"player_0", "player_1"}
