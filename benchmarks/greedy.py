"""What ROMMEO-AC earns by different ways of acting greedily, all by the same trained policies.

    python benchmarks/greedy.py --games "climbing game"
    python benchmarks/greedy.py --games "printed surface" "authors' surface" "noise of 10"
    python benchmarks/greedy.py --games "level-based foraging" --seeds 6

The mean return an agent and play over all seeds, with 95 % bootstrap intervals, as training goes on
with the tuned configuration; of foraging that of an episode, after its 20 000 env steps. Seeds are
replicas in this very process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias
from unittest.mock import patch

import numpy as np
import torch
import torch.nn.functional as F
import tyro
from measure import Report, Row, prepare, progress
from torch import Tensor

from rommeo_rllib import ROMMEOPolicy, envs
from rommeo_rllib.components import squash
from rommeo_rllib.joint_action.spaces.encoding import decode_actions

Way: TypeAlias = Callable[[ROMMEOPolicy, Tensor], Tensor]
"""Flat actions, (policies, 1, size), of observations, (policies, 1, size)."""

SAMPLES = 64
PLAYS_PER_EPISODE = 25


def mode_of_the_mode(policy: ROMMEOPolicy, observations: Tensor) -> Tensor:
    """The likeliest answer to the opponents' likeliest actions."""
    opponents = squash(policy.opponent_components, policy.opponent_model(observations).mode())
    return squash(policy.own_components, policy.policy(observations, opponents).mode())


def mode_of_the_marginal(policy: ROMMEOPolicy, observations: Tensor) -> Tensor:
    """The likeliest action."""
    return policy.marginal_policy(observations, None)[0].mode()


def best_expected(policy: ROMMEOPolicy, observations: Tensor) -> Tensor:
    """The action with the best Q, mean over the opponent model."""
    every = policy.all_opponent_actions
    assert every is not None
    rho = policy.opponent_model(observations).unsqueeze(-2).log_prob(every).sum(-1).exp()
    rows = observations.unsqueeze(-2).expand(*rho.shape, -1)
    q = policy.critic(rows, None, every.expand(*rho.shape, -1))
    return F.one_hot((rho.unsqueeze(-1) * q).sum(-2).argmax(-1), q.shape[-1]).float()


def best_of(samples: int) -> Way:
    """The own part of the best by Q of joint actions that rho and the policy draw."""

    def act(policy: ROMMEOPolicy, observations: Tensor) -> Tensor:
        rows = observations.expand(-1, samples, -1)
        opponents = squash(policy.opponent_components, policy.opponent_model(rows).rsample())
        own = squash(policy.own_components, policy.policy(rows, opponents).rsample())
        best = policy.critic(rows, own, opponents).argmax(-1)
        return own.gather(-2, best[:, None, None].expand(-1, 1, own.shape[-1]))

    return act


def median_answer(policy: ROMMEOPolicy, observations: Tensor) -> Tensor:
    """The median of the likeliest answers to opponents' actions that rho draws."""
    rows = observations.expand(-1, SAMPLES, -1)
    opponents = squash(policy.opponent_components, policy.opponent_model(rows).rsample())
    answers = squash(policy.own_components, policy.policy(rows, opponents).mode())
    return answers.median(-2, keepdim=True).values


COUNTED: dict[str, Way] = {
    "mode of the mode": mode_of_the_mode,
    "mode of the marginal": mode_of_the_marginal,
    "argmax of the expected Q": best_expected,
}
CONTINUOUS: dict[str, Way] = {
    "mode of the mode": mode_of_the_mode,
    "best of 8 by Q": best_of(8),
    f"best of {SAMPLES} by Q": best_of(SAMPLES),
    "median answer": median_answer,
}
GAMES: dict[str, tuple[str, dict[str, Any]]] = {
    "climbing game": ("climbing_game", {}),
    "printed surface": ("max_of_two_quadratics", {"surface": "paper"}),
    "authors' surface": ("max_of_two_quadratics", {"surface": "authors"}),
    "noise of 10": ("two_hills", {"noise": 10.0}),
}
"""Names as registered, and settings; two like agents each, who are paid alike."""
FORAGING = "level-based foraging"


@dataclass(frozen=True)
class Settings:
    """What is compared.

    Attributes:
        games: keys of `GAMES`, or level-based foraging.
        seeds: replicas of each.
        every: env steps between two rows, a multiple of 25; not of foraging.
        env_steps: length of a run; not of foraging.
        json: where to write the results.
    """

    games: tuple[str, ...] = tuple(GAMES)
    seeds: int = 100
    every: int = 50
    env_steps: int = 750
    json: Path | None = None


def main(settings: Settings) -> None:
    """Trains on all games, one after the other."""
    prepare()
    from rommeo_rllib.experiments.ray_session import quiet_ray

    report = Report("greedy", "ROMMEO-AC: return a play, by the way of acting greedily")
    with quiet_ray(), progress("games", len(settings.games)) as done:
        for game in settings.games:
            report.rows += forage(settings) if game == FORAGING else run(game, settings)
            done()
    report.notes.append(f"{settings.seeds} seeds.")
    report.finish(settings.json)


def run(title: str, settings: Settings) -> list[Row]:
    """All seeds of one game."""
    from rommeo_rllib.reporting.statistics import bootstrap_mean
    from rommeo_rllib.tuned_configs.climbing_game import rommeo_ac as climbing
    from rommeo_rllib.tuned_configs.max_of_two_quadratics import rommeo_ac as quadratics

    name, game = GAMES[title]
    tuned = climbing if name == "climbing_game" else quadratics
    config = tuned.config.copy(copy_frozen=False).training(replicas=settings.seeds)
    config.environment(name).evaluation(evaluation_interval=None)
    config.env_config = {**game, "plays_per_episode": PLAYS_PER_EPISODE}
    algorithm = config.build_algo()
    rows = []
    for env_step in range(PLAYS_PER_EPISODE, settings.env_steps + 1, PLAYS_PER_EPISODE):
        algorithm.train()
        if env_step % settings.every == 0:
            cells = {way: str(bootstrap_mean(r)) for way, r in returns(algorithm, title).items()}
            rows.append(Row({"game": title, "env step": env_step, **cells}))
    algorithm.stop()
    return rows


def forage(settings: Settings) -> list[Row]:
    """All seeds of level-based foraging, the same policies evaluated in both ways."""
    from rommeo_rllib.reporting.statistics import bootstrap_mean
    from rommeo_rllib.tuned_configs.foraging import TRAINING_STEPS, rommeo_ac

    config = rommeo_ac.config.copy(copy_frozen=False).training(replicas=settings.seeds)
    config.evaluation(
        evaluation_interval=10**9, evaluation_duration=50, evaluation_config={"explore": False}
    )
    algorithm = config.build_algo()
    while (result := algorithm.train())["num_env_steps_sampled_lifetime"] < TRAINING_STEPS:
        pass
    found = {"sampled": result}
    for way, by_marginal in (("mode of the mode", False), ("mode of the marginal", True)):
        with patch.object(ROMMEOPolicy, "_acts_by_marginal", by_marginal):
            found[way] = algorithm.evaluate()
    algorithm.stop()
    cells = {
        way: str(bootstrap_mean(one["env_runners"]["replicas"]["episode_return_mean"]))
        for way, one in found.items()
    }
    return [Row({"game": FORAGING, "env step": TRAINING_STEPS, **cells})]


@torch.no_grad()
def returns(algorithm: Any, title: str) -> Mapping[str, np.ndarray]:
    """Each seed's return a play, without noise, by the way of acting."""
    name, game = GAMES[title]
    quiet = {key: value for key, value in game.items() if key != "noise"}
    # Policies of equal shape are computed together: player 0 of all seeds, then player 1.
    (group,) = algorithm.learner_group._learner._groups
    policy, observations = group.policy, torch.ones(len(group), 1, 1)
    found = {}
    for way, act in (COUNTED if policy.counts_marginal else CONTINUOUS).items():
        torch.manual_seed(0)
        actions = decode_actions(policy.action_space, act(policy, observations), env_units=True)
        joint = actions.reshape(2, -1).T.numpy()
        found[way] = envs.make(name, **quiet).expected_payoffs(joint)[:, 0]
    return found


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
