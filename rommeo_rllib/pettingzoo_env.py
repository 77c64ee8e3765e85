"""Any PettingZoo parallel environment as a `MultiAgentEnv` of RLlib's new API stack.

RLlib's own `ParallelPettingZooEnv` takes its agents from a set (their order changes with
PYTHONHASHSEED), cannot render, leaves `observation_spaces` and `action_spaces` unset, and never
ends an episode in which some agents terminate and others are truncated. This wrapper mends that.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import gymnasium as gym
from pettingzoo import ParallelEnv
from ray.rllib.env.multi_agent_env import MultiAgentEnv

from rommeo_rllib.kept_state import keeps_state

AgentDict = dict[Any, Any]
_ALL = "__all__"
# RLlib's key for infos that belong to no agent.
_COMMON = "__common__"


class PettingZooMultiAgentEnv(MultiAgentEnv):
    """A PettingZoo parallel environment for RLlib.

    Agents keep the order of the environment's `possible_agents`. An agent that has ended is left
    out of all later dicts, and no action of its is passed on. When no agent is left, the episode
    ends: as a truncation if every agent was truncated only, else as a termination.

    RLlib's `MultiAgentEpisode` then calls every agent that ended in the last step terminated, but
    each agent's own truncation flag stays right: "terminated and not truncated" says that there is
    no value to bootstrap from.

    Attributes:
        env: The PettingZoo environment.
        possible_agents: All agents that may appear, in the environment's order.
        agents: The agents that the last `reset()` or `step()` reported on; those that ended in
            that very step are still among them, as RLlib's check of environments expects.
        observation_spaces: Each possible agent's observation space.
        action_spaces: Each possible agent's action space.

    Args:
        env: A parallel environment, or a function without arguments that makes one.

    Raises:
        ValueError: If this is no PettingZoo parallel environment.
    """

    def __init__(self, env: ParallelEnv | Callable[[], ParallelEnv]) -> None:
        super().__init__()
        self.env = _parallel_env(env)
        # RLlib's vector env writes into `metadata`: into a copy, then.
        self.metadata = dict(getattr(self.env, "metadata", None) or {})
        self.render_mode = getattr(self.env, "render_mode", None)
        self.possible_agents = self._find_possible_agents()
        self.agents = self.possible_agents.copy()
        observation_spaces: list[tuple[Any, gym.Space]] = [
            (a, self.env.observation_space(a)) for a in self.possible_agents
        ]
        action_spaces: list[tuple[Any, gym.Space]] = [
            (a, self.env.action_space(a)) for a in self.possible_agents
        ]
        self.observation_spaces = dict(observation_spaces)
        self.action_spaces = dict(action_spaces)
        # From pairs, because gymnasium sorts the keys of a dict: "player_10" would precede
        # "player_2".
        self.observation_space = gym.spaces.Dict(observation_spaces)
        self.action_space = gym.spaces.Dict(action_spaces)

        self._alive: list[Any] = []
        # For each agent that has ended in this episode: whether it was truncated only.
        self._truncated_only: dict[Any, bool] = {}
        self._step = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[AgentDict, AgentDict]:
        """Begin an episode.

        Args:
            seed: Passed to the environment.
            options: Passed to the environment.

        Returns:
            Observations and infos by agent.
        """
        super().reset(seed=seed, options=options)
        observations, infos = self.env.reset(seed=seed, options=options)
        self._truncated_only = {}
        self._step = 0
        self._alive = self._in_order(self.env.agents)
        self.agents = self._alive.copy()
        return _only(self.agents, observations), self._sort_infos(infos or {})

    def step(  # RLlib departs from gymnasium here, too.
        self, action_dict: Mapping[Any, Any]
    ) -> tuple[AgentDict, AgentDict, AgentDict, AgentDict, AgentDict]:
        """Step the environment once.

        Args:
            action_dict: Actions by agent. Those of agents that have ended are ignored.

        Returns:
            Observations, rewards, terminateds, truncateds and infos by agent; terminateds and
            truncateds also have the key "__all__", at most one of which is True.

        Raises:
            ValueError: If a reward is NaN, infinite or no number, if an agent is unknown, or if an
                agent vanishes from the environment's `agents` neither terminated nor truncated.
        """
        self._step += 1
        observations, rewards, terminations, truncations, infos = self.env.step(
            {agent: action_dict[agent] for agent in self._alive if agent in action_dict}
        )
        present = self._in_order(self.env.agents)
        ended = self._truncated_only
        # Those that were alive before this step, and those that joined in it.
        members = {*self._alive, *present} - ended.keys()
        reported = [agent for agent in self.possible_agents if agent in members]
        checked_rewards = self._check_rewards(reported, rewards)
        terminateds = {agent: bool(terminations.get(agent, False)) for agent in reported}
        truncateds = {agent: bool(truncations.get(agent, False)) for agent in reported}

        for agent in reported:
            if terminateds[agent] or truncateds[agent]:
                ended[agent] = not terminateds[agent]
            elif agent not in present:
                raise ValueError(
                    f"agent {agent!r} vanished from agents={present} at step {self._step}; "
                    "an agent that leaves must be terminated or truncated."
                )
        self._alive = [agent for agent in reported if agent not in ended]
        self.agents = reported
        is_over = not self._alive
        all_truncated = all(ended.values())
        terminateds[_ALL] = is_over and not all_truncated
        truncateds[_ALL] = is_over and all_truncated
        return (
            _only(reported, observations),
            checked_rewards,
            terminateds,
            truncateds,
            self._sort_infos(infos or {}),
        )

    def get_state(self) -> dict[str, Any] | None:
        """The present state, to continue from; None if the environment keeps none.

        It does if its class defines `get_state()` and `set_state(state)`.
        """
        if not keeps_state(self.env):
            return None
        return {
            "env": self.env.get_state(),
            "alive": list(self._alive),
            "agents": list(self.agents),
            "truncated_only": dict(self._truncated_only),
            "step": self._step,
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Takes up a state of `get_state()`."""
        self.env.set_state(state["env"])
        self._alive, self.agents = list(state["alive"]), list(state["agents"])
        self._truncated_only, self._step = dict(state["truncated_only"]), state["step"]

    def render(self) -> Any:
        """Whatever the environment's own `render()` returns."""
        return self.env.render()

    def close(self) -> None:
        """Close the environment."""
        self.env.close()

    def _find_possible_agents(self) -> list[Any]:
        agents = getattr(self.env, "possible_agents", None)
        if not agents:
            # An environment that does not tell must be started to see who is there.
            self.env.reset()
            agents = self.env.agents
        # The order of a set of strings changes from process to process.
        return sorted(agents, key=str) if isinstance(agents, set | frozenset) else list(agents)

    def _in_order(self, agents: Iterable[Any]) -> list[Any]:
        present = set(agents)
        unknown = present.difference(self.possible_agents)
        if unknown:
            raise ValueError(
                f"unknown agents {sorted(unknown, key=str)} at step {self._step}; "
                f"possible_agents are {self.possible_agents}."
            )
        return [agent for agent in self.possible_agents if agent in present]

    def _sort_infos(self, infos: Mapping[Any, Any]) -> AgentDict:
        """The infos of `agents`, and under RLlib's common key those that belong to no agent at all.

        PettingZoo allows infos under any key, RLlib's check of environments does not.
        """
        own = _only(self.agents, infos)
        others = {key: info for key, info in infos.items() if key not in self.possible_agents}
        return {**own, _COMMON: others} if others else own

    def _check_rewards(self, reported: list[Any], rewards: Mapping[Any, Any]) -> dict[Any, float]:
        """The rewards of the `reported` agents, as floats in their order."""
        for agent, reward in rewards.items():
            if agent not in self.possible_agents:
                raise ValueError(
                    f"reward {reward!r} at step {self._step} is for the unknown agent {agent!r}; "
                    f"possible_agents are {self.possible_agents}."
                )
        return {
            agent: self._check_reward(agent, rewards[agent])
            for agent in reported
            if agent in rewards
        }

    def _check_reward(self, agent: Any, reward: Any) -> float:
        if type(reward) is float and math.isfinite(reward):
            return reward
        try:
            value = float(reward)
        except (TypeError, ValueError):
            value = math.nan
        if not math.isfinite(value):
            raise ValueError(
                f"reward of agent {agent!r} at step {self._step} is {reward!r}; "
                "rewards must be finite numbers."
            )
        return value


def _parallel_env(env: ParallelEnv | Callable[[], ParallelEnv]) -> ParallelEnv:
    made = env if isinstance(env, ParallelEnv) or not callable(env) else env()
    # Wrappers of other libraries need not inherit from PettingZoo's class; they must act like it.
    methods = ("reset", "step", "observation_space", "action_space")
    missing = [method for method in methods if not callable(getattr(made, method, None))]
    if missing or hasattr(made, "agent_selection"):
        raise ValueError(
            f"env must be a PettingZoo parallel environment or a function that makes one, "
            f"got {made!r}. Turn a turn-based one into one by pettingzoo.utils.aec_to_parallel()."
        )
    return made


def _only(agents: list[Any], values: Mapping[Any, Any]) -> AgentDict:
    """The `agents`' own entries of `values`, in their order."""
    return {agent: values[agent] for agent in agents if agent in values}
