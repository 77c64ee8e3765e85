"""The border between environments and everything else here.

Each observation, action, reward and flag crosses it, whichever way of sampling is in use: it is
converted to what the declared space says, checked and copied, so that neither side can change what
the other one keeps. What cannot cross raises an error that names environment, agent and value.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Set
from typing import Any

import gymnasium as gym
import numpy as np
from pettingzoo import AECEnv, ParallelEnv
from ray.rllib.env.multi_agent_env import MultiAgentEnv
from ray.rllib.env.wrappers.pettingzoo_env import PettingZooEnv
from ray.util.debug import log_once

from rommeo_rllib.joint_action.sampling.env_guard import EnvGuard
from rommeo_rllib.joint_action.spaces.agents import AgentID, sorted_agents
from rommeo_rllib.joint_action.spaces.conversion import Convert, Misfit, check_bounds, converter
from rommeo_rllib.kept_state import keeps_state
from rommeo_rllib.naming import shown

FULLY_CHECKED_CALLS = 10
"""Calls of an environment whose observations are also held against the bounds of their spaces."""

_ALL = "__all__"
_FLOAT32 = float(np.finfo(np.float32).max)
_NUMBERS = (float, int, np.floating, np.integer)
_BOOLS = {bool}


class EnvBorder:
    """Stands before one environment.

    Args:
        env: a `MultiAgentEnv`.
        guard: limits how long its calls may take.
        check_bounds: whether the first observations must lie within the bounds of their spaces.
    """

    def __init__(self, env: MultiAgentEnv, guard: EnvGuard, *, check_bounds: bool = True):
        self._env = env
        self._name = _name_of(env)
        self._reset = guard.timed(env.reset, "reset")
        self._step = guard.timed(env.step, "step")
        self._agents = frozenset(env.possible_agents or ())
        self._agents_and_all = self._agents | {_ALL}
        self._observations = _Crossing(
            self._name, "observation", self._agents, env.get_observation_space
        )
        self._actions = _Crossing(self._name, "action", self._agents, env.get_action_space)
        self._full_checks_left = FULLY_CHECKED_CALLS if check_bounds else 0
        # Of the present episode: who has had an observation, who has ended, and who has acted and
        # waits for an observation.
        self._members: set[AgentID] = set()
        self._ended: set[AgentID] = set()
        self._waiting: set[AgentID] = set()

    def close(self) -> None:
        """Puts itself in the place of the environment's `reset` and `step`."""
        self._env.reset, self._env.step = self.reset, self.step

    @property
    def name(self) -> str:
        """What messages call the environment."""
        return self._name

    @property
    def keeps_state(self) -> bool:
        """Whether the environment's class defines `get_state` and `set_state`."""
        return keeps_state(self._env)

    def get_state(self) -> dict[str, Any] | None:
        """The state of the environment and of its episode; None if it does not keep one."""
        state = self._env.get_state() if self.keeps_state else None
        if state is None:
            return None
        return {"env": state, "episode": (self._members, self._ended, self._waiting)}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Takes up a state of :meth:`get_state`."""
        self._env.set_state(state["env"])
        self._members, self._ended, self._waiting = map(set, state["episode"])

    def try_out(self) -> None:
        """Resets the environment and steps it once with actions drawn at random, as RLlib does.

        Raises:
            ValueError: for what cannot cross.
        """
        observations, _ = self.reset(seed=42, options={})
        self.step({agent: self._env.get_action_space(agent).sample() for agent in observations})

    def reset(self, *args: Any, **kwargs: Any) -> tuple[dict[AgentID, Any], dict[AgentID, Any]]:
        """The environment's `reset`."""
        answer = self._reset(*args, **kwargs)
        observations, infos = self._unpacked(answer, "reset", 2)
        self._members, self._ended, self._waiting = set(), set(), set()
        received = self._receive(observations, "reset")
        self._members.update(received)
        return received, infos or {}

    def step(self, action_dict: Mapping[AgentID, Any]) -> tuple[dict[AgentID, Any], ...]:
        """The environment's `step`."""
        sent = self._actions.converted(action_dict, "")
        answer = self._step(sent)
        if type(answer) is not tuple or len(answer) != 5:
            answer = self._unpacked(answer, "step", 5)
        observations, rewards, terminateds, truncateds, infos = answer
        received = self._receive(observations, "step")
        paid = self._paid(rewards)
        terminated = self._flags(terminateds, "terminateds")
        truncated = self._flags(truncateds, "truncateds")
        if _ALL not in terminated:
            raise ValueError(
                f"{self._name}: step() returned terminateds {shown(terminateds)} without the key "
                f"{_ALL!r}, which says whether the episode is over for all agents."
            )
        if _ALL not in truncated:
            truncated = {**truncated, _ALL: False}
        self._check_outcome(sent.keys(), received, paid, truncated)
        if True in terminated.values() or True in truncated.values():
            terminated, truncated = self._ended_now(received, terminated, truncated)
        if len(self._members) < len(self._agents):
            self._members.update(received)
        if self._waiting or not received.keys() >= sent.keys():
            self._waiting = (self._waiting | sent.keys()) - received.keys() - self._ended
        return received, paid, terminated, truncated, infos or {}

    def _ended_now(
        self,
        received: Mapping[AgentID, Any],
        terminated: dict[AgentID, bool],
        truncated: dict[AgentID, bool],
    ) -> tuple[dict[AgentID, bool], dict[AgentID, bool]]:
        """Takes down who has ended; the flags, by which the episode is over if nobody is left."""
        flags = (*terminated.items(), *truncated.items())
        ended = {agent for agent, flag in flags if flag}
        is_over = terminated[_ALL] or truncated[_ALL]
        if not is_over and self._members and self._members <= self._ended | ended:
            # RLlib's episodes are over once all have ended who ever took part.
            for agent in received.keys() - self._members:
                raise ValueError(
                    f"{self._name}: agent {agent!r} joined in the step() at which all others had "
                    "ended; RLlib's episodes end there. Let it join before the last one ends."
                )
            terminates = any(terminated.get(agent, False) for agent in self._members)
            terminated = {**terminated, _ALL: terminates}
            truncated = {**truncated, _ALL: not terminates}
        self._ended |= ended & (self._members | received.keys())
        return terminated, truncated

    def _unpacked(self, answer: Any, call: str, length: int) -> tuple[Any, ...]:
        if not isinstance(answer, tuple | list) or len(answer) != length:
            parts = len(answer) if isinstance(answer, tuple | list) else type(answer).__name__
            names = "observations, infos"
            if length > 2:
                names = "observations, rewards, terminateds, truncateds, infos"
            raise ValueError(f"{self._name}: {call}() returned {parts}; allowed: ({names}).")
        return tuple(answer)

    def _receive(self, observations: Any, call: str) -> dict[AgentID, Any]:
        self._check_agents(observations, call, "observations", self._agents)
        received = self._observations.converted(observations, call)
        if self._full_checks_left:
            self._full_checks_left -= 1
            for agent, observation in received.items():
                self._observations.check_bounds(agent, observation, call)
        return received

    def _paid(self, rewards: Any) -> dict[AgentID, float]:
        self._check_agents(rewards, "step", "rewards", self._agents)
        return {agent: self._reward(agent, reward) for agent, reward in rewards.items()}

    def _reward(self, agent: AgentID, reward: Any) -> float:
        number = reward
        if type(reward) is not float:
            is_number = isinstance(reward, _NUMBERS) or _is_scalar(reward)
            number = float(reward) if is_number else math.nan
        if not -_FLOAT32 <= number <= _FLOAT32:
            raise ValueError(
                f"{self._name}: agent {agent!r} received the reward {shown(reward)} from step(); "
                "rewards must be finite numbers."
            )
        return number

    def _flags(self, flags: Any, name: str) -> dict[AgentID, bool]:
        self._check_agents(flags, "step", name, self._agents_and_all)
        if set(map(type, flags.values())) <= _BOOLS:
            return flags
        return {agent: self._flag(agent, flag, name) for agent, flag in flags.items()}

    def _flag(self, agent: AgentID, flag: Any, name: str) -> bool:
        if not (_is_scalar(flag) and flag in (0, 1)):
            raise ValueError(
                f"{self._name}: step() returned {name} with {shown(flag)} for {agent!r}; "
                "allowed: True or False."
            )
        return bool(flag)

    def _check_agents(
        self, by_agent: Any, call: str, name: str, allowed: frozenset[AgentID]
    ) -> None:
        if type(by_agent) is not dict and not isinstance(by_agent, Mapping):
            raise ValueError(
                f"{self._name}: {call}() returned {name} of the type {type(by_agent).__name__}; "
                "allowed: a dict by agent."
            )
        if not allowed.issuperset(by_agent):
            unknown = min(by_agent.keys() - allowed, key=str)
            raise ValueError(
                f"{self._name}: {call}() returned {name} for the agent {unknown!r}; its "
                f"`possible_agents` are {sorted_agents(self._agents)}."
            )

    def _check_outcome(
        self,
        acted: Set[AgentID],
        observations: Mapping[AgentID, Any],
        rewards: Mapping[AgentID, float],
        truncateds: Mapping[AgentID, bool],
    ) -> None:
        """What RLlib's episodes refuse, for both ways of sampling alike."""
        if self._ended:
            for name, by_agent in (("observation", observations), ("reward", rewards)):
                for agent in self._ended & by_agent.keys():
                    raise ValueError(
                        f"{self._name}: agent {agent!r} received the {name} "
                        f"{shown(by_agent[agent])} from step() after it had ended; an agent that "
                        "has ended takes no part in the rest of the episode."
                    )
        for agent in () if rewards.keys() >= acted else acted - rewards.keys():
            if agent in observations:
                raise ValueError(
                    f"{self._name}: agent {agent!r} acted and received an observation, but no "
                    "reward, from step(); give 0.0 where there is none."
                )
        if True in truncateds.values():
            for agent in self._waiting | acted:
                is_truncated = truncateds.get(agent, False) or truncateds[_ALL]
                if is_truncated and agent not in observations:
                    raise ValueError(
                        f"{self._name}: agent {agent!r} was truncated without a last observation "
                        "from step(), which its value after the episode's end is estimated from."
                    )


def warn_of_turns(env: Any) -> None:
    """Warns, once a process, of RLlib's wrapper for turn-based games around several agents."""
    is_wrapped = isinstance(env, PettingZooEnv) and len(env.possible_agents) > 1
    if is_wrapped and log_once("rommeo_rllib_turns"):
        warnings.warn(
            f"{_name_of(env)} is wrapped into RLlib's PettingZooEnv, in which agents never act at "
            "once: there is nobody to model, and what is reported of opponent models stays 0. Give "
            "a parallel environment to rommeo_rllib.PettingZooMultiAgentEnv instead.",
            stacklevel=2,
        )


class _Crossing:
    """Converts the observations, or the actions, of each agent of an environment."""

    def __init__(
        self,
        env: str,
        field: str,
        agents: Iterable[AgentID],
        space_of: Callable[[AgentID], gym.Space],
    ):
        self._env, self._field, self._space_of = env, field, space_of
        self._converters: dict[AgentID, Convert] = {}
        for agent in agents:
            try:
                self._converters[agent] = converter(space_of(agent))
            except (AttributeError, KeyError, TypeError):
                raise ValueError(
                    f"{env}: agent {agent!r} is among its `possible_agents`, but has no {field} "
                    f"space; give each of them one in `{field}_spaces`."
                ) from None

    def converted(self, by_agent: Mapping[AgentID, Any], call: str) -> dict[AgentID, Any]:
        """The values, converted.

        Args:
            by_agent: one of each agent.
            call: the method that they came from, "" for what is sent.
        """
        values, converters = {}, self._converters
        try:
            for agent, value in by_agent.items():
                values[agent] = converters[agent](value)
        except Misfit as misfit:
            raise self._error(agent, value, call, misfit) from None
        return values

    def check_bounds(self, agent: AgentID, value: Any, call: str) -> None:
        """Raises a ValueError if a converted value is outside of its space's bounds."""
        try:
            check_bounds(self._space_of(agent), value)
        except Misfit as misfit:
            error = self._error(agent, value, call, misfit)
            raise ValueError(
                f"{error} Let the space say what is returned, or switch this check off by "
                "`.environment(disable_env_checking=True)`."
            ) from None

    def _error(self, agent: AgentID, value: Any, call: str, misfit: Misfit) -> ValueError:
        did = f"received the {self._field} {shown(value)} from {call}()" if call else ""
        did = did or f"was to do the {self._field} {shown(value)}"
        where = f"its part {misfit.path}" if misfit.path else "which"
        return ValueError(
            f"{self._env}: agent {agent!r} {did}; {where} {misfit.reason}. "
            f"The declared space is {shown(self._space_of(agent))}."
        )


def _name_of(env: Any) -> str:
    """The class of the environment, of PettingZoo's within a wrapper if it is one."""
    inner = getattr(env, "env", None) or getattr(env, "par_env", None)
    return type(inner.unwrapped if isinstance(inner, ParallelEnv | AECEnv) else env).__name__


def _is_scalar(value: Any) -> bool:
    return np.ndim(value) == 0 and np.asarray(value).dtype.kind in "biuf"
