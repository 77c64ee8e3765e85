"""How far all trials of an experiment are, for a person to read."""

from __future__ import annotations

import datetime
import time
from collections import Counter
from typing import Any

from ray.tune import Callback
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from rommeo_rllib.experiments.of_one_run import OfOneRun
from rommeo_rllib.experiments.trials import ENV_STEPS

_SECONDS_BETWEEN_LINES = 10.0


class ProgressCallback(OfOneRun, Callback):
    """A progress bar over the env steps of all trials; without a terminal a line now and then.

    Args:
        num_trials: trials in all.
        steps_per_trial: env steps at which a trial stops; 0 if that is not known.
        metric: path of the result to show the best of.
        console: where to show it.
        ended: how many trials had ended before.
    """

    def __init__(
        self,
        num_trials: int,
        steps_per_trial: int,
        metric: str,
        console: Console,
        *,
        ended: int = 0,
    ):
        self._ended, self._ended_steps = ended, ended * steps_per_trial
        self._console = console
        self._metric = metric
        self._num_trials = num_trials
        self._total_steps = num_trials * steps_per_trial
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            # Knows how to show a total that is not known.
            MofNCompleteColumn(),
            TextColumn("env steps"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("starting Ray", total=self._total_steps or None)
        # Of trials that were done before this session we know only from Tune's list.
        self._steps_before: int | None = None
        self._latest: dict[str, float] = {}
        self._began = self._last_line = time.monotonic()

    def setup(self, **info: Any) -> None:
        """The experiment begins."""
        self._progress.start()

    def on_experiment_end(self, trials: list[Any], **info: Any) -> None:
        """The experiment is over."""
        self._progress.stop()

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial begins."""
        self._show(trials)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """A trial has reported."""
        value = nested(result, self._metric)
        if value is not None:
            self._latest[trial.trial_id] = value
        self._show(trials)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial has come to its end."""
        self._show(trials)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial has failed."""
        self._show(trials)

    def _show(self, trials: list[Any]) -> None:
        number = Counter(trial.status for trial in trials)
        text = f"{self._ended + number['TERMINATED']}/{self._num_trials} trials done"
        text += f", {number['RUNNING']} running"
        if number["ERROR"]:
            text += f", {number['ERROR']} failed"
        if self._latest:
            text += f", best {self._metric.split('/')[-1]} {max(self._latest.values()):.2f}"
        steps = self._ended_steps
        steps += sum(int((trial.last_result or {}).get(ENV_STEPS, 0)) for trial in trials)
        if self._steps_before is None:
            self._steps_before = steps
        self._progress.update(self._task, description=text, completed=steps)
        late = time.monotonic() - self._last_line > _SECONDS_BETWEEN_LINES
        if not self._console.is_terminal and late:
            self._last_line = time.monotonic()
            left = self._time_left(steps)
            of_all = f"{steps}/{self._total_steps or '?'} env steps"
            self._console.print(f"{text}, {of_all}{left}", highlight=False)

    def _time_left(self, steps: int) -> str:
        """An estimate, at the pace of this session."""
        done = steps - (self._steps_before or 0)
        if not self._total_steps or done <= 0:
            return ""
        pace = done / (time.monotonic() - self._began)
        seconds = round(max(self._total_steps - steps, 0) / pace)
        return f", about {datetime.timedelta(seconds=seconds)} left"


def nested(result: dict[str, Any], path: str) -> float | None:
    """The number at `path` ("a/b/c") of a nested result, or None where there is none."""
    value: Any = result
    for key in path.split("/"):
        value = value.get(key) if isinstance(value, dict) else None
    is_number = isinstance(value, int | float) and value == value
    return float(value) if is_number else None
