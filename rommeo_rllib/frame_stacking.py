"""A memory of the last observations, for agents that do not see everything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from ray.rllib.connectors.connector_v2 import ConnectorV2
from ray.rllib.env.multi_agent_episode import MultiAgentEpisode
from ray.rllib.env.single_agent_episode import SingleAgentEpisode


class StackFrames(ConnectorV2):
    """Joins each agent's last observations along the last axis, the newest last.

    Unlike RLlib's own `FrameStackingEnvToModule` it rewrites the episodes' observations, so that
    the replay holds what the policy saw. Before an episode's first observation there are zeros.

    Args:
        num_frames: how many observations make one, 1 or more.

    Examples:
        >>> config.env_runners(env_to_module_connector=lambda *args: StackFrames(num_frames=4))
    """

    def __init__(
        self,
        input_observation_space: gym.Space | None = None,
        input_action_space: gym.Space | None = None,
        *,
        num_frames: int,
        **kwargs: Any,
    ):
        if num_frames < 1:
            raise ValueError(f"`num_frames` is {num_frames}; allowed: at least 1.")
        # RLlib asks for the output space in the constructor.
        self.num_frames = num_frames
        super().__init__(input_observation_space, input_action_space, **kwargs)

    def recompute_output_observation_space(
        self, input_observation_space: gym.Space, input_action_space: gym.Space
    ) -> gym.Space:
        """Each agent's Box, as many times as long in its last axis.

        Raises:
            ValueError: if an agent's observations are no Box of at least one axis.
        """
        assert isinstance(input_observation_space, gym.spaces.Dict)
        spaces: dict[Any, gym.Space] = {}
        for agent, space in input_observation_space.spaces.items():
            if not isinstance(space, gym.spaces.Box) or not space.shape:
                raise ValueError(
                    f"Agent {agent!r} has the observation space {space}; allowed for StackFrames: "
                    "Box of at least one axis. Put RLlib's FlattenObservations before it."
                )
            low, high = (
                np.concatenate([bound] * self.num_frames, axis=-1)
                for bound in (np.minimum(space.low, 0), np.maximum(space.high, 0))
            )
            spaces[agent] = gym.spaces.Box(low, high, dtype=space.dtype)  # type: ignore[arg-type]
        return gym.spaces.Dict(spaces)

    def __call__(
        self, *, batch: dict[str, Any], episodes: Sequence[MultiAgentEpisode], **kwargs: Any
    ) -> dict[str, Any]:
        """Replaces the newest observations in the episodes; the batch stays as it is."""
        for episode in self.single_agent_episode_iterator(episodes, agents_that_stepped_only=True):
            stacked_shape = self.observation_space[episode.agent_id].shape
            newest = episode.get_observations(-1)
            # Not one that has been dealt with, for example before a chunk was cut.
            if newest.shape != stacked_shape:
                episode.observation_space = self.observation_space[episode.agent_id]
                episode.set_observations(
                    at_indices=-1, new_data=self._stacked(episode, newest, stacked_shape)
                )
        return batch

    def _stacked(
        self, episode: SingleAgentEpisode, newest: np.ndarray, shape: tuple[int, ...]
    ) -> np.ndarray:
        before = np.zeros(shape, newest.dtype)
        if episode.t > 0:
            before = np.asarray(episode.get_observations(-2))
        return np.concatenate([before, newest], axis=-1)[..., newest.shape[-1] :]
