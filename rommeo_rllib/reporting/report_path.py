"""The learning path of two continuous actions over the reward surface, as a moving picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rommeo_rllib.experiments.results import Group
from rommeo_rllib.experiments.seed_runs import SeedRun
from rommeo_rllib.reporting.page import Html, data, element, joined, section
from rommeo_rllib.reporting.page_figures import (
    Surface,
    add_path_layer,
    draw_surface,
    path_legend,
    surface_box,
)
from rommeo_rllib.reporting.themed_svg import as_text, themed_svg
from rommeo_rllib.reporting.train_figures import plays_on, reward_surface

_MOST_SEEDS = 12


def learning_paths(groups: Sequence[Group], name: str) -> Html:
    """The section, or nothing where the game is another one or no run has the policies' means."""
    config = groups[0].config
    surface = (
        None if "game" in config else reward_surface(config.get("env"), groups[0].task.settings)
    )
    if surface is None:
        return Html("")
    each = max(1, _MOST_SEEDS // len(groups))
    choices, runs = [], []
    for group in groups[:_MOST_SEEDS]:
        paths = [(run, path) for run in group.runs if (path := _path(run, surface))][:each]
        label = "" if len(groups) == 1 else f"{group.name}, "
        choices += [f"{label}seed {run.seed}" for run, _ in paths]
        runs += [path for _, path in paths]
    if not runs:
        return Html("")
    return section(
        "Learning path", _explained(runs), _player(choices, runs, surface, name), level=3
    )


def _explained(runs: Sequence[dict[str, Any]]) -> Html:
    plays = (
        "" if any(run["plays"] for run in runs) else " Plays were not stored with these results."
    )
    text = (
        "Each policy's mean action, and what the other agent's model expects of it, report by "
        "report; the ground is the stronger, the higher the reward of a joint action." + plays
    )
    return element("p", text, class_="small")


def _player(
    choices: Sequence[str], runs: Sequence[dict[str, Any]], surface: Surface, name: str
) -> Html:
    first = {key: np.array(runs[0][key]) for key in ("policy", "model", "plays") if runs[0][key]}
    description = (
        f"The learning path of {choices[0]} over the reward surface: policies end at "
        f"({first['policy'][-1][0]:.1f}, {first['policy'][-1][1]:.1f})."
    )
    svg = themed_svg(draw_surface(surface), f"{name}-surface", description)
    add_path_layer(svg, surface, first)
    options = [element("option", choice, value=index) for index, choice in enumerate(choices)]
    last = len(runs[0]["steps"]) - 1
    controls = element(
        "div",
        Html('<button type="button" data-part="button">Play</button>'),
        Html(
            f'<input type="range" data-part="slider" min="0" max="{last}" step="any" '
            f'value="{last}" aria-label="Moment of training">'
        ),
        element("select", *options, data_part="choice", aria_label="Which seed"),
        element("output", data_part="said"),
        class_="player",
        data_part="controls",
        hidden="hidden",
    )
    content = {
        "box": [round(value, 2) for value in surface_box()],
        "low": surface.low,
        "high": surface.high,
        "runs": runs,
    }
    identifier = f"{name}-paths"
    inner = joined(
        [
            Html(as_text(svg)),
            path_legend(plays=any(run["plays"] for run in runs)),
            controls,
            data(identifier, content),
        ]
    )
    return element("figure", inner, class_="alone", data_learning_path=identifier)


def _path(run: SeedRun, surface: Surface) -> dict[str, Any] | None:
    """What the script moves: env steps, means of policies and of models, alpha, plays."""
    agents = surface.names
    policy = _joint(run, "policy_mean_0", agents)
    if policy is None:
        return None
    # The model that agent 1 has is about agent 0.
    model = _joint(run, "opponent_model_mean_0", agents[::-1])
    alpha = run.metric("alpha")
    columns = [column for column in (policy, model) if column is not None]
    known = np.isfinite(np.concatenate(columns, axis=1)).all(1)
    if known.sum() < 2:
        return None
    plays = plays_on(surface, run)
    stored = 0 if plays is None else len(plays)
    return {
        "steps": run.env_steps[known].astype(int).tolist(),
        "policy": _rounded(policy[known]),
        "model": None if model is None else _rounded(model[known]),
        "alpha": None if alpha is None else [float(f"{a:.4g}") for a in alpha[known]],
        "plays": [] if plays is None else _rounded(plays),
        "first_play": int(run.env_steps[-1]) - stored,
    }


def _joint(run: SeedRun, metric: str, agents: Sequence[str]) -> np.ndarray | None:
    """(reports, 2); None if the policies are not called as the agents are."""
    columns = [run.metrics.get(f"{agent}/{metric}") for agent in agents]
    known = [column for column in columns if column is not None]
    return np.stack(known, axis=-1) if len(known) == 2 else None


def _rounded(values: np.ndarray) -> list[list[float]]:
    return np.round(values, 2).tolist()
