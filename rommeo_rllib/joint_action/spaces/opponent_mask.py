"""Who else acts: told to policies when they act, as the replay tells them when they learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ray.rllib.connectors.connector_v2 import ConnectorV2
from ray.rllib.env.multi_agent_episode import MultiAgentEpisode

from rommeo_rllib.joint_action.spaces.agents import AgentID

OPPONENT_MASK = "opponent_mask"
"""1 for each opponent that acts at the row's env step, else 0."""

NEXT_OPPONENT_MASK = "next_opponent_mask"
"""1 for each opponent that acts at the agent's own next step, else 0."""


class AddOpponentMask(ConnectorV2):
    """Adds :data:`OPPONENT_MASK` to what an agent is given to act on, (opponents,).

    An agent that does not act at this step (dead, or not its turn) is not to be imagined acting.

    Args:
        modelled: for each agent its opponents, in order.
    """

    def __init__(self, modelled: Mapping[AgentID, Sequence[AgentID]], **kwargs: Any):
        super().__init__(**kwargs)
        self._modelled = modelled

    def __call__(
        self, *, batch: dict[str, Any], episodes: Sequence[MultiAgentEpisode], **kwargs: Any
    ) -> dict[str, Any]:
        """Adds a row for each agent that has an observation."""
        acting = {episode.id_: episode.get_agents_to_act() for episode in episodes}
        # Those that have just ended have an observation, too, and a row in all columns.
        for episode in self.single_agent_episode_iterator(episodes, agents_that_stepped_only=True):
            present = acting[episode.multi_agent_episode_id]
            mask = [opponent in present for opponent in self._modelled[episode.agent_id]]
            self.add_batch_item(batch, OPPONENT_MASK, np.array(mask, np.float32), episode)
        return batch
