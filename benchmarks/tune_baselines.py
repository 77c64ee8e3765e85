"""Tunes the continuous algorithms on Max of Two Quadratics, with the same budget for each.

    python benchmarks/tune_baselines.py --algorithms DDPG MADDPG

Every algorithm gets the same number of random configurations, each trained with the same seeds for
the same number of env steps on the printed surface; the best few are trained again with fresh seeds
and the best of these is kept. A configuration's score is the share of seeds whose return per play,
mean over the last three episodes and exploration included, is above 9; the mean of these returns
breaks ties. Learning rates, annealing and exploration are drawn from one distribution for all that
have them.

Configurations, scores and the kept settings go to benchmarks/tuning/max_of_two_quadratics.json.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import ray

from rommeo_rllib.experiments.ray_session import import_ray_quietly
from rommeo_rllib.reporting.statistics import success_rate

import_ray_quietly()

from rommeo_rllib.registration import ALGORITHMS  # noqa: E402 (Ray is to be quiet)
from rommeo_rllib.tuned_configs.max_of_two_quadratics import PLAYS_PER_EPISODE, set_up  # noqa: E402

FILE = Path(__file__).parent / "tuning" / "max_of_two_quadratics.json"
FINALISTS = 2
SUCCESS_ABOVE = 9.0


def main() -> None:
    """Tunes the algorithms that are named, all by default."""
    arguments = _arguments()
    ray.init("local", num_cpus=1, include_dashboard=False, log_to_driver=False)
    for name in arguments.algorithms:
        begin = time.process_time()
        tuned = _tune(name, arguments)
        seconds = time.process_time() - begin
        report = json.loads(FILE.read_text()) if FILE.exists() else {}
        budget = {
            "configurations": arguments.configurations,
            "seeds": arguments.seeds,
            "env_steps": arguments.env_steps,
            "finalists": FINALISTS,
        }
        report[name] = {"budget": budget, "cpu_seconds": round(seconds), **tuned}
        FILE.parent.mkdir(exist_ok=True)
        FILE.write_text(json.dumps(dict(sorted(report.items())), indent=1) + "\n")
        print(f"{name}: {tuned['final']} with {tuned['settings']}, {seconds:.0f} s CPU", flush=True)
    ray.shutdown()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--algorithms", nargs="*", choices=list(ALGORITHMS), default=list(ALGORITHMS)
    )
    parser.add_argument("--configurations", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--env-steps", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def _tune(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    # Every algorithm begins with the same generator: those that share a setting draw it alike.
    rng = np.random.default_rng(arguments.seed)
    tried = []
    for number in range(arguments.configurations):
        settings = draw_settings(name, rng)
        score = _score(name, settings, arguments, first_seed=1_000)
        tried.append({"settings": settings, **score})
        print(f"  {name} {number}: {score} {settings}", flush=True)
    tried.sort(key=_goodness, reverse=True)
    finalists = [
        {"settings": entry["settings"]}
        | _score(name, entry["settings"], arguments, first_seed=2_000)
        for entry in tried[:FINALISTS]
    ]
    best = max(finalists, key=_goodness)
    successes = round(best["success"] * arguments.seeds)
    return {
        "settings": best["settings"],
        "final": success_rate(successes, arguments.seeds).as_dict("rate"),
        "finalists": finalists,
        "tried": tried,
    }


def _goodness(entry: dict[str, Any]) -> tuple[float, float]:
    return entry["success"], entry["mean_return"]


def _score(
    name: str, settings: dict[str, Any], arguments: argparse.Namespace, first_seed: int
) -> dict[str, float]:
    """Success and mean return of all seeds, which are replicas of one trial."""
    config = set_up(ALGORITHMS[name].get_default_config())
    config.training(**settings, replicas=arguments.seeds).debugging(seed=first_seed)
    config.evaluation(evaluation_interval=None)
    config.min_sample_timesteps_per_iteration = arguments.env_steps
    algorithm = config.build_algo()
    try:
        result = algorithm.train()
    except ValueError as error:  # It has diverged.
        print(f"  {error}")
        return {"success": 0.0, "mean_return": -1_000.0}
    finally:
        algorithm.stop()
    totals = np.array(result["env_runners"]["replicas"]["episode_return_mean"])
    returns = totals / (2 * PLAYS_PER_EPISODE)
    return {
        "success": float((returns > SUCCESS_ABOVE).mean()),
        "mean_return": round(float(returns.mean()), 3),
    }


def draw_settings(name: str, rng: np.random.Generator) -> dict[str, Any]:
    """One random configuration of the algorithm `name`."""
    # Drawn for all algorithms, in this order, whether used or not.
    q_lr = _log_uniform(rng, 3e-3, 2e-2)
    policy_lr, model_lr = (_log_uniform(rng, 5e-4, 1e-2) for _ in range(2))
    alpha = _falling(rng, 1.0, 100.0, 0.03, 0.3)
    kl_coeff = _falling(rng, 1.0, 20.0, 0.5, 2.0)
    noise = _falling(rng, 0.2, 1.0, 0.01, 0.05)
    warm_up = int(rng.choice([25, 100, 250]))
    common = {
        "q_lr": q_lr,
        "policy_lr": policy_lr,
        "num_steps_sampled_before_learning_starts": warm_up,
    }
    if name in ("MASQL", "MASAC"):
        return {**common, "alpha": alpha}
    if name == "ROMMEO-AC":
        rates = {"opponent_model_lr": model_lr, "opponent_prior_lr": model_lr}
        return {**common, **rates, "alpha": alpha, "kl_coeff": kl_coeff}
    if name == "ROMMEO-AC-EMP":
        return {**common, "opponent_prior_lr": model_lr, "alpha": alpha}
    if name == "PR2-AC":
        return {**common, "opponent_model_lr": model_lr, "alpha": alpha, "exploration_noise": noise}
    if name == "DDPG-OM":
        return {**common, "opponent_model_lr": model_lr, "exploration_noise": noise}
    return {**common, "exploration_noise": noise}


def _falling(
    rng: np.random.Generator, low: float, high: float, last_low: float, last: float
) -> dict[str, Any]:
    return {
        "initial": _log_uniform(rng, low, high),
        "final": _log_uniform(rng, last_low, last),
        "decay_steps": round(_log_uniform(rng, 150, 800)),
    }


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A number whose logarithm is uniform, to three digits."""
    return float(f"{np.exp(rng.uniform(np.log(low), np.log(high))):.3g}")


if __name__ == "__main__":
    main()
