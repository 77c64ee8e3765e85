"""(h) Replicas where a user has them, in Tune: CPU seconds a seed of whole experiments.

    python benchmarks/replicas_in_tune.py
    python benchmarks/replicas_in_tune.py --modes replicas --replicas 64

Max of Two Quadratics as it is tuned, from Tune's start to the last result, the workers' processes
with their imports included: a trial a seed, each in a process of its own; a trial a seed, in
processes that are used again (what `rommeo train` and `rommeo sweep` do); and one trial with
replicas. `benchmarks/replicas.py` compares the bare algorithms. Linux only.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro
from measure import Report, Row, Spread, prepare
from sweep import Spent, watched_trials

Mode = Literal["a process each", "processes used again", "replicas"]
MODES: tuple[Mode, ...] = Mode.__args__  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Settings:
    """What is run.

    Attributes:
        full: more trials.
        replicas: copies in the one trial.
        trials: trials of one seed, each in a process of its own.
        reused: trials of one seed, in processes that are used again.
        episodes: length of each in episodes of 25 plays.
        modes: which of the three.
        json: where to write the results.
    """

    full: bool = False
    replicas: int = 64
    trials: int = 2
    reused: int = 6
    episodes: int = 40
    modes: tuple[Mode, ...] = MODES
    json: Path | None = None


def main(settings: Settings) -> None:
    """One experiment after the other, each in a Ray session of its own."""
    prepare()
    factor = 4 if settings.full else 1
    trials = {
        "a process each": factor * settings.trials,
        "processes used again": factor * settings.reused,
        "replicas": 1,
    }
    seconds: dict[str, float] = {}
    report = Report("replicas_in_tune", "Replicas in Tune: CPU seconds a seed")
    for mode in settings.modes:
        replicas = settings.replicas if mode == "replicas" else 1
        seeds = trials[mode] * replicas
        spent = experiment(mode, trials[mode], replicas, settings.episodes)
        seconds[mode] = spent.cpu / seeds
        measured = {"CPU s a seed": spent.cpu / seeds, "CPU s": spent.cpu, "wall s": spent.wall}
        spreads = {name: Spread.of([value]) for name, value in measured.items()}
        report.rows.append(Row({"seeds as": mode, "seeds": seeds}, {}, spreads))
    for row in report.rows if "replicas" in seconds else ():
        ratio = seconds[row.settings["seeds as"]] / seconds["replicas"]
        row.ratios["replicas' seeds per CPU minute / these"] = Spread.of([ratio])
    report.notes.append(
        f"{settings.episodes} episodes of 25 plays, an update each, no evaluation. CPU time of the "
        "driver and of all workers; Ray's own services are left out."
    )
    report.finish(settings.json)


def experiment(mode: Mode, trials: int, replicas: int, episodes: int) -> Spent:
    """What it costs to train all seeds in that way."""
    from ray import tune
    from setups import without_evaluation

    from rommeo_rllib import ROMMEOAC
    from rommeo_rllib.experiments.trials import ENV_STEPS
    from rommeo_rllib.tuned_configs.max_of_two_quadratics import rommeo_ac as tuned

    class InAProcessEach(ROMMEOAC):
        reset_config = tune.Trainable.reset_config

    algorithm = InAProcessEach if mode == "a process each" else ROMMEOAC
    config = without_evaluation(tuned.config).training(replicas=replicas)
    stop = {ENV_STEPS: episodes * tuned.PLAYS_PER_EPISODE}
    return watched_trials(algorithm, config, stop, [{}] * trials)[1]


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
