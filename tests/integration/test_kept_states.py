"""What of sampling a restored env runner continues, and what begins anew."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from pettingzoo.utils import BaseParallelWrapper
from ray.rllib.env.multi_agent_env import MultiAgentEnv
from small import own_policy

from rommeo_rllib import ROMMEOACConfig
from rommeo_rllib.envs.coordination_grid import CoordinationGrid
from rommeo_rllib.joint_action.sampling.env_runner import JointActionEnvRunner
from rommeo_rllib.pettingzoo_env import PettingZooMultiAgentEnv

AGENTS = ["one", "other"]
LENGTH = 7


class Clock(MultiAgentEnv):
    """Shows its time and a random number; pays 1 a step."""

    def __init__(self, config: Any = None):
        super().__init__()
        self.config = config or {}
        self.possible_agents = self.agents = AGENTS
        space = gym.spaces.Box(0.0, self.config.get("most", 100.0), (2,), np.float32)
        self.observation_spaces = dict.fromkeys(AGENTS, space)
        self.action_spaces = dict.fromkeys(AGENTS, gym.spaces.Discrete(2))
        self.rng, self.time = np.random.default_rng(0), 0

    def reset(self, *, seed: int | None = None, options: Any = None):
        if seed is not None:
            self.rng = np.random.default_rng(seed)
        self.time = 0
        return self._observe(), {}

    def step(self, action_dict: Any):
        self.time += 1
        ends = {"__all__": self.time == LENGTH}
        return self._observe(), dict.fromkeys(AGENTS, 1.0), ends, {"__all__": False}, {}

    def _observe(self) -> dict[str, np.ndarray]:
        return dict.fromkeys(AGENTS, np.array([self.time, self.rng.random()], np.float32))


class StoredClock(Clock):
    """The same, with a state."""

    def get_state(self) -> Any:
        return self.time, self.rng.bit_generator.state

    def set_state(self, state: Any) -> None:
        self.time, self.rng.bit_generator.state = state


class ClockThatCannotBeStored(StoredClock):
    def get_state(self) -> Any:
        return lambda: self.no_such_attribute, iter(())  # What cannot be pickled.


class ClockThatCannotBeRestored(StoredClock):
    def set_state(self, state: Any) -> None:
        raise KeyError("time")


def env_runner(
    env: type = StoredClock, *, fast: bool = True, envs: int = 2, index: int = 1, **env_config: Any
) -> JointActionEnvRunner:
    config = (
        ROMMEOACConfig()
        .environment(env, env_config=env_config)
        .env_runners(num_envs_per_env_runner=envs)
        .multi_agent(policies=set(AGENTS), policy_mapping_fn=own_policy)
        .training(fast_sampling=fast)
        .rl_module(model_config={"fcnet_hiddens": [4]})
        .debugging(seed=3)
    )
    return JointActionEnvRunner(config=config, worker_index=index)


def sample(runner: JointActionEnvRunner, env_steps: int = 20) -> list[np.ndarray]:
    """What player `one` saw, did, and saw next, (steps, 2), (steps,) and (steps, 2)."""
    columns = []
    for steps in runner.sample_joint_steps(num_timesteps=env_steps):
        if isinstance(steps, list) or hasattr(steps, "agent_episodes"):
            one = steps.agent_episodes["one"]
            seen = np.array(one.get_observations())
            columns.append((seen[:-1], np.array(one.get_actions()), seen[1:]))
        else:
            one = steps.agents["one"]
            columns.append((one.obs, one.actions, one.next_obs))
    return [np.concatenate(column) for column in zip(*columns, strict=True)]


def assert_whole(obs: np.ndarray, next_obs: np.ndarray) -> None:
    """Each transition leads from one time to the next."""
    np.testing.assert_array_equal(obs[:, 0] + 1, next_obs[:, 0])


def returns(runner: JointActionEnvRunner) -> list[float]:
    """Those of the episodes that are reported."""
    runner.get_metrics()
    return [episode[1] for episode in runner.get_sampling_state()["recent_episodes"][0]]


def test_an_env_runner_continues_its_episodes_random_numbers_and_reports():
    runner, other = env_runner(), env_runner()
    sample(runner)
    runner.get_metrics()
    sample(other, 9)
    other.set_state(runner.get_state())
    for ours, theirs in zip(sample(runner), sample(other), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert returns(runner) == returns(other)
    assert set(returns(runner)) == {2.0 * LENGTH}


@pytest.mark.parametrize("fast", [True, False], ids=["fast", "stock"])
def test_episodes_of_an_environment_without_a_state_begin_anew_without_a_gap(fast):
    runner, other = (env_runner(Clock, fast=fast) for _ in range(2))
    sample(runner)
    sample(other, 9)
    other.set_state(runner.get_state())
    # Policies' random numbers are continued all the same.
    for policy, stream in runner.get_sampling_state()["noise"].items():
        np.testing.assert_array_equal(stream, other.get_sampling_state()["noise"][policy])
    obs, _, next_obs = sample(other)
    assert (obs[:, 0] == 0).sum() >= 2
    assert_whole(obs, next_obs)
    for _ in range(3):
        sample(other)
    assert set(returns(other)) == {2.0 * LENGTH}


def test_rllibs_way_of_sampling_continues_random_numbers_and_begins_new_episodes():
    runner, other = (env_runner(fast=False, envs=1) for _ in range(2))
    sample(runner, 3 * LENGTH)  # An episode's end.
    sample(other, 9)
    other.set_state(runner.get_state())
    ours, theirs = sample(runner, LENGTH), sample(other, LENGTH)
    for one, another in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, another)
    assert_whole(theirs[0], theirs[2])


@pytest.mark.parametrize(
    "other",
    [
        {"envs": 3},
        {"most": 200.0},
        {"task": np.arange(2)},
        {"env": Clock},
        {"fast": False},
    ],
    ids=lambda other: next(iter(other)),
)
def test_another_environment_is_not_fed_the_state(other, monkeypatch):
    runner, restored = env_runner(), env_runner(**other)
    sample(runner)
    sample(restored, 9)
    monkeypatch.setattr(StoredClock, "set_state", lambda *args: pytest.fail("was fed"))
    restored.set_state(runner.get_state())
    obs, _, next_obs = sample(restored)
    assert_whole(obs, next_obs)
    assert (obs[:, 0] == 0).sum() >= 2


@pytest.mark.parametrize("env", [ClockThatCannotBeStored, ClockThatCannotBeRestored])
def test_an_environment_whose_state_fails_is_named_and_begins_new_episodes(env):
    runner, restored = env_runner(env), env_runner(env)
    sample(runner)
    with pytest.warns(UserWarning, match=rf"{env.__name__}: .et_state\(\) failed .* new episodes"):
        restored.set_state(runner.get_state())
    assert_whole(*sample(restored)[::2])


def test_an_env_runner_does_not_take_over_anothers_random_numbers_and_episodes():
    # RLlib gives one that was started again the state of the local one.
    runner, other = env_runner(index=0), env_runner(index=1)
    sample(runner)
    before = other.get_sampling_state()
    other.set_state(runner.get_state())
    for policy, stream in before["noise"].items():
        np.testing.assert_array_equal(stream, other.get_sampling_state()["noise"][policy])


def test_a_state_of_an_older_version_is_taken_up():
    runner, other = env_runner(), env_runner()
    sample(runner)
    state = runner.get_state()
    del state["env_runner"], state["present_episodes"]
    sample(other, 9)
    other.set_state(state)
    found = other.get_sampling_state()["noise"]
    for policy, stream in state["noise"].items():
        np.testing.assert_array_equal(stream, found[policy])
    assert_whole(*sample(other)[::2])


def test_a_wrapper_that_passes_calls_on_keeps_no_state():
    class Wrapper(BaseParallelWrapper):
        """Would have a state of its own."""

    grid = CoordinationGrid()
    grid.reset()
    assert PettingZooMultiAgentEnv(grid).get_state() is not None
    assert PettingZooMultiAgentEnv(Wrapper(grid)).get_state() is None
