"""When trials stop, and what is said where results lack what they are stopped or judged by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray.tune import Stopper
from rich.console import Console

from rommeo_rllib.checks import is_finite_number
from rommeo_rllib.experiments.of_one_run import OfOneRun
from rommeo_rllib.experiments.trials import flat
from rommeo_rllib.naming import did_you_mean

_SAMPLED, _EVALUATED = "env_runners", "evaluation"
_RETURN = "env_runners/episode_return_mean"
_MOST_SHOWN = 6


class StopAtPaths(OfOneRun, Stopper):
    """Ends a trial when one of its results has reached a value; ends all if none ever could.

    Tune would pass over a misspelt path: nothing would stop a trial, and a scheduler would compare
    nothing.

    Args:
        stop: values by path ("num_env_steps_sampled_lifetime"); without any, trials end themselves.
        metric: path of a number that every trial is to report; None if none is needed.
        console: where it is said that a path stops nothing.

    Attributes:
        problem: what is wrong, in a sentence; None if nothing is.
    """

    def __init__(self, stop: Mapping[str, float], metric: str | None, console: Console):
        self._stop, self._metric, self._console = dict(stop), metric, console
        self._vain: set[str] = set()
        self.problem: str | None = None

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Whether this result is its trial's last one."""
        found = flat(result)
        reached = any(
            is_number(found.get(path)) and found[path] >= value
            for path, value in self._stop.items()
        )
        self._look_for_stop(found)
        self._look_for_metric(found, is_last=reached or bool(result.get("done")))
        # A scheduler must not compare what is no number.
        return reached or self.problem is not None

    def stop_all(self) -> bool:
        """Whether the experiment is over."""
        return self.problem is not None

    def _look_for_stop(self, found: Mapping[str, Any]) -> None:
        for path in self._stop:
            if path not in self._vain and _is_absent(path, found):
                self._vain.add(path)
                said = f"`stop` names {path!r}, which is {_instead(path, found)}"
                if self._vain == self._stop.keys():
                    self.problem = f"Nothing would end a trial: {said}"
                else:
                    self._console.print(f"Note: {said}", soft_wrap=True, highlight=False)

    def _look_for_metric(self, found: Mapping[str, Any], *, is_last: bool) -> None:
        path = self._metric
        if path is None or self.problem is not None:
            return
        if is_number(found.get(path)):
            return
        if path in found or is_last or _is_absent(path, found):
            self.problem = f"--metric {path}: this is {_instead(path, found)}"


def is_number(value: Any) -> bool:
    """Whether results can be compared by it; a mean of nothing is NaN, and still a number."""
    return isinstance(value, float) or is_finite_number(value)


def _is_absent(path: str, found: Mapping[str, Any]) -> bool:
    """Whether a path is in no result, also in none to come, as far as this one tells."""
    if path in found:
        return False
    section, _, inside = path.partition("/")
    if section in (_SAMPLED, _EVALUATED):
        # Before an episode has ended there is little in it.
        prefix = "" if section == _SAMPLED else f"{_EVALUATED}/"
        return found.get(f"{prefix}{_RETURN}") is not None
    folder = path.rpartition("/")[0]
    if not inside:
        return True
    return section != "learners" or any(name.startswith(f"{folder}/") for name in found)


def _instead(path: str, found: Mapping[str, Any]) -> str:
    if path in found:
        return f"no number but {type(found[path]).__name__}; allowed: the path of a number."
    numbers = sorted(name for name, value in found.items() if is_number(value))
    near = did_you_mean(path, numbers)
    common = [name for name in numbers if name.rpartition("/")[0] == path.rpartition("/")[0]]
    shown = ", ".join((common or numbers)[:_MOST_SHOWN])
    return f"in no result.{near} There are {shown}, ..."
