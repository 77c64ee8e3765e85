"""How a sweep chooses what to try next, and what to stop: Optuna, ASHA, population-based training.

Grids and random points need none of this, see `search_space`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rommeo_rllib.errors import UsageError
from rommeo_rllib.experiments.search_space import Distribution
from rommeo_rllib.experiments.settings import changed, value_at

# Shares of a trial's length: when ASHA first compares, and how often PBT does.
_FIRST_RUNG, _PERTURBATIONS = 1 / 9, 8


@dataclass(frozen=True)
class Clock:
    """What schedulers measure a trial's age by.

    Attributes:
        key: of a result.
        end: its value when a trial is complete.
    """

    key: str
    end: int


def require_optuna() -> None:
    """Raises a UsageError if Optuna is not installed."""
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "--method optuna needs Optuna: pip install 'rommeo-rllib[optuna]'."
        ) from error


def optuna_search(
    metric: str,
    seed: int,
    space: Mapping[str, Any],
    known: Sequence[tuple[Mapping[str, Any], float]],
) -> Any:
    """Optuna's sampler as Tune's searcher.

    Args:
        metric: what is to be great.
        seed: of the sampler.
        space: Tune's domains by path ("alpha.initial").
        known: points that were tried before, by path, and what they have brought.
    """
    import optuna
    from ray.tune.search.optuna import OptunaSearch

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # What goes on must not draw again what was drawn at first.
    sampler = optuna.samplers.TPESampler(seed=seed + len(known))
    search = OptunaSearch(
        _nested(space),
        metric=metric,
        mode="max",
        sampler=sampler,
        points_to_evaluate=[_by_slashes(point) for point, _ in known],
        evaluated_rewards=[value for _, value in known],
    )
    return search


def _by_slashes(point: Mapping[str, Any]) -> dict[str, Any]:
    return {path.replace(".", "/"): value for path, value in point.items()}


def asha(metric: str, clock: Clock) -> Any:
    """Stops the worse two thirds of the trials at a ninth, and again at a third, of their way."""
    from ray.tune.schedulers import ASHAScheduler

    grace = max(math.ceil(clock.end * _FIRST_RUNG), 1)
    return ASHAScheduler(
        time_attr=clock.key,
        metric=metric,
        mode="max",
        max_t=clock.end,
        grace_period=grace,
        reduction_factor=3,
    )


def population_based_training(
    metric: str, clock: Clock, search: Mapping[str, Distribution], every: int | None
) -> Any:
    """Now and then the worst quarter goes on from copies of the best, with changed values.

    Args:
        metric: what is to be great.
        clock: what time is measured by.
        search: the keys that change, and the bounds that they keep to.
        every: how often, by the clock; None for an eighth of a trial's length.
    """
    from ray.tune.schedulers import PopulationBasedTraining

    return PopulationBasedTraining(
        time_attr=clock.key,
        metric=metric,
        mode="max",
        perturbation_interval=every or max(clock.end // _PERTURBATIONS, 1),
        hyperparam_mutations=_nested({key: _mutation(d) for key, d in search.items()}),
        custom_explore_fn=_Clip(dict(search)),
        # Before a trial's first episode has ended there is nothing to compare.
        require_attrs=False,
    )


def _mutation(distribution: Distribution) -> Any:
    # Tune multiplies what it draws from an object; a list it walks along.
    is_choice = distribution.name == "choice"
    return list(distribution.arguments) if is_choice else distribution.domain()


def _nested(by_path: Mapping[str, Any]) -> dict[str, Any]:
    """{"alpha.initial": x} -> {"alpha": {"initial": x}}."""
    result: dict[str, Any] = {}
    for path, value in by_path.items():
        *outer, last = path.split(".")
        inner = result
        for key in outer:
            inner = inner.setdefault(key, {})
        inner[last] = value
    return result


@dataclass(frozen=True)
class _Clip:
    """Puts what a mutation has changed back within its bounds."""

    search: dict[str, Distribution]

    def __call__(self, config: dict[str, Any]) -> dict[str, Any]:
        values = {key: d.clipped(value_at(config, key)) for key, d in self.search.items()}
        return changed(config, values)
