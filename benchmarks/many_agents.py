"""The climbing game for 3 to 8 players: local expectations against other ways, and what they cost.

    python benchmarks/many_agents.py
    python benchmarks/many_agents.py --tables worst --ways "importance sampling"
    python benchmarks/many_agents.py --cost

A joint action pays what the worst of its pairs would be paid in the game of two ("worst"), or the
mean of all pairs ("mean"): everybody's A pays 11, everybody's B 7, everybody's C 5, and an A beside
a B is punished. The worst pair hides the optimum among 3^n joint actions, and no other one points
to it; the mean rises towards it once most players have come there.

A seed succeeds if the greedy joint action at the end is the optimum. Seeds are replicas. First all
play at random (`--random-plays`); then alpha falls from 20 to 0.1 and the KL weight from 10 to
`--final-kl-coeff` within two thirds of the other plays, with an update a play.

`--gradients` compares estimates of Eq. 19's gradient instead, at opponent models of random logits
and the true payoffs answered best (alpha 1): 64 samples with their neighbours, and as many joint
actions as these are, each a sample by itself. Bias and root mean squared error over 200 estimates
are shares of the gradient's norm. The leave-one-out baseline needs all samples at one state.

`--cost` prints the CPU time of an env step and its updates, an agent, relative to three players.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import tyro
from ablations import per_play
from measure import MILLISECONDS, Report, Row, Spread, interleave, prepare, progress
from numpy.typing import NDArray

PLAYS_PER_EPISODE = 25
SOLVED_ABOVE = 10.6
ALL = 10**6
LOCAL, STRAIGHT_THROUGH, COUNTED, IMPORTANCE_SAMPLING = WAYS = (
    "local expectations",
    "straight-through",
    "counted",
    "importance sampling",
)
"""How ROMMEO-AC learns of the opponents' joint actions."""


@dataclass(frozen=True)
class Settings:
    """What is run.

    Attributes:
        players: numbers of them.
        tables: "worst" or "mean", how a game's table is made of its pairs.
        ways: of `WAYS`.
        seeds: replicas of each.
        random_plays: before the first update.
        plays: after that.
        final_kl_coeff: the KL weight at the end.
        gradients: compare estimates of the gradient instead.
        cost: measure CPU time instead.
        json: where to write the results.
    """

    players: tuple[int, ...] = (2, 3, 4, 5, 6, 7, 8)
    tables: tuple[str, ...] = ("mean",)
    ways: tuple[str, ...] = (LOCAL, STRAIGHT_THROUGH)
    seeds: int = 16
    random_plays: int = 500
    plays: int = 1000
    final_kl_coeff: float = 0.2
    gradients: bool = False
    cost: bool = False
    json: Path | None = None


def main(settings: Settings) -> None:
    """Trains on all games in all ways, or measures what these cost."""
    prepare()
    from rommeo_rllib.experiments.ray_session import quiet_ray

    report = Report("many_agents", "ROMMEO-AC among many agents with discrete actions")
    if settings.gradients:
        report.rows.extend(
            gradients(table, n) for table in settings.tables for n in settings.players
        )
        report.finish(settings.json)
        return
    with quiet_ray():
        if settings.cost:
            report.rows.extend(costs(settings))
        else:
            runs = list(itertools.product(settings.tables, settings.players, settings.ways))
            with progress("many agents", len(runs)) as done:
                for table, players, way in runs:
                    report.rows.append(run(table, players, way, settings))
                    done()
    report.finish(settings.json)


def payoffs(table: str, players: int) -> NDArray[np.float64]:
    """The game's table, one axis a player."""
    from rommeo_rllib.envs.climbing_game import CLIMBING_PAYOFFS
    from rommeo_rllib.envs.three_player_climbing_game import worst_pair_payoffs

    if table == "worst":
        return worst_pair_payoffs(players)
    pair, actions = np.array(CLIMBING_PAYOFFS), np.indices((3,) * players)
    pairs = [pair[row, column] for row, column in itertools.combinations(actions, 2)]
    return np.mean(pairs, axis=0)


def make_game(env_config: Mapping[str, Any]) -> Any:
    """The game, for RLlib."""
    from rommeo_rllib import PettingZooMultiAgentEnv
    from rommeo_rllib.envs import MatrixGame

    table = payoffs(env_config["table"], env_config["players"])
    return PettingZooMultiAgentEnv(MatrixGame(table, plays_per_episode=PLAYS_PER_EPISODE))


def make_config(table: str, players: int, way: str, settings: Settings) -> Any:
    """ROMMEO-AC on the game, with all seeds as replicas."""
    from ray.tune.registry import register_env

    from rommeo_rllib import ROMMEOACConfig

    register_env("climbing_game_of_many", make_game)

    def falling(first: float, last: float) -> list[list[float]]:
        begin = settings.random_plays
        return [[0, first], [begin, first], [begin + settings.plays * 2 // 3, last]]

    rates = dict.fromkeys(["q_lr", "policy_lr", "opponent_model_lr", "opponent_prior_lr"], 0.01)
    resampled = way == IMPORTANCE_SAMPLING
    return (
        ROMMEOACConfig()
        .environment("climbing_game_of_many", env_config={"table": table, "players": players})
        .multi_agent(
            policies={f"player_{index}" for index in range(players)},
            policy_mapping_fn=lambda agent_id, *args, **kwargs: agent_id,
        )
        .training(
            gamma=0.0,
            alpha=falling(20.0, 0.1),
            kl_coeff=falling(10.0, settings.final_kl_coeff),
            opponent_model="importance_sampling" if resampled else "reparameterised",
            train_batch_size_per_learner=64,
            random_warm_up=True,
            num_steps_sampled_before_learning_starts=settings.random_plays,
            replay_capacity=settings.random_plays + settings.plays,
            replicas=settings.seeds,
            **rates,
        )
        .rl_module(model_config={"fcnet_hiddens": [64, 64]})
        .evaluation(
            evaluation_interval=10**9,
            evaluation_duration=1,
            evaluation_config={"explore": False},
        )
        .debugging(seed=0)
    )


@contextmanager
def learning_by(way: str) -> Iterator[None]:
    """Within it an algorithm is built, and learns, in that way."""
    from rommeo_rllib.rommeo_ac import learner, policy

    with mock.patch.object(policy, "MAX_ENUMERATED_ACTIONS", ALL if way == COUNTED else 0):
        if way != STRAIGHT_THROUGH:
            yield
            return
        # As if the opponents' actions were continuous: gradients flow through samples.
        with mock.patch.object(learner, "has_choices", return_value=False):
            yield


def run(table: str, players: int, way: str, settings: Settings) -> Row:
    """All seeds of one game, learned in one way."""
    from rommeo_rllib.reporting.statistics import bootstrap_mean, success_rate

    config = make_config(table, players, way, settings)
    total = settings.random_plays + settings.plays
    config.reporting(min_sample_timesteps_per_iteration=total)
    with learning_by(way):
        algorithm = config.build_algo()
        started = time.process_time()
        algorithm.train()
        seconds = time.process_time() - started
        greedy = per_play(algorithm.evaluate()["env_runners"])
        algorithm.stop()
    solved = success_rate(int((greedy > SOLVED_ABOVE).sum()), settings.seeds)
    return Row(
        {
            "table": table,
            "players": players,
            "way": way,
            f"solved (greedy) of {settings.seeds}": str(solved),
            "greedy return": str(bootstrap_mean(greedy)),
        },
        {},
        {
            "greedy returns": Spread.of(list(np.sort(greedy))),
            "CPU s": Spread.of([seconds]),
        },
    )


def gradients(table: str, players: int) -> Row:
    """How far estimates of the gradient for an opponent model's logits are from the exact one."""
    import torch
    from torch import Tensor

    from rommeo_rllib.components import ActionComponent
    from rommeo_rllib.distributions import ProductDistribution
    from rommeo_rllib.local_expectations import neighbours

    generator = torch.Generator().manual_seed(0)
    opponents, estimates, rows = players - 1, 200, 64
    components = (ActionComponent("discrete", 3),) * opponents
    evaluated = rows * (1 + 2 * opponents)
    logits = torch.randn(3 * opponents, generator=generator).requires_grad_()
    worth = torch.as_tensor(payoffs(table, players), dtype=torch.float32).logsumexp(0)

    def values(joint: Tensor) -> Tensor:
        """Of one-hot vectors, (..., 3 * opponents) -> (...), linear in each opponent's."""
        found = worth.expand(*joint.shape[:-1], *worth.shape)
        at = joint.ndim - 1  # The axis of the opponent that comes next.
        for one in joint.unflatten(-1, (opponents, 3)).unbind(-2):
            found = (one.reshape(*one.shape, *[1] * (found.ndim - at - 1)) * found).sum(at)
        return found

    def estimate(way: str) -> Tensor:
        number = rows if way == LOCAL else evaluated
        model = ProductDistribution(components, logits.expand(number, -1))
        sample = model.rsample()
        if way == STRAIGHT_THROUGH:
            value = values(sample)
        elif way == LOCAL:
            near, weights = neighbours(components, model.class_probs(), sample)
            value = (weights * values(near)).sum(-1)
        else:
            fixed = values(sample.detach())
            baseline = (fixed.sum() - fixed) / (number - 1)
            value = (fixed - baseline) * model.log_prob(sample.detach()).sum(-1)
        return torch.autograd.grad(value.mean(), logits)[0]

    probabilities = ProductDistribution(components, logits).class_probs()
    exact = torch.autograd.grad(values(probabilities), logits)[0]
    torch.manual_seed(0)
    measured = {}
    for way in (LOCAL, STRAIGHT_THROUGH, "leave-one-out baseline"):
        found = torch.stack([estimate(way) for _ in range(estimates)])
        bias = (found.mean(0) - exact).norm() / exact.norm()
        error = (found - exact).square().sum(-1).mean().sqrt() / exact.norm()
        measured[way] = f"{bias:.2f}, {error:.2f}"
    settings = {"table": table, "players": players, "joint actions": evaluated}
    return Row(settings | {f"{way}: bias, error": shown for way, shown in measured.items()})


def costs(settings: Settings) -> list[Row]:
    """CPU milliseconds of an env step with its updates, an agent, all of them taking turns."""
    steps, turns = 10, 5
    rows = []
    for way in settings.ways:
        algorithms = {}
        with learning_by(way):
            for players in settings.players:
                config = make_config(settings.tables[0], players, way, settings)
                config.reporting(min_sample_timesteps_per_iteration=steps)
                config.training(replicas=1, num_steps_sampled_before_learning_starts=steps)
                algorithms[players] = config.build_algo()
                algorithms[players].train()  # Fills the replay, and torch's caches.

            def cost(players: int, algorithms: Mapping[int, Any] = algorithms) -> float:
                started = time.process_time()
                algorithms[players].train()
                return (time.process_time() - started) / steps / players * MILLISECONDS

            measured = interleave(
                {str(players): (lambda n=players: cost(n)) for players in algorithms}, turns
            )
        first = str(settings.players[0])
        for players, algorithm in algorithms.items():
            algorithm.stop()
            own = measured[str(players)]
            ratios = {f"to {first} players": Spread.of_ratio(own, measured[first])}
            milliseconds = {"ms a step and agent": Spread.of(own)}
            rows.append(Row({"way": way, "players": players}, ratios, milliseconds))
    return rows


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
