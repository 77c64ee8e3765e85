"""Has Ray Tune run the trials that are listed, and writes down how far each is.

Tune restores an experiment from pickles of its own: with the configuration as it was before a fault
in it was cured, and without a word of what it could not restore. So each run here is a new one for
Tune, of those trials that have not ended; a trial that has a checkpoint goes on from it.
"""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TextIO

import ray
from ray.tune import Callback, grid_search
from ray.tune.logger import LoggerCallback
from ray.tune.search.basic_variant import BasicVariantGenerator
from ray.tune.utils.util import SafeFallbackEncoder
from rich.console import Console

from rommeo_rllib.errors import reason
from rommeo_rllib.experiments.folders import Folder, write_whole
from rommeo_rllib.experiments.of_one_run import OfOneRun
from rommeo_rllib.experiments.settings import value_at
from rommeo_rllib.experiments.signals import STOPPING, raise_interrupt
from rommeo_rllib.experiments.trials import CONFIG_FILE, ROWS_FILE, Ledger, Trial, as_json
from rommeo_rllib.rllib_boundary.tune import go_on, rename_trial

_NUMBER = "__trial__"
_OF_A_FAILURE = ("error.txt", "error.pkl")


class ListedTrials(BasicVariantGenerator):
    """Gives Tune trials with the names, folders and checkpoints that are written down.

    Args:
        configs: the trials, each with its whole configuration.
        where: the experiment's folder, path or URI.
    """

    def __init__(self, configs: Sequence[tuple[Trial, dict[str, Any]]], where: str):
        super().__init__()
        self._configs, self._where = configs, where

    def space(self) -> dict[str, Any]:
        """What Tune is told to search: the trials' numbers."""
        return {_NUMBER: grid_search(list(range(len(self._configs))))}

    def next_trial(self) -> Any:
        """Tune's next trial, made into the listed one."""
        made = super().next_trial()
        if made is None:
            return None
        trial, config = self._configs[made.config[_NUMBER]]
        rename_trial(self, made, trial.id)
        made.config = config
        made.evaluated_params = dict(trial.values)
        made.experiment_tag = trial.label
        trial.folder = trial.folder or f"{made.trainable_name}_{trial.id}_{trial.label}"
        made.relative_logdir = made.storage.trial_dir_name = trial.folder
        if trial.checkpoint is not None:
            go_on(made, f"{self._where}/{trial.folder}/{trial.checkpoint}")
        return made

    # What Tune stores of a search nobody restores: see above.
    def save_to_dir(self, dirpath: str, session_str: str) -> None:
        """Stores nothing."""


class WriteDown(OfOneRun, Callback):
    """Keeps the file of trials up to date.

    Args:
        ledger: all trials.
        folder: where the file is.
        paths: the keys whose values trials may change in mid-training, or get from a search.
    """

    def __init__(self, ledger: Ledger, folder: Folder, paths: Iterable[str]):
        self._ledger, self._folder, self._paths = ledger, folder, tuple(paths)
        self._by_id = {trial.id: trial for trial in ledger.trials}

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial begins, or goes on."""
        known = self._of(trial)
        known.status, known.error = "running", None
        self._write()

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial has come to its end."""
        self._of(trial).status = "ended"
        self._write()

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial has failed for good."""
        known = self._of(trial)
        # Tune appends a failure to those before it.
        text = Path(trial.error_file).read_text(errors="replace") if trial.error_file else ""
        known.status = "failed"
        known.error = reason(text.split("Failure # ")[-1])
        self._write()

    def on_checkpoint(
        self, iteration: int, trials: list[Any], trial: Any, checkpoint: Any, **info: Any
    ) -> None:
        """A checkpoint has been written whole."""
        known = self._of(trial)
        known.checkpoint = Path(checkpoint.path).name
        known.checkpoint_iteration = (trial.last_result or {}).get("training_iteration", 0)
        self._write()

    def _of(self, made: Any) -> Trial:
        values = {path: value_at(made.config, path) for path in self._paths}
        if made.trial_id not in self._by_id:
            trial = Trial(values, id=made.trial_id, folder=made.storage.trial_dir_name)
            self._by_id[trial.id] = trial
            self._ledger.trials.append(trial)
        trial = self._by_id[made.trial_id]
        trial.folder = made.storage.trial_dir_name
        if trial.seed is None and "seed" in made.config and "trials" not in made.config:
            trial.seed = made.config["seed"]
            trial.replicas = trial.asked = made.config.get("replicas", 1)
        if values != trial.setting:
            trial.now = as_json(values)
        return trial

    def _write(self) -> None:
        self._ledger.write(self._folder)


class WriteRows(OfOneRun, LoggerCallback):
    """Writes results as Tune does, but into the storage at once: a killed driver loses none.

    Args:
        folder: the experiment's, on this machine.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._open: dict[Any, TextIO] = {}

    def log_trial_start(self, trial: Any) -> None:
        """Opens the file of results; those of a trial that begins anew are removed."""
        self.log_trial_end(trial)
        trial.init_local_path()
        folder = self._folder / trial.storage.trial_dir_name
        folder.mkdir(parents=True, exist_ok=True)
        for name in _OF_A_FAILURE:
            (folder / name).unlink(missing_ok=True)
        text = json.dumps(trial.config, indent=2, sort_keys=True, cls=SafeFallbackEncoder)
        write_whole(folder / CONFIG_FILE, text)
        self._open[trial] = (folder / ROWS_FILE).open("a" if trial.checkpoint else "w")

    def log_trial_result(self, iteration: int, trial: Any, result: dict[str, Any]) -> None:
        """Appends a result."""
        if trial not in self._open:
            self.log_trial_start(trial)
        self._open[trial].write(json.dumps(result, cls=SafeFallbackEncoder) + "\n")
        self._open[trial].flush()

    def log_trial_end(self, trial: Any, failed: bool = False) -> None:
        """Closes the file."""
        if trial in self._open:
            self._open.pop(trial).close()


class RequireNodes(OfOneRun, Callback):
    """Ends a run whose cluster has no node left: Tune would wait for one for ever."""

    _SECONDS = 10.0

    def __init__(self) -> None:
        self._looked = time.monotonic()

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Looks now and then.

        Raises:
            RuntimeError: if no node is alive.
        """
        if time.monotonic() - self._looked < self._SECONDS:
            return
        self._looked = time.monotonic()
        if not any(node["Alive"] for node in ray.nodes()):
            raise RuntimeError(
                "Ray has no node left: its process (raylet) ended; run again with --resume."
            )


class CatchSignals(OfOneRun, Callback):
    """Has Tune stop at Ctrl-C or SIGTERM, and remembers which it was; a second one ends at once.

    Tune itself listens to Ctrl-C alone and does not say afterwards that it was stopped.

    Args:
        console: where it is said.
    """

    def __init__(self, console: Console):
        self._console = console
        self._before: dict[int, Any] = {}
        self._tunes: Any = None
        self.caught: int | None = None

    def __enter__(self) -> CatchSignals:
        self._before = {number: signal.getsignal(number) for number in STOPPING}
        return self

    def __exit__(self, *_: object) -> None:
        if _in_main_thread():
            for number, handler in self._before.items():
                signal.signal(number, handler)

    def setup(self, **info: Any) -> None:
        """Tune has set its handler: it is called by ours."""
        if _in_main_thread():
            self._tunes = signal.getsignal(signal.SIGINT)
            for number in STOPPING:
                signal.signal(number, self._catch)

    def _catch(self, number: int, frame: Any) -> None:
        if self.caught is not None:
            raise_interrupt(number)
        self.caught = number
        self._console.print("Stopping ... (once more: at once)")
        self._tunes(number, frame)
        # Tune has put back what was there before it.
        signal.signal(signal.SIGINT, self._catch)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
