"""The trials of an experiment, in a file beside them: what each tries, and how far it is.

Trials are known by their settings and seeds. A trial's name and folder are made from these, so that
whoever asks for the same finds the same trial, in whatever order. The file is plain JSON, written
whole at each change: it says what has ended also while others run, and after a driver was killed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal, get_args

from rommeo_rllib.errors import CommandError
from rommeo_rllib.experiments.folders import Folder
from rommeo_rllib.file_versions import require_version

if TYPE_CHECKING:
    import pandas as pd

ENV_STEPS = "num_env_steps_sampled_lifetime"
"""Key of a result: how far a trial is."""

MOST_TRIALS = 100_000
"""Of an experiment, and seeds of a setting: each trial is a process's work and a folder."""

TRIALS_FILE = "rommeo-trials.json"
ROWS_FILE, CONFIG_FILE = "result.json", "params.json"
VERSION = 1
_MOST_IN_A_NAME = 100
_CHECKPOINT = re.compile(r"checkpoint_\d+")

Status = Literal["waiting", "running", "ended", "failed"]


@dataclass
class Trial:
    """A trial, as it is written down.

    Attributes:
        setting: the values that it tries, by the path of their key.
        seed: its first seed; None if the configuration says it.
        replicas: how many seeds it computes together.
        asked: how many of these, from the first on, were asked for.
        id: its name.
        folder: of its results, in the experiment's.
        now: those values that have been changed in mid-training.
        status: what was seen of it last; whether it has ended its results say, see `has_ended`.
        checkpoint: folder of its last checkpoint that was written whole, in its own.
        checkpoint_iteration: of the result that the checkpoint belongs to.
        error: why it failed, in one line.
    """

    setting: dict[str, Any]
    seed: int | None = None
    replicas: int = 1
    asked: int = 1
    id: str = ""
    folder: str = ""
    now: dict[str, Any] = field(default_factory=dict)
    status: Status = "waiting"
    checkpoint: str | None = None
    checkpoint_iteration: int = 0
    error: str | None = None

    def __post_init__(self) -> None:
        self.setting = as_json(self.setting)
        if not self.id:
            what = json.dumps([self.setting, self.seed, self.replicas], sort_keys=True)
            self.id = hashlib.sha256(what.encode()).hexdigest()[:10]

    @property
    def seeds(self) -> range:
        """The seeds that were asked for; none if the configuration says them."""
        return range(0) if self.seed is None else range(self.seed, self.seed + self.asked)

    @property
    def tried(self) -> dict[str, Any]:
        """The setting, as it is by now."""
        return self.setting | self.now

    @property
    def values(self) -> dict[str, Any]:
        """Setting and seed, for the name of its folder."""
        return self.setting | ({} if self.seed is None else {"seed": self.seed})

    @property
    def label(self) -> str:
        """What of it a folder's name can say."""
        text = ",".join(f"{path}={value}" for path, value in self.values.items())
        return re.sub(r"[^\w.,=+-]+", "_", text)[:_MOST_IN_A_NAME]


@dataclass
class Ledger:
    """All trials of an experiment, and what is the same for all.

    Attributes:
        fixed: what was asked for besides settings and seeds; a resumed command must ask for the
            same.
        trials: in the order in which they were asked for.
    """

    fixed: dict[str, Any]
    trials: list[Trial] = field(default_factory=list)

    def write(self, folder: Folder) -> None:
        """Writes all down."""
        content = {
            "version": VERSION,
            "fixed": self.fixed,
            "trials": [asdict(trial) for trial in self.trials],
        }
        folder.write(TRIALS_FILE, json.dumps(content, indent=1) + "\n")

    @classmethod
    def read(cls, folder: Folder) -> Ledger | None:
        """What is written down in a folder; None if nothing is.

        Raises:
            CommandError: if the file is damaged or of another version; it names the file.
        """
        text = folder.read(TRIALS_FILE)
        if text is None:
            return None
        where = f"{folder.where}/{TRIALS_FILE}"
        try:
            content = json.loads(text)
            version = content["version"]
        except (KeyError, RecursionError, TypeError, ValueError) as error:
            raise _damaged(where) from error
        try:
            require_version(where, version, VERSION)
        except ValueError as error:
            raise CommandError(f"{error} Or give another --name.") from error
        try:
            ledger = cls(content["fixed"], [_trial(**trial) for trial in content["trials"]])
        except (KeyError, TypeError) as error:
            raise _damaged(where) from error
        if not isinstance(ledger.fixed, dict):
            raise _damaged(where)
        return ledger


def _damaged(where: str) -> CommandError:
    return CommandError(f"{where} is damaged: bring back a copy of it, or give another --name.")


def _trial(**content: Any) -> Trial:
    """A trial that was written down; raises a TypeError unless that can be.

    Its folders are read, and removed where a trial begins anew; its name becomes part of one.
    """
    trial = Trial(**content)
    numbers = (trial.seed or 0, trial.replicas, trial.asked, trial.checkpoint_iteration)
    is_sensible = (
        all(type(number) is int and number >= 0 for number in numbers)
        and trial.asked <= trial.replicas <= MOST_TRIALS
        and isinstance(trial.setting, dict)
        and isinstance(trial.now, dict)
        and trial.status in get_args(Status)
        and isinstance(trial.error, str | None)
        and (not trial.folder or is_plain_name(trial.folder))
        and (trial.checkpoint is None or _CHECKPOINT.fullmatch(trial.checkpoint))
        and is_plain_name(trial.id)
    )
    if not is_sensible:
        raise TypeError(trial)
    return trial


def is_plain_name(name: str) -> bool:
    """Whether a name leads nowhere but into the folder in which it stands."""
    return name == Path(name).name and name != ".." and name.isprintable() and bool(name)


@dataclass
class TrialResult:
    """What a trial has brought, in the form of Ray Tune's `Result`.

    Attributes:
        trial: the trial.
        config: its configuration, as far as JSON can say it.
        rows: its results, flat: keys are "env_runners/episode_return_mean" and the like.
        metrics: its last result, as it was reported; empty before the first.
        checkpoint: has the `path` of its last checkpoint's folder; None if there is none.
        error: why it failed; None if it did not.
    """

    trial: Trial
    config: dict[str, Any]
    rows: list[dict[str, Any]] = field(default_factory=list, repr=False)
    metrics: dict[str, Any] = field(default_factory=dict, repr=False)
    checkpoint: Any = None
    error: Exception | None = None

    @property
    def metrics_dataframe(self) -> pd.DataFrame | None:
        """All its results; None before the first."""
        import pandas as pd

        return pd.DataFrame(self.rows) if self.rows else None


class Results(list[TrialResult]):
    """Trials that have ended or failed, and those that have not.

    Args:
        results: what there is.
        unfinished: those whose results do not count yet.
        interrupted: number of the signal that ended the run early; None if none did.
    """

    def __init__(
        self,
        results: Iterable[TrialResult] = (),
        unfinished: Sequence[TrialResult] = (),
        interrupted: int | None = None,
    ):
        super().__init__(results)
        self.unfinished = list(unfinished)
        self.interrupted = interrupted

    @property
    def is_partial(self) -> bool:
        """Whether anything that was asked for is not there."""
        return bool(self.unfinished or self.errors)

    @property
    def errors(self) -> list[Exception]:
        """Of those that failed."""
        return [result.error for result in self if result.error is not None]


def as_json(value: Any) -> Any:
    """A value as it will be read again; what JSON cannot say is named.

    Functions and classes are known by their names, objects by their contents.
    """
    try:
        return json.loads(json.dumps(value, default=_named, sort_keys=True))
    except TypeError:  # Keys that JSON has not, or that cannot be sorted.
        return json.loads(json.dumps(_with_text_keys(value), default=_named, sort_keys=True))


def _with_text_keys(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _with_text_keys(one) for key, one in value.items()}
    return [_with_text_keys(one) for one in value] if isinstance(value, list | tuple) else value


def _named(value: Any) -> Any:
    if isinstance(value, (set, frozenset)):
        return sorted(map(str, value))
    if hasattr(value, "tolist"):  # NumPy's numbers and arrays.
        return value.tolist()
    name = getattr(value, "__qualname__", None)
    if name is not None:
        return name
    content = getattr(value, "__dict__", {})
    return {"class": type(value).__qualname__} | {k: v for k, v in content.items() if k[0] != "_"}


def read_result(trial: Trial, folder: Folder) -> TrialResult:
    """What a trial has brought so far.

    Raises:
        CommandError: if a file is damaged; it names the file. A last line that is still being
            written is left out.
    """
    where = f"{folder.where}/{trial.folder}"
    rows: list[dict[str, Any]] = []
    last: dict[str, Any] = {}
    config: dict[str, Any] = {}
    if trial.folder:
        lines = (folder.read(f"{trial.folder}/{ROWS_FILE}") or "").splitlines()
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
                row.pop("config", None)
                rows.append(flat(row))
                last = row
            except (AttributeError, RecursionError, TypeError, ValueError) as error:
                if number < len(lines):
                    raise CommandError(
                        f"{where}/{ROWS_FILE}, line {number}, is damaged: remove the trial's "
                        "folder, and --resume runs it again."
                    ) from error
        config = _config(trial, folder, where)
    checkpoint = None
    if trial.checkpoint is not None:
        checkpoint = SimpleNamespace(path=f"{where}/{trial.checkpoint}")
    failure = None
    if trial.status == "failed":
        failure = CommandError(trial.error or "no reason is known")
    return TrialResult(trial, config, rows, last, checkpoint, failure)


def _config(trial: Trial, folder: Folder, where: str) -> dict[str, Any]:
    text = folder.read(f"{trial.folder}/{CONFIG_FILE}")
    try:
        config: dict[str, Any] = dict(json.loads(text or "{}"))
    except (RecursionError, TypeError, ValueError) as error:
        raise CommandError(
            f"{where}/{CONFIG_FILE} is damaged: remove the trial's folder, and --resume runs it "
            "again."
        ) from error
    if trial.seed is not None:
        config |= {"seed": trial.seed, "replicas": trial.replicas}
    return config


def has_ended(result: TrialResult, *, with_checkpoint: bool = False) -> bool:
    """Whether a trial has come to its end, and has its last checkpoint where one is asked for."""
    last = result.metrics
    saved = result.trial.checkpoint_iteration == last.get("training_iteration")
    ended = last.get("done") is True and result.error is None
    return ended and (saved or not with_checkpoint)


def flat(row: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} -> {"a/b": 1}."""
    found: dict[str, Any] = {}
    for key, value in row.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and value:
            found |= flat(value, f"{name}/")
        else:
            found[name] = value
    return found
