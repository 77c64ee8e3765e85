"""What a sweep is asked for, and what of it is the same for all kinds of algorithms."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, Protocol

from rommeo_rllib.errors import UsageError
from rommeo_rllib.experiments import search_space, searching
from rommeo_rllib.experiments.about import About
from rommeo_rllib.experiments.resuming import POINTS
from rommeo_rllib.experiments.running import Experiment, Search
from rommeo_rllib.experiments.search_space import Distribution
from rommeo_rllib.experiments.searching import Clock
from rommeo_rllib.experiments.settings import Setting
from rommeo_rllib.experiments.sweep_results import Outcome
from rommeo_rllib.experiments.trials import MOST_TRIALS, Results
from rommeo_rllib.naming import shown


@dataclass(frozen=True)
class SweepRequest:
    """What is swept, and how.

    Attributes:
        configuration: a configuration's name, or a Python file.
        grids: values of keys, all of which are combined.
        search: what the values of other keys are drawn from.
        set: changes of the configuration for all settings, "key=value" each.
        points: how many points to draw; the size of the population.
        method: how points are chosen.
        asha: whether the worse trials are stopped early.
        perturb_every: env steps from one change of the population to the next; None is an eighth
            of a trial.
        metric: path of the result that is raised; None is the usual one.
        num_samples: seeds of each setting.
        seed: the first seed.
        replicas: seeds that one trial computes together; None is as many as can be.
        success_above: a seed is a success if its return per play is above this; None if unknown.
        judge_by: whose return that is.
        stop_steps: env steps of a trial; None is what the configuration says.
        checkpoint_frequency: iterations between two checkpoints; 0 for none.
    """

    configuration: str
    grids: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    search: Mapping[str, Distribution] = field(default_factory=dict)
    set: tuple[str, ...] = ()
    points: int = 20
    method: Literal["random", "optuna", "pbt"] = "random"
    asha: bool = False
    perturb_every: int | None = None
    metric: str | None = None
    num_samples: int = 20
    seed: int = 0
    replicas: int | None = None
    success_above: float | None = None
    judge_by: Literal["sampled", "greedy"] = "sampled"
    stop_steps: int | None = None
    checkpoint_frequency: int = 0

    def settings(
        self, grids: Mapping[str, Sequence[Any]], search: Mapping[str, Distribution]
    ) -> list[Setting]:
        """What is tried, where that is known before anything has run."""
        each = math.prod(map(len, grids.values()))
        seeds = 1 if self.method == "pbt" else self.num_samples
        trials = each * (self.points if search else 1) * seeds
        if trials > MOST_TRIALS:
            raise UsageError(
                f"This sweep has {shown(trials)} settings and seeds; allowed: at most "
                f"{MOST_TRIALS}."
            )
        points = search_space.drawn(search, self.points, self.seed) if search else [{}]
        return [one | point for point in points for one in search_space.combined(grids)]

    @property
    def needs_metric(self) -> bool:
        """Whether something is decided by the metric, or it was asked for."""
        return self.metric is not None or self.method != "random" or self.asha

    def scheduler(self, metric: str, clock: Clock, search: Mapping[str, Distribution]) -> Any:
        """Tune's scheduler for the chosen method, or None."""
        if self.method == "pbt":
            return searching.population_based_training(metric, clock, search, self.perturb_every)
        return searching.asha(metric, clock) if self.asha else None

    def searcher(self, metric: str, search: Mapping[str, Distribution]) -> Search | None:
        """What chooses points while trials run, or None."""
        if self.method != "optuna":
            return None
        searching.require_optuna()
        space = {path: distribution.domain() for path, distribution in search.items()}
        begin = partial(searching.optuna_search, metric, self.seed, space)
        return Search(self.points, tuple(search), begin)

    def fixed(self, search: Mapping[str, Distribution]) -> dict[str, Any]:
        """What a resumed sweep must ask for again, besides what its trials have in common."""
        fixed: dict[str, Any] = {"method": self.method, "asha": self.asha}
        if self.method != "random" or self.asha:
            fixed |= {"metric": self.metric, "perturb_every": self.perturb_every}
        if self.method != "random":
            fixed |= {"search": {path: [d.name, *d.arguments] for path, d in search.items()}}
            fixed |= {"seed": self.seed}
        if self.method == "optuna":
            fixed |= {POINTS: self.points, "seeds": self.num_samples}
        return fixed

    def about(self) -> About:
        """What is written down beside the results."""
        # A point that is chosen while others run has seeds of its own.
        first_seed = self.seed if self.method == "random" else None
        return About(
            self.configuration, first_seed, self.num_samples, self.success_above, self.judge_by
        )


class SweepPlan(Protocol):
    """What a sweep runs, and how its results are read."""

    settings: list[Setting]

    def experiment(self, storage: str, name: str) -> Experiment:
        """What Tune is to run."""
        ...

    def outcomes(self, results: Results) -> list[Outcome]:
        """What each setting has brought."""
        ...


def first_keys(paths: Sequence[str] | Mapping[str, Any]) -> list[str]:
    """The first keys of paths, each once."""
    return list(dict.fromkeys(path.split(".")[0] for path in paths))
