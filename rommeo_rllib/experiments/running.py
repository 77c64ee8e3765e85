"""Runs an experiment's trials with Ray Tune, and shows how far they are."""

from __future__ import annotations

import logging
import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console

from rommeo_rllib.errors import CommandError, Interrupted, UsageError, one_line, reason
from rommeo_rllib.experiments.about import About, write_about
from rommeo_rllib.experiments.folders import Folder
from rommeo_rllib.experiments.ownership import require_own_files
from rommeo_rllib.experiments.resuming import agreed, known
from rommeo_rllib.experiments.trials import (
    ENV_STEPS,
    Ledger,
    Results,
    Trial,
    as_json,
    has_ended,
    read_result,
)

# Processes and nodes are lost now and then; a trial that fails more often has a fault of its own.
_MAX_FAILURES = 2


@dataclass(frozen=True)
class Search:
    """A search that chooses points while trials run.

    Attributes:
        count: how many points.
        paths: the keys that it chooses values of.
        begin: what makes Tune's searcher, from the points that are known (values by path) and what
            they have brought.
    """

    count: int
    paths: tuple[str, ...]
    begin: Callable[[list[tuple[dict[str, Any], float]]], Any]


@dataclass
class Experiment:
    """What is tried, and where results go.

    Attributes:
        trainable: a Trainable class.
        config: what all trials have in common, an AlgorithmConfig or a dict.
        stop: Tune's stopping criteria.
        storage: folder or URI for all experiments.
        name: this experiment's folder in it.
        trials: what is asked for; with a search nothing.
        configured: the values of a configuration's keys that a trial's setting changes; None where
            settings are empty.
        fixed: what a resumed command must ask for again, as JSON can say it.
        metric: path of the result to show the best of, which is the greatest.
        needs_metric: whether the experiment fails where no result has the metric.
        scheduler: Tune's, or None.
        changing: the keys whose values the scheduler changes in mid-training.
        search: what chooses points instead of `trials`, or None.
        checkpoint: whether each trial is saved at its end.
        checkpoint_frequency: iterations between two checkpoints; 0 for none before the end.
        tensorboard: whether to write event files for TensorBoard; they cost more than all other
            records together.
        about: what was asked for, to be written down beside the results.
    """

    trainable: Any
    config: Any
    stop: dict[str, Any]
    storage: str
    name: str
    trials: list[Trial] = field(default_factory=list)
    configured: Callable[[Mapping[str, Any]], dict[str, Any]] | None = None
    fixed: dict[str, Any] = field(default_factory=dict)
    metric: str = "env_runners/episode_return_mean"
    needs_metric: bool = False
    scheduler: Any = None
    changing: tuple[str, ...] = ()
    search: Search | None = None
    checkpoint: bool = True
    checkpoint_frequency: int = 0
    tensorboard: bool = True
    about: About | None = None

    @property
    def folder(self) -> str:
        """Where this experiment's results are."""
        return f"{self.storage}/{self.name}"

    @property
    def num_trials(self) -> int:
        """How many trials are asked for."""
        return self.search.count if self.search else len(self.trials)

    def config_of(self, trial: Trial) -> dict[str, Any]:
        """A trial's whole configuration."""
        changed = self.configured(trial.tried) if self.configured and trial.tried else {}
        if isinstance(self.config, dict):
            return {**self.config, **changed}
        config = self.config.copy(copy_frozen=False)
        seeds = {} if trial.seed is None else {"seed": trial.seed}
        if seeds and hasattr(config, "replicas"):
            seeds["replicas"] = trial.replicas
        for key, value in {**changed, **seeds}.items():
            setattr(config, key, value)
        return dict(config.to_dict())


def run_trials(
    experiment: Experiment, console: Console, *, resume: bool = False, extend: bool = False
) -> Results:
    """Runs all trials to their end, showing progress; returns what they have brought.

    Args:
        experiment: what to run.
        console: where progress is shown.
        resume: go on with the experiment of that name: trials that have ended are kept; failed and
            unfinished ones go on from their checkpoints, or begin anew.
        extend: as `resume`, and run what is asked for and was not before.

    Raises:
        UsageError: if there is such an experiment and it is not to be gone on with, if it was asked
            for otherwise, or if another process runs it.
        CommandError: if what is written down there cannot be read.
    """
    _require_resources(experiment)
    folder = Folder(experiment.folder)
    with folder.locked():
        before = known(folder)
        if before is None and resume:
            console.print(
                f"Nothing to resume in {experiment.folder}: beginning.",
                soft_wrap=True,
                markup=False,
            )
        asked = Ledger(as_json(experiment.fixed), experiment.trials)
        ledger = agreed(asked, before, folder.where, resume=resume, extend=extend)
        if experiment.about is not None and folder.local is not None:
            write_about(experiment.about, folder.local)
        to_run = _to_run(experiment, ledger, folder)
        ledger.write(folder)
        caught = _fit(experiment, ledger, to_run, folder, console)
        return results_of(ledger, folder, with_checkpoint=experiment.checkpoint, caught=caught)


def _require_resources(experiment: Experiment) -> None:
    """Raises a UsageError if no trial could ever begin here: Tune would wait for ever.

    Clusters may grow, so that only this machine's own Ray is asked.
    """
    import ray

    if os.environ.get("RAY_ADDRESS") or len(ray.nodes()) != 1:
        return
    asked = experiment.trainable.default_resource_request(experiment.config)
    if asked is None:
        return
    there = ray.cluster_resources()
    lacking = [
        f"{amount:g} {name} (there: {there.get(name, 0):g})"
        for name, amount in asked.required_resources.items()
        if amount > there.get(name, 0)
    ]
    if lacking:
        raise UsageError(
            f"A trial needs {', '.join(lacking)}: lower num_env_runners, num_learners or what each "
            "of them is given, or set RAY_ADDRESS to a cluster that has as much."
        )
    if asked.strategy == "STRICT_SPREAD" and len(asked.bundles) > 1:
        raise UsageError(
            "`placement_strategy` is 'STRICT_SPREAD' on a single machine; allowed here: 'PACK' or "
            "'SPREAD'."
        )


def require_agreement(experiment: Experiment, *, resume: bool, extend: bool, trust: bool) -> None:
    """Raises what `run_trials` would of an experiment that was begun, before Ray is started.

    And a UsageError if checkpoints would be read that are another user's and not trusted.
    """
    folder = Folder(experiment.folder)
    asked = Ledger(as_json(experiment.fixed), experiment.trials)
    if folder.local is not None and (resume or extend):
        require_own_files(folder.local, trust=trust)
    agreed(asked, known(folder), folder.where, resume=resume, extend=extend)


def results_of(
    ledger: Ledger, folder: Folder, *, with_checkpoint: bool, caught: int | None = None
) -> Results:
    """What the trials of an experiment have brought so far."""
    results = [read_result(trial, folder) for trial in ledger.trials]
    done = [one for one in results if has_ended(one, with_checkpoint=with_checkpoint) or one.error]
    known_ids = {result.trial.id for result in done}
    unfinished = [result for result in results if result.trial.id not in known_ids]
    return Results(done, unfinished, caught)


def _to_run(experiment: Experiment, ledger: Ledger, folder: Folder) -> list[Trial]:
    """Those trials that have not ended, made ready to go on or to begin anew."""
    to_run = []
    for trial in ledger.trials:
        result = read_result(trial, folder)
        if has_ended(result, with_checkpoint=experiment.checkpoint):
            continue
        to_run.append(trial)
        iterations = [row.get("training_iteration") for row in result.rows]
        if trial.checkpoint_iteration not in iterations or folder.local is None:
            _begin_anew(trial, folder)
    if experiment.search is not None:
        # The search chooses other points in their place.
        for trial in to_run:
            _begin_anew(trial, folder)
            ledger.trials.remove(trial)
        to_run = []
    return to_run


def _begin_anew(trial: Trial, folder: Folder) -> None:
    """Forgets what a trial has done, whose results do not go together with its checkpoint."""
    trial.checkpoint, trial.checkpoint_iteration, trial.now = None, 0, {}
    if folder.local is not None and trial.folder:
        shutil.rmtree(folder.local / trial.folder, ignore_errors=True)


def _fit(
    experiment: Experiment,
    ledger: Ledger,
    to_run: list[Trial],
    folder: Folder,
    console: Console,
) -> int | None:
    """Has Tune run what is left; the number of the signal that ended it early, or None."""
    from ray import tune
    from ray.tune.logger import JsonLoggerCallback, TBXLoggerCallback

    from rommeo_rllib.experiments.listed_trials import (
        CatchSignals,
        ListedTrials,
        RequireNodes,
        WriteDown,
        WriteRows,
    )
    from rommeo_rllib.experiments.progress import ProgressCallback
    from rommeo_rllib.experiments.stopping import StopAtPaths

    search = experiment.search
    ended = len(ledger.trials) - len(to_run)
    left = search.count - ended if search else len(to_run)
    if left <= 0:
        return None
    listed: Any
    if search is None:
        listed = ListedTrials([(t, experiment.config_of(t)) for t in to_run], folder.where)
        space, samples, changing = listed.space(), 1, experiment.changing
    else:
        listed = search.begin(_points(ledger, folder, experiment.metric))
        space, samples, changing = experiment.config, left, search.paths
    steps = int(experiment.stop.get(ENV_STEPS, 0))
    paths = StopAtPaths(
        experiment.stop, experiment.metric if experiment.needs_metric else None, console
    )
    signals = CatchSignals(console)
    callbacks = [
        ProgressCallback(experiment.num_trials, steps, experiment.metric, console, ended=ended),
        WriteRows(folder.local) if folder.local is not None else JsonLoggerCallback(),
        # After what writes results: what has ended has them.
        WriteDown(ledger, folder, changing),
        signals,
        RequireNodes(),
    ]
    if experiment.tensorboard:
        callbacks.append(TBXLoggerCallback())
    tuner_arguments: dict[str, Any] = {
        "param_space": space,
        "tune_config": tune.TuneConfig(
            # A new process costs several seconds of CPU, as much as a short trial.
            reuse_actors=experiment.trainable.reset_config is not tune.Trainable.reset_config,
            search_alg=listed,
            scheduler=experiment.scheduler,
            num_samples=samples,
        ),
        "run_config": tune.RunConfig(
            name=experiment.name,
            storage_path=experiment.storage,
            stop=paths,
            verbose=0,
            callbacks=callbacks,
            failure_config=tune.FailureConfig(max_failures=_MAX_FAILURES),
            checkpoint_config=tune.CheckpointConfig(
                checkpoint_at_end=experiment.checkpoint,
                checkpoint_frequency=experiment.checkpoint_frequency,
            ),
        ),
    }
    with _tunes_switches(), tunes_errors_told(), signals:
        tune.Tuner(experiment.trainable, **tuner_arguments).fit()
    if paths.problem is not None:
        raise CommandError(paths.problem)
    return signals.caught


def _points(ledger: Ledger, folder: Folder, metric: str) -> list[tuple[dict[str, Any], float]]:
    """The points that are known, and what they have brought."""
    points = []
    for trial in ledger.trials:
        value = read_result(trial, folder).rows[-1].get(metric)
        if isinstance(value, int | float) and math.isfinite(value):
            points.append((trial.setting, float(value)))
    return points


@contextmanager
def _tunes_switches() -> Iterator[None]:
    """Within it Tune adds no loggers of its own, and bears with results that lack the metric.

    Before a trial's first episode has ended there is no return to report.
    """
    names = ("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "TUNE_DISABLE_STRICT_METRIC_CHECKING")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def tunes_errors_told() -> Iterator[None]:
    """Within it Tune's errors are told in a line each, but for those of trials.

    Trials' own stand in the file of trials and beside their results.

    Raises:
        CommandError: if Tune itself fails; it names the first cause, since Tune's tidying up may
            fail thereafter. An error of ours, an OSError and an interrupt come as they are.
    """
    logger, handler = logging.getLogger("ray.tune"), _OneLine()
    before, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield
    except Exception as error:
        raise _first_cause(error) from error
    finally:
        logger.removeHandler(handler)
        logger.propagate = before


def _first_cause(error: BaseException) -> BaseException:
    """What is told in place of an error: what it was raised from, or while that was handled."""
    seen = [error]
    while not isinstance(seen[-1], CommandError):
        last = seen[-1]
        earlier = last.__cause__ or (None if last.__suppress_context__ else last.__context__)
        if earlier is None or earlier in seen:
            break
        seen.append(earlier)
    first = seen[-1]
    if isinstance(first, CommandError | OSError) or not isinstance(first, Exception):
        return first
    return CommandError(f"Ray Tune could not run the trials: {one_line(first)}")


class _OneLine(logging.Handler):
    _OF_TRIALS = ("Trial task failed", "Trials did not complete")

    def emit(self, record: logging.LogRecord) -> None:
        said = next(iter(record.getMessage().strip().splitlines()), "")
        if said.startswith(self._OF_TRIALS):
            return
        error = record.exc_info[1] if record.exc_info else None
        reason = f" ({one_line(error)})" if error is not None else ""
        errors = Console(stderr=True)
        errors.print(f"Ray Tune: {said}{reason}", markup=False, highlight=False, soft_wrap=True)


def raise_if_incomplete(results: Results, where: str, again: str | None = None) -> None:
    """Raises an error unless all trials have ended well: it says how many have not, and why.

    Args:
        results: what there is.
        where: the experiment's folder.
        again: the command that goes on with it; None for options.

    Raises:
        Interrupted: if a signal has ended the run early.
        CommandError: if trials have failed or are missing.
    """
    errors, unfinished = results.errors, results.unfinished
    total = len(results) + len(unfinished)
    again = again or f"the same with --name {where.rsplit('/', 1)[-1]} --resume"
    if results.interrupted is not None:
        ended = f"{len(results) - len(errors)} of {total} trials in {where} have ended"
        raise Interrupted(results.interrupted, f"{ended}; {again} goes on.")
    if errors:
        first = reason(errors[0]).rstrip(".")
        raise CommandError(
            f"{len(errors)} of {total} trials failed; the first: {first}. Details are in {where}; "
            f"{again} runs them again."
        )
    if unfinished:
        raise CommandError(
            f"{len(unfinished)} of {total} trials in {where} have not come to their end; {again} "
            "goes on with them."
        )
