"""Environments that tell a test exactly what happened in them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from ray.rllib.env.multi_agent_env import MultiAgentEnv
from scripted_episodes import NUM_ACTIONS, WAITING, Script, joint_code

_instances = itertools.count()


class ScriptedEnv(MultiAgentEnv):
    """Plays scripts in turn, and writes down every step.

    Observations are [environment, episode, env step, agent]; rewards say what everybody did, see
    `scripted_episodes`.

    Args:
        config: "scripts", the episodes in turn; "log", a folder for one file an environment;
            "reuses_arrays", whether all of an agent's observations are one array.
    """

    def __init__(self, config: Mapping[str, Any]):
        super().__init__()
        self.scripts: list[Script] = config["scripts"]
        worker = getattr(config, "worker_index", 0)
        self.number = 1000 * worker + next(_instances)
        self.log = Path(config["log"]) / f"{self.number}.jsonl"
        self.possible_agents = self.scripts[0].agents
        self.agents = self.possible_agents
        box = gym.spaces.Box(0.0, 1e6, (4,), np.float32)
        self.observation_spaces = dict.fromkeys(self.agents, box)
        self.action_spaces = dict.fromkeys(self.agents, gym.spaces.Discrete(NUM_ACTIONS))
        self.arrays = {a: np.zeros(4, np.float32) for a in self.agents}
        self.reuses_arrays = config.get("reuses_arrays", False)
        self.episode = -1

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        self.episode += 1
        self.step_number = 0
        self.waiting: dict[str, int] = {}
        return self._observe(), {}

    def step(self, action_dict: Mapping[str, Any]):
        script, begun = self.script, self.step_number
        self.step_number = now = begun + 1
        actions = {agent: int(action) for agent, action in action_dict.items()}
        assert sorted(actions) == sorted(script.acting_at(begun))
        self.waiting.update(dict.fromkeys(actions, begun))
        code = joint_code(actions, self.possible_agents)
        rewards = {a: code if step == begun else WAITING for a, step in self.waiting.items()}
        leaving = {a: end for a, end in script.leaves.items() if end.step == now}
        terminateds = {a: True for a, end in leaving.items() if not end.truncated}
        truncateds = {a: True for a, end in leaving.items() if end.truncated}
        is_last = now == script.length
        if is_last:
            ends = terminateds if script.ending == "terminated" else truncateds
            ends.update({a: True for a in self.waiting if a not in leaving})
        observations = self._observe()
        for agent in list(self.waiting):
            if agent in observations or agent in terminateds or agent in truncateds:
                del self.waiting[agent]
        record = {
            "episode": self.episode,
            "step": begun,
            "actions": actions,
            "rewards": rewards,
            "observed": sorted(observations),
            "terminated": sorted(terminateds),
            "truncated": sorted(truncateds),
            "is_last": is_last,
        }
        with self.log.open("a") as file:
            file.write(json.dumps(record) + "\n")
        terminateds["__all__"] = is_last and script.ending == "terminated"
        truncateds["__all__"] = is_last and script.ending == "truncated"
        return observations, rewards, terminateds, truncateds, {}

    @property
    def script(self) -> Script:
        return self.scripts[self.episode % len(self.scripts)]

    def _observe(self) -> dict[str, np.ndarray]:
        place = (self.number, self.episode, self.step_number)
        observers = self.script.observations_at(self.step_number)
        for agent in observers:
            if not self.reuses_arrays:
                self.arrays[agent] = np.zeros(4, np.float32)
            self.arrays[agent][:] = (*place, ord(agent[-1]))
        return {agent: self.arrays[agent] for agent in observers}


def logged_transitions(log: Path) -> dict[tuple[int, int, int], dict[str, dict[str, Any]]]:
    """What really happened: (environment, episode, env step) -> agent -> its transition.

    A step is left out as long as somebody who acted in it has not seen the outcome.
    """
    steps: dict[tuple[int, int, int], dict[str, dict[str, Any]]] = {}
    waiting: dict[tuple[int, int, str], dict[str, Any]] = {}
    acting: dict[tuple[int, int, int], set[str]] = {}
    for number, record in _records(log):
        place = (number, record["episode"])
        acting[(*place, record["step"])] = set(record["actions"])
        if record["is_last"]:
            would_act = set(record["observed"]) - set(record["terminated"])
            acting[(*place, record["step"] + 1)] = would_act
        for agent, action in record["actions"].items():
            transition = {"action": action, "reward": 0.0, "begun": record["step"]}
            waiting[(*place, agent)] = transition
            steps.setdefault((*place, record["step"]), {})[agent] = transition
        for agent in [a for *where, a in waiting if tuple(where) == place]:
            waiting[(*place, agent)]["reward"] += record["rewards"][agent]
            is_end = agent in record["terminated"] + record["truncated"]
            if agent in record["observed"] or is_end:
                transition = waiting.pop((*place, agent))
                transition["terminated"] = agent in record["terminated"]
                transition["next_step"] = record["step"] + 1
    for (number, episode, _), transition in waiting.items():
        steps.pop((number, episode, transition["begun"]), None)
    for (number, episode, _), acted in steps.items():
        for transition in acted.values():
            # Not written down yet where the log ends.
            transition["next_acting"] = acting.get((number, episode, transition["next_step"]))
    return steps


def _records(log: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for file in sorted(log.iterdir()):
        for line in file.read_text().splitlines():
            yield int(file.stem), json.loads(line)


class PaidPerStepEnv(MultiAgentEnv):
    """One state, two agents, reward 1 a step, whatever they do.

    Args:
        config: "length" of an episode; "ending", "terminated" or "truncated".
    """

    def __init__(self, config: Mapping[str, Any]):
        super().__init__()
        self.length, self.ending = config["length"], config["ending"]
        self.possible_agents = self.agents = ["agent_0", "agent_1"]
        # A time limit is no part of the state, nor seen; a termination must be seen coming.
        self.sees_time = self.ending == "terminated"
        size = self.length + 1 if self.sees_time else 1
        self.observation_spaces = dict.fromkeys(self.agents, gym.spaces.Discrete(size))
        self.action_spaces = dict.fromkeys(self.agents, gym.spaces.Discrete(2))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        self.time = 0
        return self._observe(), {}

    def step(self, action_dict: Mapping[str, Any]):
        self.time += 1
        is_last = self.time == self.length
        terminated, truncated = (is_last and self.ending == e for e in ("terminated", "truncated"))
        return (
            self._observe(),
            dict.fromkeys(self.agents, 1.0),
            {"__all__": terminated},
            {"__all__": truncated},
            {},
        )

    def _observe(self) -> dict[str, int]:
        return dict.fromkeys(self.agents, self.time if self.sees_time else 0)


class AnySpacesEnv(MultiAgentEnv):
    """Random observations of any spaces; refuses actions that are not in theirs.

    Args:
        config: "spaces", for each agent its (observation space, action space); "length" of an
            episode.
    """

    def __init__(self, config: Mapping[str, Any]):
        super().__init__()
        self.length = config.get("length", 5)
        self.possible_agents = self.agents = sorted(config["spaces"])
        self.observation_spaces = {a: s[0] for a, s in config["spaces"].items()}
        self.action_spaces = {a: s[1] for a, s in config["spaces"].items()}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        if seed is not None:
            for agent in self.agents:
                self.observation_spaces[agent].seed(seed)
        self.time = 0
        return self._observe(), {}

    def step(self, action_dict: Mapping[str, Any]):
        for agent, action in action_dict.items():
            if not self.action_spaces[agent].contains(action):
                raise ValueError(f"{agent} did {action!r}, not in {self.action_spaces[agent]}")
        self.time += 1
        rewards = dict.fromkeys(self.agents, 1.0)
        ends = {"__all__": self.time == self.length}
        return self._observe(), rewards, ends, {"__all__": False}, {}

    def _observe(self) -> dict[str, Any]:
        return {agent: self.observation_spaces[agent].sample() for agent in self.agents}


class TeamEnv(MultiAgentEnv):
    """Three agents with Box actions of 1, 2 and 1 dimensions, who see 2, 3 and 2 numbers.

    All are paid alike, the less the further their actions are from what they see.

    Args:
        config: "length" of an episode, after which time is up.
    """

    SIZES = (1, 2, 1)

    def __init__(self, config: Mapping[str, Any]):
        super().__init__()
        self.length = config.get("length", 5)
        self.possible_agents = self.agents = ["agent_0", "agent_1", "agent_2"]
        sizes = dict(zip(self.agents, self.SIZES, strict=True))
        self.observation_spaces = {
            agent: gym.spaces.Box(-1.0, 1.0, (size + 1,), np.float32)
            for agent, size in sizes.items()
        }
        self.action_spaces = {
            agent: gym.spaces.Box(-2.0, 2.0, (size,), np.float32) for agent, size in sizes.items()
        }

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        if seed is not None:
            self.rng = np.random.default_rng(seed)
        self.time = 0
        return self._observe(), {}

    def step(self, action_dict: Mapping[str, Any]):
        seen = self.observations
        misses = [np.abs(seen[a][:-1] - action_dict[a]).sum() for a in self.agents]
        self.time += 1
        return (
            self._observe(),
            dict.fromkeys(self.agents, -float(np.sum(misses))),
            {"__all__": False},
            {"__all__": self.time == self.length},
            {},
        )

    def _observe(self) -> dict[str, np.ndarray]:
        self.observations = {
            agent: self.rng.uniform(-1.0, 1.0, space.shape).astype(np.float32)
            for agent, space in self.observation_spaces.items()
        }
        return self.observations
