"""The games on which the tabular learners are tuned and compared, and for how long."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

from rommeo_rllib import envs
from rommeo_rllib.tabular import TabularLearner
from rommeo_rllib.tabular.any_play import AnyPlay


@dataclass(frozen=True)
class Game:
    """A game of the comparison.

    Attributes:
        name: the folder of its configurations.
        game: its name for `rommeo_rllib.envs.make`.
        game_settings: its settings.
        title: its name in a table.
        episodes: length of a trial; an episode is one play, or one walk through the grid.
        plays: about how many plays that is, by which schedules are scaled.
    """

    name: str
    game: str
    title: str
    game_settings: dict[str, Any] = field(default_factory=dict)
    episodes: int = 300
    plays: int = 300

    @property
    def third(self) -> int:
        """A third of the episodes."""
        return self.episodes // 3

    def play(
        self, learner: type[TabularLearner], settings: dict[str, Any], trials: int, seed: int
    ) -> AnyPlay:
        """The game with learners of this class, one play an episode."""
        make_env = partial(envs.make, self.game, **self.game_settings)
        return AnyPlay(make_env, learner, trials=trials, seed=seed, **settings)


GAMES = {
    game.name: game
    for game in (
        Game("climbing_game", "climbing_game", "Climbing game"),
        Game("penalty_game", "penalty_game", "Penalty game, k = -100", {"k": -100.0}),
        Game(
            "partially_stochastic_climbing_game",
            "stochastic_climbing_game",
            "Climbing game, partially stochastic",
            {"variant": "partial"},
            episodes=600,
            plays=600,
        ),
        Game(
            "fully_stochastic_climbing_game",
            "stochastic_climbing_game",
            "Climbing game, fully stochastic",
            {"variant": "full"},
            episodes=600,
            plays=600,
        ),
        Game(
            "three_player_climbing_game",
            "three_player_climbing_game",
            "Climbing game, three players",
            episodes=600,
            plays=600,
        ),
        Game("coordination_grid", "coordination_grid", "Coordination grid", plays=1000),
    )
}
