"""The pictures that `rommeo sweep` makes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from rommeo_rllib.reporting.figures import COLOURS, in_house_style, new_figure, save
from rommeo_rllib.reporting.tabular_figures import alpha_heat_map

if TYPE_CHECKING:
    from rommeo_rllib.commands.sweep import Outcome


def write_pictures(outcomes: list[Outcome], name: str, folder: Path) -> list[Path]:
    """Success (or return) against constant alphas, and a heat map over schedules."""
    pictures = []
    constants = [o for o in outcomes if not isinstance(o.alpha, dict)]
    schedules = [o for o in outcomes if isinstance(o.alpha, dict)]
    if len(constants) > 1:
        pictures.append(save(plot_constants(constants, name), folder, "constant_alpha")[0])
    if len(schedules) > 1 and all(o.success is not None for o in schedules):
        pictures.append(save(_heat_map(schedules, name), folder, "schedules")[0])
    return pictures


@in_house_style
def plot_constants(outcomes: list[Outcome], name: str) -> Figure:
    """Share of successes, or mean return, against alpha on a log axis, with intervals."""
    outcomes = sorted(outcomes, key=lambda outcome: outcome.alpha)
    shares = all(outcome.success is not None for outcome in outcomes)
    intervals = [o.success if shares and o.success is not None else o.mean for o in outcomes]
    value = np.array([interval.value for interval in intervals])
    low = value - np.array([interval.low for interval in intervals])
    high = np.array([interval.high for interval in intervals]) - value
    figure, axes = new_figure()
    axes.errorbar(
        [outcome.alpha for outcome in outcomes],
        value,
        np.nan_to_num(np.stack([low, high])),
        fmt="o-",
        color=COLOURS[0],
        capsize=3,
    )
    axes.set(
        xscale="log",
        xlabel="alpha (units of the reward)",
        ylabel="share of successes" if shares else "return of an agent per play",
        title=name,
    )
    if shares:
        axes.set_ylim(-0.03, 1.03)
    return figure


def _heat_map(outcomes: list[Outcome], name: str) -> Figure:
    initial = sorted({outcome.alpha["initial"] for outcome in outcomes})
    decay_steps = sorted({outcome.alpha["decay_steps"] for outcome in outcomes})
    share = np.full((len(decay_steps), len(initial)), np.nan)
    for outcome in outcomes:
        row = decay_steps.index(outcome.alpha["decay_steps"])
        if outcome.success is not None:
            share[row, initial.index(outcome.alpha["initial"])] = outcome.success.value
    schedule = outcomes[0].alpha
    title = f"{name}, alpha to {schedule['final']:g}, {schedule['kind']}, {outcomes[0].seeds} seeds"
    return alpha_heat_map(initial, decay_steps, share, title=title)
