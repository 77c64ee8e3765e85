"""Level-based foraging (`lbforaging`), which the extra "foraging" of this package installs.

Agents of different levels walk on a grid and load food; some of it only several of them together
can lift.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
from pettingzoo import ParallelEnv

STEPS_PER_EPISODE = 50


class Foraging(ParallelEnv[str, Any, int]):
    """A game of `lbforaging` as a PettingZoo parallel environment.

    An agent sees where food and players are, and their levels, itself first; it stays, walks in
    four directions or loads. All of a game's rewards sum to at most 1. Time running out is a
    truncation, which `lbforaging` does not tell from an end.

    Args:
        **changes: what `lbforaging`'s `ForagingEnv` takes, besides the defaults here: two players
            on 5 x 5 fields and one piece of food, for which both are needed.
    """

    def __init__(self, **changes: Any):
        try:
            from lbforaging.foraging import ForagingEnv
        except ImportError as error:
            raise ImportError(
                'Foraging needs lbforaging: pip install "rommeo-rllib[foraging]".'
            ) from error
        settings = {
            "players": 2,
            "min_player_level": 1,
            "max_player_level": 2,
            "field_size": (5, 5),
            "min_food_level": 1,
            "max_food_level": None,
            "max_num_food": 1,
            "sight": 5,
            "max_episode_steps": STEPS_PER_EPISODE,
            "force_coop": True,
            **changes,
        }
        self.game = ForagingEnv(**settings)
        self.metadata = {"name": "foraging"}
        self.possible_agents = [f"player_{number}" for number in range(settings["players"])]

    def observation_space(self, agent: str) -> gym.Space:
        """Food's and players' places and levels."""
        return self.game.observation_space[self.possible_agents.index(agent)]

    def action_space(self, agent: str) -> gym.Space:
        """Stay, four directions, load."""
        return self.game.action_space[self.possible_agents.index(agent)]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """Players and food at random places."""
        self.agents = self.possible_agents.copy()
        observations, _ = self.game.reset(seed=seed, options=options)
        seen = dict(zip(self.agents, observations, strict=True))
        return seen, {agent: {} for agent in self.agents}

    def step(
        self, actions: Mapping[str, int]
    ) -> tuple[
        dict[str, Any],
        dict[str, float],
        dict[str, bool],
        dict[str, bool],
        dict[str, dict[str, Any]],
    ]:
        """Everybody at once."""
        told = [int(actions[agent]) for agent in self.agents]
        observations, rewards, is_over, *_ = self.game.step(told)
        food_is_left = bool(self.game.field.any())
        acting = self.agents
        if is_over:
            self.agents = []
        return (
            dict(zip(acting, observations, strict=True)),
            dict(zip(acting, rewards, strict=True)),
            dict.fromkeys(acting, is_over and not food_is_left),
            dict.fromkeys(acting, is_over and food_is_left),
            {agent: {} for agent in acting},
        )
