"""What the settings of a sweep have brought, and the table of it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rommeo_rllib.experiments.seed_runs import seed_runs
from rommeo_rllib.reporting.statistics import Interval, bootstrap_mean, success_rate

if TYPE_CHECKING:
    from rommeo_rllib.experiments.seed_runs import SeedRun

ALPHA = "alpha"


@dataclass(frozen=True)
class Outcome:
    """What one setting has brought.

    Attributes:
        setting: the values that were tried, by the path of their key; alpha's whole schedule under
            "alpha".
        seeds: how many seeds there are results of.
        success: the share of them that succeeded, where it is known what success is.
        mean: return of an agent per play, mean over seeds.
        runs: the seeds, where their curves are known.
    """

    setting: Mapping[str, Any]
    seeds: int
    success: Interval | None
    mean: Interval
    runs: Sequence[SeedRun] = field(default=(), compare=False)

    @property
    def alpha(self) -> Any:
        """Alpha, or its schedule; None if it was not swept."""
        return self.setting.get(ALPHA)

    @property
    def goodness(self) -> tuple[float, float]:
        """What settings are ranked by: successes, then return."""
        return (self.success.value if self.success else 0.0, self.mean.value)

    def row(self) -> dict[str, Any]:
        """The setting's entry in the JSON table."""
        others = {path: value for path, value in self.setting.items() if path != ALPHA}
        return {
            ALPHA: self.alpha,
            **({"settings": others} if others else {}),
            "seeds": self.seeds,
            "success": self.success and self.success.as_dict("rate"),
            "return_per_play": {
                # Bounds that are not known are null: JSON has no NaN.
                name: None if math.isnan(number) else number
                for name, number in self.mean.as_dict("mean").items()
            },
        }


def outcome_of(
    setting: Mapping[str, Any],
    runs: Sequence[SeedRun],
    success_above: float | None,
    *,
    greedy: bool = False,
) -> Outcome:
    """The outcome of a setting's seeds, at least one, by their sampled or greedy return."""
    key = "greedy_return_per_play" if greedy else "return_per_play"
    returns = [run.row()[key] for run in runs]
    success = None
    if success_above is not None:
        success = success_rate(sum(value > success_above for value in returns), len(returns))
    return Outcome(setting, len(returns), success, bootstrap_mean(returns), runs)


def outcomes_of(
    results: Iterable[Any],
    setting_of: Callable[[Any], Mapping[str, Any]],
    success_above: float | None,
    *,
    apart: bool = False,
    greedy: bool = False,
) -> list[Outcome]:
    """All trials' outcomes, in the order of trials.

    Args:
        results: of trials.
        setting_of: finds out what setting a result is of.
        success_above: what makes a seed a success, if that is known.
        apart: whether each trial is an outcome of its own, though others may end with its values.
        greedy: whether greedy returns count, not sampled ones.
    """
    return [
        outcome_of(setting, runs, success_above, greedy=greedy)
        for setting, runs in grouped(results, setting_of, apart=apart)
    ]


def grouped(
    results: Iterable[Any],
    setting_of: Callable[[Any], Mapping[str, Any]],
    *,
    apart: bool = False,
) -> list[tuple[Mapping[str, Any], list[SeedRun]]]:
    """The seeds of each setting, in the order of trials; arguments as for `outcomes_of`."""
    trials: dict[Any, list[Any]] = {}
    for index, result in enumerate(result for result in results if result.error is None):
        key = index if apart else json.dumps(setting_of(result), sort_keys=True, default=repr)
        trials.setdefault(key, []).append(result)
    return [(setting_of(group[0]), seed_runs(group)) for group in trials.values()]


def describe(setting: Mapping[str, Any]) -> str:
    """A setting in few words."""
    parts = []
    for path, value in setting.items():
        text = f"{value:.4g}" if isinstance(value, float) else str(value)
        ends = (
            [value.get(key) for key in ("initial", "final")] if isinstance(value, dict) else [None]
        )
        if all(isinstance(end, int | float) for end in ends) and "decay_steps" in value:
            text = (
                f"{ends[0]:g} to {ends[1]:g} in {value['decay_steps']} env steps, "
                f"{value.get('kind', 'linear')}"
            )
        parts.append(f"{path} {text}")
    return "; ".join(parts)
