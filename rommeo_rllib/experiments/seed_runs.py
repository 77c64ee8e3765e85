"""What a run over several seeds has brought, one entry a seed.

A seed may have been a trial of its own or one of the replicas of a trial.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rommeo_rllib.errors import CommandError
from rommeo_rllib.experiments.trials import ENV_STEPS, TrialResult

if TYPE_CHECKING:
    import pandas as pd

_AGENT_RETURNS = "{}env_runners/agent_episode_returns_mean/"
_RETURN = "{}env_runners/{}episode_return_mean"
_LENGTH = "{}env_runners/{}episode_len_mean"
_EVALUATION = "evaluation/"
_REPLICAS = "replicas/"
_LEARNERS = "learners/"


@dataclass
class SeedRun:
    """One seed's results over time.

    Attributes:
        seed: its seed.
        checkpoint: folder of the trial's last checkpoint, or None.
        replica: which replica of the trial it was, or None if it was the whole trial.
        env_steps: (reports,).
        returns: (reports,), return of an agent per play (env step), sampled actions, mean over the
            latest episodes.
        greedy_returns: (reports,), the same with greedy actions; NaN where not evaluated.
        metrics: the learners' metrics by "policy/metric", (reports,) each; NaN before the first
            update.
    """

    seed: int
    checkpoint: str | None
    replica: int | None
    env_steps: np.ndarray
    returns: np.ndarray
    greedy_returns: np.ndarray
    metrics: dict[str, np.ndarray]

    def row(self) -> dict[str, Any]:
        """The seed's line in the table."""
        greedy = self.greedy_returns[np.isfinite(self.greedy_returns)]
        return {
            "seed": self.seed,
            "env_steps": int(self.env_steps[-1]),
            "return_per_play": float(self.returns[-1]),
            "greedy_return_per_play": float(greedy[-1]) if len(greedy) else None,
            "checkpoint": self.checkpoint,
            "replica": self.replica,
        }

    def metrics_named(self, prefix: str) -> dict[str, np.ndarray]:
        """Those metrics whose own name, behind the policy's, begins with `prefix`."""
        return {k: v for k, v in self.metrics.items() if k.split("/")[-1].startswith(prefix)}

    def metric(self, name: str) -> np.ndarray | None:
        """The metric of that name, (reports,), mean over policies; None if none reports it."""
        found = [v for k, v in self.metrics.items() if k.split("/")[-1] == name]
        with np.errstate(invalid="ignore"):
            return np.mean(found, axis=0) if found else None

    def stored_actions(self) -> np.ndarray | None:
        """The joint actions in the checkpoint's replay buffer, oldest first.

        Returns:
            (plays, agents) as RLlib stores them, in [-1, 1] if continuous; None if the checkpoint
            holds no replay or the agents did not all act at each env step.
        """
        if self.checkpoint is None or "://" in self.checkpoint:
            return None
        folder = "replay_buffer" if self.replica is None else f"replay_buffer@{self.replica}"
        path = Path(self.checkpoint) / folder / "transitions.npz"
        if not path.is_file():
            return None
        from rommeo_rllib.joint_action.replay.files import open_arrays

        try:
            with path.open("rb") as file, open_arrays(file) as arrays:
                names = sorted(name for name in arrays.files if name.endswith("/actions"))
                acted = [arrays[name.replace("actions", "acted_by")] for name in names]
                if not names or any((column < 0).any() for column in acted):
                    return None
                actions = [arrays[name] for name in names]
            return np.stack([column.reshape(len(column), -1)[:, 0] for column in actions], axis=-1)
        except (EOFError, LookupError, MemoryError, OSError, TypeError, ValueError) as error:
            raise CommandError(
                f"{path} cannot be read: {error}. Without it only the plays are left out."
            ) from error


def seed_runs(results: Iterable[Any]) -> list[SeedRun]:
    """The seeds of results that ended well, in the order of seeds."""
    runs = [run for result in results if result.error is None for run in _runs_of(result)]
    return sorted(runs, key=lambda run: run.seed)


def _runs_of(result: Any) -> list[SeedRun]:
    frame = _without_undone(result.metrics_dataframe)
    checkpoint = result.checkpoint.path if result.checkpoint else None
    replicas = result.config.get("replicas", 1)
    return [
        SeedRun(
            seed=result.config["seed"] + replica,
            checkpoint=checkpoint,
            replica=replica if replicas > 1 else None,
            env_steps=frame[ENV_STEPS].to_numpy(),
            returns=_returns_per_play(frame, "", replica, replicas),
            greedy_returns=_returns_per_play(frame, _EVALUATION, replica, replicas),
            metrics=_metrics(frame, replica, replicas),
        )
        for replica in range(_asked(result, replicas))
    ]


def _asked(result: Any, replicas: int) -> int:
    """How many of a trial's replicas were asked for; it may have computed more."""
    own = isinstance(result, TrialResult) and result.trial.seed is not None
    return len(result.trial.seeds) if own else replicas


def _without_undone(frame: pd.DataFrame) -> pd.DataFrame:
    """Without what a trial had done after the checkpoint that it went on from later.

    A trial whose process was lost reports the same env steps again; no step may count twice.
    """
    steps = frame[ENV_STEPS].to_numpy()
    # The least of all that came later; the last report has nothing behind it.
    later = np.minimum.accumulate(steps[::-1])[::-1]
    stands = np.append(steps[:-1] < later[1:], True)
    return frame[stands].reset_index(drop=True)


def _returns_per_play(frame: pd.DataFrame, where: str, replica: int, replicas: int) -> np.ndarray:
    agents = sum(column.startswith(_AGENT_RETURNS.format("")) for column in frame)
    inner = _REPLICAS if replicas > 1 else ""
    names = (_RETURN.format(where, inner), _LENGTH.format(where, inner))
    if any(name not in frame for name in names) or not agents:
        return np.full(len(frame), np.nan)
    total, length = (_of_replica(frame[name], replica, replicas) for name in names)
    return total / length / agents


def _metrics(frame: pd.DataFrame, replica: int, replicas: int) -> dict[str, np.ndarray]:
    prefix = _LEARNERS + (_REPLICAS if replicas > 1 else "")
    names = [c for c in frame if c.startswith(prefix) and c.removeprefix(prefix).count("/") == 1]
    return {
        name.removeprefix(prefix): _of_replica(frame[name], replica, replicas) for name in names
    }


def _of_replica(column: pd.Series, replica: int, replicas: int) -> np.ndarray:
    if replicas == 1:
        import pandas as pd

        return pd.to_numeric(column, errors="coerce").to_numpy()
    picked = [value[replica] if isinstance(value, list) else np.nan for value in column]
    return np.array(picked, float)
