"""What makes ROMMEO-AC reliable: one change at a time to a tuned configuration, many seeds each.

    python benchmarks/ablations.py --variants default "KL weight 1 throughout"
    python benchmarks/ablations.py --variants "authors' settings" --seeds 30

For each variant: the share of seeds whose mean sampled return a play over the last three episodes
is above 9; the same for the greedy joint action at the end; from which episode on the sampled one
stays above 9; with `--leads` also by how many episodes the opponent models' means are within 1 of
the optimum for good before the policies that they are about (mean over the seeds where both come
there; means over an episode's plays): the marginal policies' means and, the other measure, the
greedy actions. Seeds are replicas in this very process.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from measure import Report, Row, Spread, prepare, progress

SOLVED_ABOVE = 9.0
OPTIMAL_ACTION = 5.0

ANNEALED_IN_125 = {"initial": 20.0, "final": 0.1, "decay_steps": 125}
ANNEALED_IN_75 = {"initial": 20.0, "final": 0.1, "decay_steps": 75}
ANY_ALPHA = {
    "opponent_model": "importance_sampling",
    "random_warm_up": True,
    "num_steps_sampled_before_learning_starts": 150,
}
RANDOM_150 = {"random_warm_up": True, "num_steps_sampled_before_learning_starts": 150}
LEARNING_RATES = ("q_lr", "policy_lr", "opponent_model_lr", "opponent_prior_lr")

AUTHORS = "authors' settings"
"""Variants of this name begin with what the paper's authors' program does."""

TORCHS_WEIGHTS = {
    f"{layers}_{part}_initializer": None
    for layers in ("fcnet", "head_fcnet")
    for part in ("kernel", "bias")
}

VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "output biases begin at 0": {"model_config": {"head_fcnet_bias_initializer": "zeros_"}},
    "all biases begin at 0": {
        "model_config": dict.fromkeys(
            ("fcnet_bias_initializer", "head_fcnet_bias_initializer"), "zeros_"
        )
    },
    AUTHORS: {},
    f"{AUTHORS}, window not padded": {"pad_prior_window": False},
    f"{AUTHORS}, no penalties, window not padded": {
        "pad_prior_window": False,
        "gaussian_l2": 0.0,
        "prior_gaussian_l2": 0.0,
    },
    f"{AUTHORS}, agents observe 1": {"env_config": {"constant_observation": 1.0}},
    f"{AUTHORS}, agents observe 1, no penalties, window not padded": {
        "pad_prior_window": False,
        "gaussian_l2": 0.0,
        "prior_gaussian_l2": 0.0,
        "env_config": {"constant_observation": 1.0},
    },
    f"{AUTHORS}, agents observe 1, torch's first weights, no penalties, window not padded": {
        "pad_prior_window": False,
        "gaussian_l2": 0.0,
        "prior_gaussian_l2": 0.0,
        "env_config": {"constant_observation": 1.0},
        "model_config": TORCHS_WEIGHTS,
    },
    "no layer normalisation in Q": {"q_layer_norm": False},
    "KL weight 1 throughout": {"kl_coeff": 1.0},
    "KL weight 10 to 1": {"kl_coeff": {"initial": 10.0, "final": 1.0, "decay_steps": 250}},
    "KL weight 10 to 2": {"kl_coeff": {"initial": 10.0, "final": 2.0, "decay_steps": 250}},
    "prior on the latest 512 plays": {"prior_window": 512},
    "prior on the latest 128 plays": {"prior_window": 128},
    "prior without a uniform share": {"prior_uniform_weight": 0.0},
    "policy answers rho only": {"uniform_opponent_fraction": 0.0},
    "learning rates 0.003": dict.fromkeys(LEARNING_RATES, 0.003),
    "opponent model's learning rate 0.005": {"opponent_model_lr": 0.005},
    "batch 16": {"train_batch_size_per_learner": 16},
    "batch 128": {"train_batch_size_per_learner": 128},
    "gamma 0.95": {"gamma": 0.95},
    "gamma 0.95, tau 0.002": {"gamma": 0.95, "tau": 0.002},
    "2 updates a play, alpha falls in 125": {
        "updates_per_env_step": 2.0,
        "alpha": ANNEALED_IN_125,
        "kl_coeff": ANNEALED_IN_125 | {"final": 2.0},
    },
    "4 updates a play, alpha falls in 75": {
        "updates_per_env_step": 4.0,
        "alpha": ANNEALED_IN_75,
        "kl_coeff": ANNEALED_IN_75 | {"final": 2.0},
    },
    "alpha learned": {"alpha": "auto", "alpha_lr": 0.01},
    "alpha learned, from 20, target entropy -2": {
        "alpha": {"target_entropy": -2.0, "initial": 20.0},
        "alpha_lr": 0.02,
    },
    "resampled": {"opponent_model": "importance_sampling"},
}
VARIANTS |= {f"alpha {alpha:g}": {"alpha": alpha} for alpha in (0.1, 0.5, 1.0, 2.0)}
VARIANTS |= {
    f"alpha {alpha:g}, 150 random plays": {"alpha": alpha} | RANDOM_150
    for alpha in (0.1, 0.5, 1.0, 2.0)
}
VARIANTS |= {
    f"alpha {alpha:g}, 150 random plays, resampled": {"alpha": alpha} | ANY_ALPHA
    for alpha in (0.1, 0.5, 1.0, 2.0)
}
"""Changes to a configuration's `.training()` (or, under their names, to its `model_config` and its
`env_config`), by the name of the variant."""


@dataclass(frozen=True)
class Settings:
    """What is compared.

    Attributes:
        variants: keys of `VARIANTS`; all of them by default.
        surfaces: of Max of Two Quadratics.
        seeds: replicas of each.
        set: further changes to all variants, KEY=VALUE with a JSON value.
        episodes: length of a run in episodes of 25 plays.
        leads: also say by how many episodes opponent models are ahead of policies.
        json: where to write the results.
    """

    variants: tuple[str, ...] = tuple(VARIANTS)
    surfaces: tuple[str, ...] = ("paper", "authors")
    seeds: int = 100
    set: tuple[str, ...] = field(default_factory=tuple)
    episodes: int = 30
    leads: bool = False
    json: Path | None = None


def main(settings: Settings) -> None:
    """Trains all variants, one after the other."""
    prepare()
    from rommeo_rllib.experiments.ray_session import quiet_ray

    further = {key: json.loads(value) for key, _, value in (s.partition("=") for s in settings.set)}
    report = Report("ablations", "ROMMEO-AC on Max of Two Quadratics, one change at a time")
    runs = [(variant, surface) for variant in settings.variants for surface in settings.surfaces]
    with quiet_ray(), progress("ablations", len(runs)) as done:
        for variant, surface in runs:
            changes = VARIANTS[variant] | further
            report.rows.append(run(variant, surface, changes, settings))
            done()
    report.notes.append(f"{settings.seeds} seeds, {settings.episodes} episodes of 25 plays.")
    report.finish(settings.json)


def run(variant: str, surface: str, changes: Mapping[str, Any], settings: Settings) -> Row:
    """One variant on one surface."""
    from rommeo_rllib.reporting.statistics import first_for_good, success_rate
    from rommeo_rllib.tuned_configs.max_of_two_quadratics import rommeo_ac, rommeo_ac_paper

    base = rommeo_ac_paper if variant.startswith(AUTHORS) else rommeo_ac
    changes, seeds = dict(changes), settings.seeds
    game, networks = changes.pop("env_config", {}), changes.pop("model_config", {})
    config = base.config.copy(copy_frozen=False)
    config.training(replicas=seeds, average_metrics=settings.leads, **changes)
    config.environment(env_config={**config.env_config, "surface": surface, **game})
    config.rl_module(model_config={**config.model_config, **networks})
    # Evaluated once, at the end.
    config.evaluation(evaluation_interval=10**9)
    algorithm = config.build_algo()
    results = [algorithm.train() for _ in range(settings.episodes)]
    greedy = per_play(algorithm.evaluate()["env_runners"])
    algorithm.stop()

    returns = np.array([per_play(result["env_runners"]) for result in results])
    above = returns > SOLVED_ABOVE
    since = first_for_good(above) + 1
    rates = {
        "sampled return above 9": success_rate(int(above[-1].sum()), seeds),
        "greedy return above 9": success_rate(int((greedy > SOLVED_ABOVE).sum()), seeds),
    }
    episode = np.sort(since)[[math.ceil(q * seeds) - 1 for q in (0.5, 0.9, 0.99, 1.0)]]
    return Row(
        {"variant": variant, "surface": surface}
        | {name: str(rate) for name, rate in rates.items()}
        | {
            "episode, 50/90/99/100 %": "/".join(
                "-" if e == math.inf else f"{e:.0f}" for e in episode
            ),
        }
        | (leads(results) if settings.leads else {}),
        {},
        {
            "sampled return": Spread.of(list(returns[-1])),
            "greedy return": Spread.of(list(greedy)),
        },
    )


def leads(results: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The lead by both measures."""
    return {
        "model's lead, episodes": models_lead(results, "marginal_policy_mean_0"),
        "over greedy actions": models_lead(results, "policy_mean_0"),
    }


def models_lead(results: Sequence[Mapping[str, Any]], policy_metric: str) -> str:
    """By how many episodes the opponent models are ahead of the policies that they are about.

    Args:
        results: of all iterations.
        policy_metric: what is looked at of a policy.
    """
    from rommeo_rllib.reporting.statistics import bootstrap_mean, first_for_good

    def arrived(player: str, metric: str) -> np.ndarray:
        # Nothing is learned, and said, before the first update.
        learners = [result["learners"].get("replicas", {}).get(player) for result in results]
        seeds = next(len(found[metric]) for found in learners if found)
        nowhere = np.full(seeds, -math.inf)
        means = np.array([found[metric] if found else nowhere for found in learners])
        return first_for_good(means > OPTIMAL_ACTION - 1.0)

    with np.errstate(invalid="ignore"):
        leads = np.mean(
            [
                arrived(opponent, policy_metric) - arrived(player, "opponent_model_mean_0")
                for player, opponent in (("player_0", "player_1"), ("player_1", "player_0"))
            ],
            axis=0,
        )
    known = leads[np.isfinite(leads)]
    return f"{bootstrap_mean(known)} ({known.size} seeds)" if known.size else "-"


def per_play(results: Mapping[str, Any]) -> np.ndarray:
    """Each replica's return an agent and play."""
    of_replicas = results["replicas"]
    agents = len(results["agent_episode_returns_mean"])
    totals, lengths = of_replicas["episode_return_mean"], of_replicas["episode_len_mean"]
    return np.array(totals) / np.array(lengths) / agents


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
