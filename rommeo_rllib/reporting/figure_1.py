"""The pictures of Figure 1 of the paper."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rommeo_rllib.reporting import tabular_figures
from rommeo_rllib.reporting.figures import save
from rommeo_rllib.reporting.tabular_figures import Trace
from rommeo_rllib.tabular import History

_REWARD_WINDOW = 10

_OPTIMUM = 11.0


def draw(histories: Mapping[str, Mapping[str, History]], out: Path) -> list[Path]:
    """Writes the three pictures; returns their paths."""
    rewards = {
        title: {name: history.rewards for name, history in learners.items()}
        for title, learners in histories.items()
    }
    p_optimum = {
        title: {name: history.p_optimum for name, history in learners.items()}
        for title, learners in histories.items()
    }
    traces = {title: _trace(learners["ROMMEO-Q"]) for title, learners in histories.items()}
    figures = {
        "figure-1a": tabular_figures.learning_curves(
            _titled(rewards, "1a  Reward, {}"),
            y_label=f"reward of a play (mean of the last {_REWARD_WINDOW} episodes)",
            mark=(_OPTIMUM, "optimum: 11"),
            limits=(None, 12.5),
            window=_REWARD_WINDOW,
        ),
        "figure-1b": tabular_figures.learning_curves(
            _titled(p_optimum, "1b  Convergence, {}"),
            y_label="probability of (A, A)",
            mark=(0.9, "converged: above 0.9"),
            limits=(-0.02, 1.02),
        ),
        "figure-1c": tabular_figures.opponent_model_traces(
            _titled(traces, "1c  ROMMEO-Q in trial 0, {}")
        ),
    }
    return [path for name, figure in figures.items() for path in save(figure, out, name)]


def _titled(panels: Mapping[str, Any], template: str) -> dict[str, Any]:
    return {template.format(title): panel for title, panel in panels.items()}


def _trace(history: History) -> Trace:
    """Agent i's model of the other one, and the other one's policy, in trial 0."""
    believed = [model[:, 0, 0] for model in history.opponent_models]
    played = [policy[:, 0, 0] for policy in reversed(history.policies)]
    return Trace(believed, played)
