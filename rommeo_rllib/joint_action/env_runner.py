"""RLlib's multi-agent env runner, made reproducible."""

from __future__ import annotations

from typing import Any

from ray.rllib.env.multi_agent_env_runner import MultiAgentEnvRunner
from ray.rllib.env.multi_agent_episode import MultiAgentEpisode

from rommeo_rllib.joint_action.spaces import AgentID, sorted_agents


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

    def cut(self, len_lookback_buffer: int = 0) -> OrderedEpisode:
        """The next chunk of this episode; RLlib would make one of its own class."""
        successor = super().cut(len_lookback_buffer)
        successor.__class__ = OrderedEpisode
        # RLlib repeats it for an agent that terminates without a last observation, but forgets it
        # at a cut, and with it the agent's last transition.
        for agent_episode in successor.agent_episodes.values():
            agent_episode._last_added_observation = agent_episode.get_observations(-1)
        return successor


class JointActionEnvRunner(MultiAgentEnvRunner):
    """Samples :class:`OrderedEpisode`s, so that the same seed gives the same actions."""

    def _new_episode(self, env_index: int, episodes: list[Any] | None = None) -> None:
        episodes = self._ongoing_episodes if episodes is None else episodes
        super()._new_episode(env_index, episodes)
        episodes[env_index].__class__ = OrderedEpisode
