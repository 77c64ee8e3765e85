"""What Figure 1 of the paper is made from: tabular learners that play the climbing game."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rommeo_rllib.envs import ClimbingGame
from rommeo_rllib.reporting.statistics import bootstrap_mean, first_for_good, success_rate
from rommeo_rllib.tabular import LEARNERS, History, PayoffPlay, converged, make_learners
from rommeo_rllib.tuned_configs import tabular


def tuned_settings() -> dict[str, dict[str, Any]]:
    """The settings that tuning found on the climbing game, by the learner's name."""
    return {
        configuration.learner.name: dict(configuration.settings)
        for name, configuration in tabular().items()
        if name.startswith("climbing_game/")
    }


def play(
    name: str,
    settings: Mapping[str, Any],
    *,
    trials: int,
    episodes: int,
    plays: int,
    seed: int,
    on_episode: Callable[[], object],
) -> History:
    """A learner's trials of the climbing game; of ROMMEO-Q's all policies and models are kept."""
    game = ClimbingGame()
    n_actions = [int(game.action_space(agent).n) for agent in game.possible_agents]
    learners = make_learners(LEARNERS[name], n_actions, trials=trials, seed=seed, **settings)
    played = PayoffPlay(game.payoff, learners, plays_per_episode=plays, trace=name == "ROMMEO-Q")
    return played.run(episodes, on_episode)


def table(
    histories: Mapping[str, History], settings: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """What figure-1.json says of each learner."""
    entries = {}
    for name, history in histories.items():
        success = converged(history)
        mean = history.p_optimum.mean(1)
        entries[name] = {
            "converged": success_rate(int(success.sum()), len(success)).as_dict("rate"),
            "p_optimum": bootstrap_mean(history.p_optimum[-1]).as_dict("mean"),
            "reward": bootstrap_mean(history.rewards[-1]).as_dict("mean"),
            "episodes_to_0.5": _first(mean > 0.5),
            "episodes_to_0.9": _first(mean > 0.9),
            "settings": dict(settings[name]),
        }
    return entries


def lead(history: History) -> dict[str, float | None]:
    """Figure 1c in numbers: when the probability of A passes 0.8, and when it does so for good.

    Medians, over trials and both agents, of episodes from 1; in the opponent models (rho) and in
    the policies that these are about (pi). None where the median trial never gets there.
    """
    medians: dict[str, float | None] = {}
    for key, curves in (("rho", history.opponent_models), ("pi", history.policies)):
        is_above = np.stack([curve[..., 0] > 0.8 for curve in curves], axis=1)
        first = np.where(is_above.any(0), is_above.argmax(0) + 1.0, np.inf)
        stays = first_for_good(is_above) + 1.0
        for what, episodes in (("passes", first), ("stays_above", stays)):
            median = float(np.median(episodes))
            medians[f"{key}_{what}_0.8"] = median if np.isfinite(median) else None
    return medians


def _first(passes: NDArray[np.bool_]) -> int | None:
    """The number, from 1, of the first episode at which the mean over trials passes."""
    return int(passes.argmax()) + 1 if passes.any() else None
