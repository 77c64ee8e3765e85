"""Play that is not self-play: does the learner find the best response, and how fast?

    python benchmarks/mixed_play.py

A learner plays Max of Two Quadratics (as printed) beside a player that always does the same but for
some noise, one that drifts from -5 to 5 and back, or one that learns by DDPG. Each uses its tuned
configuration. Regret is what the learner's greedy action loses against the best response to what
the other one does at that moment, noise aside.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from measure import Report, Row, Spread, prepare, progress

from rommeo_rllib.envs.max_of_two_quadratics import BOUND, max_of_two_quadratics_payoff
from rommeo_rllib.reporting.statistics import bootstrap_mean, success_rate

LEARNERS: dict[str, tuple[str, dict[str, Any]]] = {
    "ROMMEO-AC": ("max_of_two_quadratics/rommeo_ac", {}),
    "ROMMEO-AC, alpha 2 throughout, prior on the latest 128 plays": (
        "max_of_two_quadratics/rommeo_ac",
        {"alpha": 2.0, "prior_window": 128},
    ),
    "DDPG": ("max_of_two_quadratics/ddpg", {}),
}
OTHERS = ("always -5", "always 3", "drifts", "DDPG")
PERIOD = 1500
NOISE = 0.5
SMALL_REGRET = 1.0
GLOBAL_OPTIMUM_ABOVE = 9.0


@dataclass(frozen=True)
class Settings:
    """What is run.

    Attributes:
        learners: keys of `LEARNERS`.
        others: beside whom, of `OTHERS`.
        seeds: of each pair.
        episodes: length of a run in episodes of 25 plays.
        json: where to write the results.
    """

    learners: tuple[str, ...] = tuple(LEARNERS)
    others: tuple[str, ...] = OTHERS
    seeds: int = 10
    episodes: int = 60
    json: Path | None = None


@dataclass(frozen=True)
class Trace:
    """A run, episode by episode: regrets and joint rewards of the greedy actions."""

    regrets: np.ndarray
    rewards: np.ndarray

    @property
    def settled(self) -> float:
        """After how many episodes the regret stays small; infinite if it does not."""
        bad = np.flatnonzero(self.regrets > SMALL_REGRET)
        after = 0 if not bad.size else int(bad[-1]) + 1
        return after + 1 if after < len(self.regrets) else math.inf


def main(settings: Settings) -> None:
    """Trains all pairs, one seed after the other."""
    prepare()
    from rommeo_rllib.experiments.ray_session import quiet_ray

    report = Report("mixed_play", "Beside another kind of player, Max of Two Quadratics as printed")
    pairs = [(learner, other) for learner in settings.learners for other in settings.others]
    with quiet_ray(), progress("mixed play", len(pairs) * settings.seeds) as done:
        for learner, other in pairs:
            traces = []
            for seed in range(settings.seeds):
                traces.append(run(learner, other, seed, settings.episodes))
                done()
            report.rows.append(summary(learner, other, traces))
    report.notes.append(f"{settings.seeds} seeds, {settings.episodes} episodes of 25 plays.")
    report.finish(settings.json)


def summary(learner: str, other: str, traces: list[Trace]) -> Row:
    """One pair's row: how often and when the response is good, and what is lost on the way."""
    settled = [trace.settled for trace in traces]
    # The first third is for learning.
    later = [float(trace.regrets[len(trace.regrets) // 3 :].mean()) for trace in traces]
    ended = [trace.regrets[-1] <= SMALL_REGRET for trace in traces]
    optimal = [trace.rewards[-1] > GLOBAL_OPTIMUM_ABOVE for trace in traces]
    median = float(np.sort(settled)[(len(settled) - 1) // 2])
    return Row(
        {
            "learner": learner,
            "beside": other,
            "best response at the end": str(success_rate(sum(ended), len(traces))),
            "episode": "-" if median == math.inf else f"{median:.0f}",
            "mean regret after a third": str(bootstrap_mean(later)),
            "global optimum at the end": str(success_rate(sum(optimal), len(traces))),
        },
        {},
        {"reward": Spread.of([float(trace.rewards[-1]) for trace in traces])},
    )


def run(learner: str, other: str, seed: int, episodes: int) -> Trace:
    """One seed of a pair."""
    algorithms = {"player_0": build(learner, "player_0", seed)}
    position: Callable[[], float]
    if other == "DDPG":
        # Both algorithms sample 25 plays in turn, beside the other's policy of that moment.
        algorithms["player_1"] = build("DDPG", "player_1", seed)
        sit_down(algorithms["player_1"], "player_0", policy_of(algorithms, "player_0"))
        sit_down(algorithms["player_0"], "player_1", policy_of(algorithms, "player_1"))
        position = functools.partial(greedy, algorithms["player_1"], "player_1")
    else:
        script = Script(other, np.random.default_rng(seed))
        sit_down(algorithms["player_0"], "player_1", script)
        position = script.position
    regrets, rewards = [], []
    try:
        for _ in range(episodes):
            for algorithm in algorithms.values():
                algorithm.train()
            theirs = position()
            rewards.append(reward(greedy(algorithms["player_0"], "player_0"), theirs))
            regrets.append(best_response_reward(theirs) - rewards[-1])
    finally:
        for algorithm in algorithms.values():
            algorithm.stop()
    return Trace(np.array(regrets), np.array(rewards))


def build(name: str, trained: str, seed: int) -> Any:
    """The algorithm that trains one player; who sits on the other chair is still open."""
    from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec
    from ray.rllib.core.rl_module.rl_module import RLModule, RLModuleSpec

    class Chair(RLModule):
        def _forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
            return self.occupant(batch)

    from rommeo_rllib.experiments import configurations

    configuration, changes = LEARNERS[name]
    config = configurations.load(configuration).config.copy(copy_frozen=False)
    config.training(**changes)
    (other,) = {"player_0", "player_1"} - {trained}
    specs = {trained: RLModuleSpec(), other: RLModuleSpec(module_class=Chair)}
    config.rl_module(rl_module_spec=MultiRLModuleSpec(rl_module_specs=specs))
    config.multi_agent(policies_to_train=[trained])
    config.evaluation(evaluation_interval=None)
    return config.debugging(seed=seed).build_algo()


def sit_down(algorithm: Any, player: str, occupant: Callable[[Any], Any]) -> None:
    """From now on `occupant` says what the player does in this algorithm's plays."""
    algorithm.get_module(player).unwrapped().occupant = occupant


def policy_of(algorithms: Mapping[str, Any], player: str) -> Callable[[Any], Any]:
    """Acts as the player's own policy does at that moment, exploration included."""
    return lambda batch: algorithms[player].get_module(player).forward_exploration(batch)


@dataclass
class Script:
    """Does the same always, or drifts; with some noise."""

    other: str
    random: np.random.Generator
    plays: int = 0

    def position(self) -> float:
        """What it does, noise aside."""
        if self.other == "drifts":
            return -5.0 * math.cos(2 * math.pi * self.plays / PERIOD)
        return float(self.other.removeprefix("always "))

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """A play more."""
        rows = len(batch["obs"])
        self.plays += rows
        actions = self.position() + NOISE * self.random.standard_normal((rows, 1))
        return {"actions": (actions / BOUND).clip(-1.0, 1.0).astype(np.float32)}


def greedy(algorithm: Any, player: str) -> float:
    """The player's greedy action, in the game's units."""
    policy = algorithm.get_module(player)
    # There is one state, seen as 1.
    with torch.no_grad():
        action = policy.act(torch.ones(1, policy.observation_size), explore=False)
    return float(action[0, 0]) * BOUND


def reward(own: float, theirs: float) -> float:
    """Of one play."""
    return float(max_of_two_quadratics_payoff(np.array([own, theirs]))[0])


def best_response_reward(theirs: float) -> float:
    """The most that one can get beside `theirs`: the top of one of the two hills' sections."""
    return max(reward(-5.0, theirs), reward(5.0, theirs))


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
