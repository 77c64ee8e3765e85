"""(d) Time until Max of Two Quadratics is solved: ours, and the plain loop.

    python benchmarks/time_to_solve.py --seeds 10

Both train with the settings of `max_of_two_quadratics/rommeo_ac`. Solved is from when on the greedy
joint action's return stays above 9 to the end of the budget; it is looked up after each episode,
while the clocks stand still. A game of chance: seeds that are not solved are counted apart.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from measure import Report, Row, Spread, interleave, prepare, progress

OURS, PLAIN = "ours", "plain torch"
SOLVED_ABOVE = 9.0
BOUND = 10.0


@dataclass(frozen=True)
class Settings:
    """How often.

    Attributes:
        full: 20 seeds.
        seeds: independent runs of each.
        episodes: the budget, in episodes of 25 plays; None is the configuration's own.
        json: where to write the results.
    """

    full: bool = False
    seeds: int = 6
    episodes: int | None = None
    json: Path | None = None


@dataclass(frozen=True)
class Run:
    """What one seed took: seconds until solved (None if it was not), and for the whole budget."""

    cpu: float | None
    wall: float | None
    whole_cpu: float


def main(settings: Settings) -> None:
    """Trains all seeds, ours and plain in turns."""
    prepare()
    from rommeo_rllib.experiments.ray_session import quiet_ray
    from rommeo_rllib.tuned_configs.max_of_two_quadratics import rommeo_ac as tuned

    seeds = 20 if settings.full else settings.seeds
    budget = tuned.stop["num_env_steps_sampled_lifetime"] // tuned.PLAYS_PER_EPISODE
    episodes = settings.episodes or budget
    runs: dict[str, list[Run]] = {OURS: [], PLAIN: []}
    trainings = {OURS: our_training, PLAIN: plain_training}

    def turn(name: str) -> Callable[[], float]:
        def measure() -> float:
            runs[name].append(run(trainings[name](tuned, len(runs[name])), episodes))
            return runs[name][-1].whole_cpu

        return measure

    with quiet_ray(), progress("time to solve", 2 * seeds) as done:
        whole = interleave({name: turn(name) for name in runs}, seeds, done)
    report = Report("time_to_solve", "Max of Two Quadratics: until the return stays above 9")
    report.rows = [row(name, runs, whole) for name in runs]
    report.notes.append(f"{seeds} seeds, {episodes} episodes of {tuned.PLAYS_PER_EPISODE} plays.")
    report.finish(settings.json)


def run(training: Iterator[np.ndarray], episodes: int) -> Run:
    """Advances a training episode by episode, the clocks running only while it trains."""
    cpu = wall = 0.0
    solved: tuple[float, float] | None = None
    for _ in range(episodes):
        begin_cpu, begin_wall = time.process_time(), time.perf_counter()
        next(training)
        cpu += time.process_time() - begin_cpu
        wall += time.perf_counter() - begin_wall
        if greedy_return(next(training)) <= SOLVED_ABOVE:
            solved = None
        elif solved is None:
            solved = cpu, wall
    training.close()
    return Run(*(solved or (None, None)), whole_cpu=cpu)


def greedy_return(joint_action: np.ndarray) -> float:
    """What a play of the joint action, in [-1, 1], pays."""
    from rommeo_rllib.envs import max_of_two_quadratics_payoff

    return float(max_of_two_quadratics_payoff(BOUND * np.clip(joint_action, -1.0, 1.0))[0])


def our_training(tuned: Any, seed: int) -> Iterator[Any]:
    """Yields by turns after an episode of training (None), and the greedy joint action."""
    import torch
    from setups import without_evaluation

    algorithm = without_evaluation(tuned.config).debugging(seed=seed).build_algo()
    observations = {"obs": torch.ones(1, 1)}
    try:
        while True:
            algorithm.train()
            yield None
            modules = [algorithm.get_module(policy) for policy in ("player_0", "player_1")]
            with torch.no_grad():
                actions = [module.forward_inference(observations)["actions"] for module in modules]
            yield torch.cat(actions).flatten().numpy()
    finally:
        algorithm.stop()


def plain_training(tuned: Any, seed: int) -> Iterator[Any]:
    """The same with the plain loop."""
    from plain_rommeo import PlainROMMEO, PlainSettings

    from rommeo_rllib.envs import max_of_two_quadratics_payoff
    from rommeo_rllib.schedules import make_schedule

    config = tuned.config
    settings = PlainSettings(
        hiddens=config.model_config["fcnet_hiddens"],
        batch=config.train_batch_size_per_learner,
        gamma=config.gamma,
        lr=config.q_lr,  # The same for all networks.
        tau=config.tau,
        alpha=make_schedule(config.alpha, "alpha").value,
        kl_coeff=make_schedule(config.kl_coeff, "kl_coeff").value,
        prior_uniform_weight=config.prior_uniform_weight,
        uniform_opponent_fraction=config.uniform_opponent_fraction,
        capacity=config.replay_capacity,
        warm_up=config.num_steps_sampled_before_learning_starts,
    )
    loop = PlainROMMEO(max_of_two_quadratics_payoff, 2, BOUND, settings, seed)
    while True:
        for _ in range(tuned.PLAYS_PER_EPISODE):
            loop.step()
        yield None
        yield loop.joint_action()


def row(name: str, runs: dict[str, list[Run]], whole: dict[str, list[float]]) -> Row:
    """One line of the table."""
    own = runs[name]
    solved = {
        "CPU until solved (s)": [run.cpu for run in own if run.cpu is not None],
        "wall until solved (s)": [run.wall for run in own if run.wall is not None],
    }
    return Row(
        {"loop": name, "solved": f"{len(solved['CPU until solved (s)'])} of {len(own)}"},
        {"CPU of the whole budget / plain": Spread.of_ratio(whole[name], whole[PLAIN])},
        {column: Spread.of(values) for column, values in solved.items() if values}
        | {"CPU of the whole budget (s)": Spread.of(whole[name])},
    )


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
