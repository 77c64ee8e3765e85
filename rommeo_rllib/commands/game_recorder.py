"""Records the joint actions of repeated games, for pictures of the learning path."""

from __future__ import annotations

from typing import Any

from ray.rllib.callbacks.callbacks import RLlibCallback

from rommeo_rllib.envs import RepeatedGame

JOINT_ACTIONS = "joint_actions"
"""Result key under `env_runners`: one list an agent, an entry a play of this iteration."""


class GameRecorder(RLlibCallback):
    """Reports every play's actions of each agent, in the environment's own units."""

    def on_episode_end(
        self, *, env: Any, env_index: int, metrics_logger: Any, **kwargs: Any
    ) -> None:
        """Reads the plays from the game before it is reset."""
        game = env.envs[env_index].unwrapped.env
        if not isinstance(game, RepeatedGame):
            return
        for agent, actions in zip(game.possible_agents, game.joint_actions.T, strict=True):
            for action in actions:
                metrics_logger.log_value(
                    (JOINT_ACTIONS, agent), float(action), reduce="item_series"
                )
