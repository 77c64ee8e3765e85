"""RLlib's episodes and filters with faults mended; what RLlib has made is turned into these."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ray.rllib.connectors.env_to_module import MeanStdFilter
from ray.rllib.env.multi_agent_episode import MultiAgentEpisode

from rommeo_rllib.joint_action.replay.transitions import has_terminated
from rommeo_rllib.joint_action.spaces.agents import AgentID, sorted_agents


class OrderedEpisode(MultiAgentEpisode):
    """An episode that lists its agents in a fixed order.

    RLlib lists them as sets, whose order changes from process to process (PYTHONHASHSEED), and with
    it which agent's action takes which random number.
    """

    # None of its own, so that an episode that RLlib has made can be turned into one of these.
    __slots__ = ()

    def get_agents_that_stepped(self) -> list[AgentID]:
        """Agents with an observation at the latest env step."""
        return sorted_agents(super().get_agents_that_stepped())

    def get_agents_to_act(self) -> list[AgentID]:
        """Agents that are to act next."""
        return sorted_agents(super().get_agents_to_act())

    def add_env_step(self, *args: Any, **kwargs: Any) -> None:
        """Takes a step in; tells agents that terminate from those whose time is up."""
        ongoing = {a for a, episode in self.agent_episodes.items() if not episode.is_done}
        super().add_env_step(*args, **kwargs)
        # RLlib marks all as both where everybody's time is up.
        terminateds, truncateds = kwargs.get("terminateds") or {}, kwargs.get("truncateds") or {}
        for agent, agent_episode in self.agent_episodes.items():
            if agent in ongoing and agent_episode.is_terminated and agent_episode.is_truncated:
                terminated = has_terminated(agent, terminateds, truncateds)
                agent_episode.is_terminated = terminated
                agent_episode.is_truncated = not terminated

    def cut(self, len_lookback_buffer: int = 0) -> OrderedEpisode:
        """The next chunk of this episode; RLlib would make one of its own class."""
        successor = super().cut(len_lookback_buffer)
        successor.__class__ = OrderedEpisode
        # RLlib repeats it for an agent that terminates without a last observation, but forgets it
        # at a cut, and with it the agent's last transition.
        for agent_episode in successor.agent_episodes.values():
            agent_episode._last_added_observation = agent_episode.get_observations(-1)
        return successor


class PerAgentMeanStdFilter(MeanStdFilter):
    """Merges the statistics of several env runners agent by agent.

    RLlib's own insists that all agents observe equal shapes.
    """

    def merge_states(self, states: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """The states of all env runners -> the state that each is to take up."""
        merged: dict[str, Any] = {}
        for agent in states[0]:
            merged = super().merge_states([{agent: state[agent]} for state in states])
        return merged


def mend_filters(connectors: Iterable[Any]) -> None:
    """Turns each `MeanStdFilter` in a pipeline into one that merges agent by agent."""
    for piece in connectors:
        if type(piece) is MeanStdFilter:
            piece.__class__ = PerAgentMeanStdFilter
