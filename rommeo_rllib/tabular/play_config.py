"""What a configuration of tabular learners says: the game, how long, the learners' settings.

And the keys of the results that such plays bring.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from pettingzoo import ParallelEnv

from rommeo_rllib import envs
from rommeo_rllib.checks import positive_int
from rommeo_rllib.naming import reject_unknown_keys
from rommeo_rllib.tabular.any_play import AnyPlay
from rommeo_rllib.tabular.learner import TabularLearner

CONVERGED, P_OPTIMUM, REWARD = "converged", "p_optimum", "reward"
"""Keys of a result: share of trials that have converged, mean probability of the optimum, mean
reward of a play over the iteration's episodes."""

RESULT_KEYS = (CONVERGED, P_OPTIMUM, REWARD, "episodes", "plays")
"""All numbers of a result of the trainable's own."""


@dataclasses.dataclass(frozen=True)
class PlayConfig:
    """The part of a trainable's configuration that is not the learner's.

    Attributes:
        game: a name for `rommeo_rllib.envs.make`, or a function without arguments that makes a
            PettingZoo parallel environment.
        game_settings: settings of the game, where it is named.
        trials: number of independent trials that play at once.
        episodes: episodes after which the trainable reports that it is done.
        episodes_per_iteration: episodes between two reports.
        plays_per_episode: plays of an episode, in repeated games.
        optimal_return: best return of an episode, in environments with states that do not say it.
        seed: of learners and game.
    """

    game: str | Callable[[], ParallelEnv] = "climbing_game"
    game_settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    trials: int = 100
    episodes: int = 300
    episodes_per_iteration: int = 25
    plays_per_episode: int = 1
    optimal_return: float | None = None
    seed: int | None = 0

    def __post_init__(self) -> None:
        for name in ("trials", "episodes", "episodes_per_iteration", "plays_per_episode"):
            positive_int(name, getattr(self, name))

    def make_env(self) -> Callable[[], ParallelEnv]:
        """What makes one environment."""
        if callable(self.game):
            return self.game
        return partial(envs.make, self.game, **self.game_settings)


def make_play(
    learner: type[TabularLearner], config: Mapping[str, Any], **changes: Any
) -> tuple[PlayConfig, AnyPlay]:
    """What a trainable's configuration describes.

    Args:
        learner: the class of all agents' learners.
        config: the configuration.
        **changes: of the part of it that is not the learner's, see `PlayConfig`.

    Raises:
        ValueError: on a key that is unknown or a value that is not allowed.
    """
    own = [field.name for field in dataclasses.fields(PlayConfig)]
    theirs = [field.name for field in dataclasses.fields(learner.Settings)]
    # A sweep's own keys begin with two underscores, as for RLlib's algorithms.
    given = [key for key in config if not key.startswith("__")]
    reject_unknown_keys(given, own + theirs, f"config of {learner.name}")
    made = PlayConfig(**{key: config[key] for key in own if key in config} | changes)
    play = AnyPlay(
        made.make_env(),
        learner,
        trials=made.trials,
        plays_per_episode=made.plays_per_episode,
        seed=made.seed,
        optimal_return=made.optimal_return,
        **{key: config[key] for key in theirs if key in config},
    )
    return made, play
