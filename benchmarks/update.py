"""(a) One env step and one update of all agents: ROMMEO-AC, stock SAC, and the bare arithmetic.

    python benchmarks/update.py
    python benchmarks/update.py --full

CPU milliseconds through `algo.train()`, everything that it does included: playing, storing,
drawing a batch, one gradient step of every agent, weights back to the env runner, results.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from measure import MILLISECONDS, Report, Row, Spread, cpu_time_of, interleave, prepare, progress

OURS, STOCK, PLAIN = "ours (ms)", "stock SAC (ms)", "plain torch (ms)"


@dataclass(frozen=True)
class Case:
    """What is varied."""

    agents: int = 2
    width: int = 100
    batch: int = 256
    gamma: float = 0.95


DEFAULT_CASES = (
    Case(),
    Case(gamma=0.0),
    Case(batch=64),
    Case(batch=512),
    Case(width=256),
    Case(agents=4),
    Case(agents=8),
    Case(agents=16),
)
ALL_CASES = tuple(
    Case(agents, width, batch, gamma)
    for gamma, agents, width, batch in itertools.product(
        (0.95, 0.0), (2, 4, 8, 16), (100, 256), (64, 256, 512)
    )
)


@dataclass(frozen=True)
class Settings:
    """How long to measure.

    Attributes:
        full: all combinations, and stock SAC for every number of agents.
        repetitions: turns of each alternative.
        env_steps: env steps (and updates) a turn, which are one iteration of `train()`.
        stock_agents: up to so many agents stock SAC is measured, too (it is slow).
        fusion: further layers of stock SAC's Q-function; RLlib's default is 256 256.
        cases: only so many of the cases.
        json: where to write the results.
    """

    full: bool = False
    repetitions: int = 5
    env_steps: int = 25
    stock_agents: int = 2
    fusion: tuple[int, ...] = ()
    cases: int | None = None
    json: Path | None = None


def main(settings: Settings) -> None:
    """Measures all cases."""
    prepare()
    from rommeo_rllib.experiments.ray_session import quiet_ray

    report = Report("update", "One env step and one update of all agents")
    cases = (ALL_CASES if settings.full else DEFAULT_CASES)[: settings.cases]
    with quiet_ray(), progress("update", len(cases)) as done:
        for case in cases:
            report.rows.append(measure(case, settings))
            done()
    report.notes.append(
        f"An iteration is {settings.env_steps} env steps. Stock SAC trains two networks an agent, "
        f"ROMMEO-AC four; fusion layers of its Q-function: {list(settings.fusion) or 'none'}."
    )
    report.finish(settings.json)


def measure(case: Case, settings: Settings) -> Row:
    """One case, in turns."""
    from setups import rommeo_config, stock_sac_config

    arguments = (case.agents, (case.width,) * 2, case.batch, case.gamma, settings.env_steps)
    algorithms = {OURS: rommeo_config(*arguments).build_algo()}
    if settings.full or case.agents <= settings.stock_agents:
        algorithms[STOCK] = stock_sac_config(*arguments, settings.fusion).build_algo()
    turns = {name: train_turn(algorithm) for name, algorithm in algorithms.items()}
    turns[PLAIN] = plain_turn(case, settings.env_steps)
    interleave(turns, 1)  # Buffers fill, caches warm up.
    values = interleave(turns, settings.repetitions)
    for algorithm in algorithms.values():
        algorithm.stop()

    ratios = {}
    if STOCK in values:
        ratios["stock / ours"] = Spread.of_ratio(values[STOCK], values[OURS])
    ratios["ours / plain"] = Spread.of_ratio(values[OURS], values[PLAIN])
    measured = {name: Spread.of(times) for name, times in values.items()}
    measured["ours, an agent (ms)"] = Spread.of([t / case.agents for t in values[OURS]])
    described = {
        "agents": case.agents,
        "networks": f"2 x {case.width}",
        "batch": case.batch,
        "gamma": case.gamma,
    }
    return Row(described, ratios, measured)


def train_turn(algorithm: Any) -> Callable[[], float]:
    """One iteration; CPU milliseconds an env step."""
    from setups import env_steps

    steps = 0

    def turn() -> float:
        nonlocal steps
        results = []
        seconds = cpu_time_of(lambda: results.append(algorithm.train()))
        before, steps = steps, env_steps(results[0])
        return MILLISECONDS * seconds / (steps - before)

    return turn


def plain_turn(case: Case, env_steps: int) -> Callable[[], float]:
    """The plain loop; CPU milliseconds an env step."""
    from plain_rommeo import PlainROMMEO, PlainSettings
    from setups import two_hills_payoff

    from rommeo_rllib.envs.two_hills import BOUND

    settings = PlainSettings(hiddens=(case.width,) * 2, batch=case.batch, gamma=case.gamma)
    loop = PlainROMMEO(two_hills_payoff, case.agents, BOUND, settings)

    def turn() -> float:
        seconds = cpu_time_of(lambda: [loop.step() for _ in range(env_steps)])
        return MILLISECONDS * seconds / env_steps

    return turn


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
