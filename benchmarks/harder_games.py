"""ROMMEO-AC on games harder than the paper's, with one configuration and no tuning per game.

    python benchmarks/harder_games.py
    python benchmarks/harder_games.py --games "3 agents" --episodes 120 --annealing-steps 1000
    python benchmarks/harder_games.py --without-units --games "as printed" --reward-scale 0.01
    python benchmarks/harder_games.py --without-units --resampled --games "3 agents" --episodes 50

The configuration is `max_of_two_quadratics/rommeo_ac`, or that with `without_units`. A seed
succeeds if its greedy return an agent and play at the end is near the optimum's (within 1 in the
games of two hills, above 90 % of the way from the best local optimum in the others). The episode is
that from which on the sampled return stays there. Seeds are replicas in this very process.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from ablations import per_play
from measure import Report, Row, Spread, prepare, progress


@dataclass(frozen=True)
class Game:
    """A game, and above which return it counts as solved.

    Attributes:
        name: as registered.
        settings: its `env_config`.
        solved_above: return of an agent per play.
        agents: their number.
    """

    name: str
    settings: Mapping[str, Any]
    solved_above: float
    agents: int = 2


GAMES = {
    "as printed": Game("max_of_two_quadratics", {"surface": "paper"}, 9.0),
    "the authors' surface": Game("max_of_two_quadratics", {"surface": "authors"}, 9.0),
    "optima at 5 and 2": Game("two_hills", {"optimum": [5.0, 2.0]}, 9.0),
    "optima at 8 and -1": Game("two_hills", {"optimum": [8.0, -1.0]}, 9.0),
    "half as wide": Game("two_hills", {"narrowness": 8.0}, 9.0),
    "3 agents": Game("two_hills", {"agents": 3}, 9.0, 3),
    "4 agents": Game("two_hills", {"agents": 4}, 9.0, 4),
    "noise of 2": Game("two_hills", {"noise": 2.0}, 9.0),
    "noise of 10": Game("two_hills", {"noise": 10.0}, 9.0),
    "shifted by an observed context": Game("two_hills", {"context": 3.0}, 9.0),
    "climbing game": Game("climbing_game", {}, 10.6),
    "climbing game, partially stochastic": Game(
        "stochastic_climbing_game", {"variant": "partial"}, 10.6
    ),
    "climbing game, fully stochastic": Game("stochastic_climbing_game", {"variant": "full"}, 10.6),
    "penalty game, k = -30": Game("penalty_game", {"k": -30.0}, 9.2),
    "penalty game, k = -100": Game("penalty_game", {"k": -100.0}, 9.2),
    "three-player climbing game": Game("three_player_climbing_game", {}, 10.6, 3),
}
PLAYS_EVALUATED = 200


@dataclass(frozen=True)
class Settings:
    """What is run.

    Attributes:
        games: keys of `GAMES`; all of them by default.
        seeds: replicas of each.
        episodes: length of a run in episodes of 25 plays.
        annealing_steps: env steps in which alpha and the KL weight fall; None as configured.
        without_units: alpha and the KL weight as `ROMMEOACConfig.without_units` says.
        resampled: `opponent_model="importance_sampling"`.
        reward_scale: rewards are multiplied by this.
        reward_offset: and this is added.
        json: where to write the results.
    """

    games: tuple[str, ...] = tuple(GAMES)
    seeds: int = 100
    episodes: int = 30
    annealing_steps: int | None = None
    without_units: bool = False
    resampled: bool = False
    reward_scale: float = 1.0
    reward_offset: float = 0.0
    json: Path | None = None


def main(settings: Settings) -> None:
    """Trains on all games, one after the other."""
    prepare()
    from rommeo_rllib.experiments.ray_session import quiet_ray

    report = Report("harder_games", "ROMMEO-AC on harder games, one configuration for all")
    with quiet_ray(), progress("harder games", len(settings.games)) as done:
        for name in settings.games:
            report.rows.append(run(name, GAMES[name], settings))
            done()
    report.notes.append(f"{settings.seeds} seeds, {settings.episodes} episodes of 25 plays.")
    report.finish(settings.json)


def run(title: str, game: Game, settings: Settings) -> Row:
    """All seeds of one game."""
    from ray.tune.registry import register_env

    from rommeo_rllib.reporting.statistics import bootstrap_mean, first_for_good, success_rate
    from rommeo_rllib.tuned_configs.max_of_two_quadratics import rommeo_ac as tuned

    seeds = settings.seeds
    config = tuned.config.copy(copy_frozen=False).training(replicas=seeds)
    if settings.annealing_steps is not None:
        slower = {"decay_steps": settings.annealing_steps}
        config.training(alpha={**config.alpha, **slower}, kl_coeff={**config.kl_coeff, **slower})
    if settings.without_units:
        config.without_units(25 * settings.episodes)
    if settings.resampled:
        config.training(opponent_model="importance_sampling")
    scale, offset = settings.reward_scale, settings.reward_offset
    register_env("in_other_units", partial(make_game, game.name, scale, offset))
    config.environment("in_other_units")
    # RLlib would add to what the tuned configuration says of its own game.
    config.env_config = {**game.settings, "plays_per_episode": 25}
    config.multi_agent(policies={f"player_{index}" for index in range(game.agents)})
    # Evaluated once, at the end, without noise; in other games of chance over many plays.
    quiet = {"noise": 0.0} if "noise" in game.settings else {}
    evaluated = {**game.settings, **quiet, "plays_per_episode": PLAYS_EVALUATED}
    config.evaluation(evaluation_interval=10**9, evaluation_config={"env_config": evaluated})
    algorithm = config.build_algo()
    begun = time.process_time()
    returns = [per_play(algorithm.train()["env_runners"]) for _ in range(settings.episodes)]
    seconds = time.process_time() - begun
    returns.append(per_play(algorithm.evaluate()["env_runners"]))
    algorithm.stop()
    *_, sampled, greedy = returns = [(r - offset) / scale for r in returns]
    since = first_for_good(np.array(returns[:-1]) > game.solved_above) + 1
    episode = np.sort(since)[[math.ceil(q * seeds) - 1 for q in (0.5, 0.9, 1.0)]]
    success = success_rate(int((greedy > game.solved_above).sum()), seeds)
    return Row(
        {
            "game": title,
            f"solved (greedy) of {seeds}": str(success),
            "greedy return": str(bootstrap_mean(greedy)),
            "sampled return": str(bootstrap_mean(sampled)),
            "episode, 50/90/100 %": "/".join("-" if e == math.inf else f"{e:.0f}" for e in episode),
        },
        {},
        {
            "greedy returns": Spread.of(list(np.sort(greedy))),
            "CPU seconds": Spread.of([seconds]),
        },
    )


def make_game(name: str, scale: float, offset: float, env_config: Any) -> Any:
    """A game whose rewards are in another unit."""
    from rommeo_rllib import PettingZooMultiAgentEnv, envs

    game = envs.make(name, **dict(env_config))
    play = game.step

    def step(actions: Any) -> Any:
        observations, rewards, *rest = play(actions)
        return observations, {a: scale * r + offset for a, r in rewards.items()}, *rest

    game.step = step
    return PettingZooMultiAgentEnv(game)


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
