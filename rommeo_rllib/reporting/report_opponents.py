"""What a report says of opponent models: divergence, likelihoods, and whether they run ahead."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from rommeo_rllib.experiments.results import Group
from rommeo_rllib.experiments.seed_runs import SeedRun
from rommeo_rllib.reporting.figure_2 import episodes_to_stay_above
from rommeo_rllib.reporting.page import Html, element, section, table
from rommeo_rllib.reporting.page_figures import Line, draw_lines
from rommeo_rllib.reporting.report_scores import STEPS_LABEL, UNKNOWN, text_of
from rommeo_rllib.reporting.report_tasks import MOST_CURVES, line_of, picture
from rommeo_rllib.reporting.statistics import Interval, bootstrap_mean

_KL = "opponent_model_kl"
_MODEL, _PRIOR = "opponent_model_log_likelihood", "opponent_prior_log_likelihood"
_MODEL_MEAN, _POLICY_MEAN = "opponent_model_mean_0", "policy_mean_0"
# Of a policy that answers an opponent model: the mean over what that samples.
_MARGINAL_MEAN = f"marginal_{_POLICY_MEAN}"
# A mean has settled once it stays within this share of the way that it has gone.
_SETTLED = 0.1


def opponent_models(groups: Sequence[Group], name: str) -> Html:
    """The section, or nothing where no group has an opponent model."""
    pictures = [_divergence(groups, name), _likelihoods(groups, name), _means(groups, name)]
    leads = _leads(groups)
    if not any(pictures) and not leads:
        return Html("")
    drawn = element("div", *filter(None, pictures), class_="figures")
    return section("Opponent models", leads, drawn, level=3)


def _divergence(groups: Sequence[Group], name: str) -> Html:
    lines = _lines(groups, _KL)
    if not lines:
        return Html("")
    drawing = draw_lines(lines, x_label=STEPS_LABEL, y_label="KL(model || prior), nats")
    caption = "How far the opponent model leans away from what was really played."
    return picture("Divergence from the prior", drawing, f"{name}-kl", lines, caption)


def _likelihoods(groups: Sequence[Group], name: str) -> Html:
    """Under model and prior; of several groups the difference, for their curves would mingle."""
    if len(groups) > 1:
        lines = _lines(groups, _likelihood_gain)
        y_label = "log-likelihood, model less prior, nats"
        caption = "Of what was really played; below 0 the model leans elsewhere than the prior."
    else:
        model, prior = _lines(groups, _MODEL), _lines(groups, _PRIOR)
        lines = [
            *(replace(line, name="opponent model") for line in model),
            *(replace(line, name="prior", place=1, is_second=True) for line in prior),
        ]
        y_label = "log-likelihood, nats"
        caption = "Mean over policies; the prior is fitted to what was played, the model leans off."
    if not lines:
        return Html("")
    drawing = draw_lines(lines, x_label=STEPS_LABEL, y_label=y_label)
    return picture("Likelihood of real actions", drawing, f"{name}-likelihood", lines, caption)


def _likelihood_gain(run: SeedRun) -> np.ndarray | None:
    model, prior = run.metric(_MODEL), run.metric(_PRIOR)
    return None if model is None or prior is None else model - prior


def _means(groups: Sequence[Group], name: str) -> Html:
    """Of a single group: each policy's mean action, and what the other's model of it expects."""
    pairs = [pair for group in groups for pair in _pairs(group.runs)]
    if len(groups) != 1 or not pairs:
        return Html("")
    lines: list[Line] = []
    for place, (policy, modeller) in enumerate(dict.fromkeys(pairs)):
        for label, key, is_second in (
            (f"policy of {policy}", functools.partial(_policy_mean, policy), False),
            (
                f"{modeller}'s model of {policy}",
                functools.partial(_metric, f"{modeller}/{_MODEL_MEAN}"),
                True,
            ),
        ):
            line = line_of(groups[0], place, key)
            lines += [replace(line, name=label, is_second=is_second)] if line else []
    if not lines:
        return Html("")
    drawing = draw_lines(lines, x_label=STEPS_LABEL, y_label="mean action")
    caption = "Interquartile means over seeds, which may end at different optima."
    return picture("Policies and the models of them", drawing, f"{name}-means", lines, caption)


def _metric(key: str, run: SeedRun) -> np.ndarray | None:
    return run.metrics.get(key)


def _policy_mean(policy: str, run: SeedRun) -> np.ndarray:
    marginal = run.metrics.get(f"{policy}/{_MARGINAL_MEAN}")
    return run.metrics[f"{policy}/{_POLICY_MEAN}"] if marginal is None else marginal


def _leads(groups: Sequence[Group]) -> Html:
    rows = []
    for group in groups[:MOST_CURVES]:
        found = [lead(run) for run in group.runs]
        known = [value for value in found if np.isfinite(value)]
        if not known:
            continue
        interval = bootstrap_mean(known)
        if len(known) == 1:
            interval = Interval(interval.value, UNKNOWN, UNKNOWN)
        rows.append([group.name, f"{len(known)} of {len(found)}", text_of(interval)])
    if not rows:
        return Html("")
    caption = (
        "Lead of opponent models over the policies that they are about, in env steps, mean over "
        "agents [95 % interval over seeds]; above 0 the model is ahead. It is the env step from "
        "which the policy's mean stays within a tenth of its way from where it ends, less the one "
        "from which the model's mean stays there; a seed counts where both do. Nothing finer than "
        "the interval between two reports can be seen."
    )
    return table(caption, ["", "seeds", "lead"], rows)


def lead(run: SeedRun) -> float:
    """By how many env steps opponent models are ahead of policies, mean over two agents.

    NaN if there are not two policies of one continuous action each, or if a model never settles
    where the policy does.
    """
    leads = []
    for policy, modeller in _pairs([run]):
        own = _policy_mean(policy, run)
        expected = run.metrics[f"{modeller}/{_MODEL_MEAN}"]
        known = own[np.isfinite(own)]
        if not len(known) or np.ptp(known) == 0.0:
            return UNKNOWN
        tolerance = _SETTLED * np.ptp(known)
        # How near each is to the end, above 0 where it is near enough.
        policy_settles, model_settles = (
            episodes_to_stay_above(run, tolerance - np.abs(values - known[-1]), 0.0)
            for values in (own, expected)
        )
        leads.append(policy_settles - model_settles)
    finite = bool(leads) and bool(np.isfinite(leads).all())
    return float(np.mean(leads)) if finite else UNKNOWN


def _pairs(runs: Sequence[SeedRun]) -> list[tuple[str, str]]:
    """(policy, the policy whose model is about it), where there are two of one action each."""
    if not runs:
        return []
    metrics = runs[0].metrics
    policies = [key.split("/")[0] for key in metrics if key.endswith(f"/{_POLICY_MEAN}")]
    if len(policies) != 2 or any(key.endswith(("_mean_1", "/policy_mean_1")) for key in metrics):
        return []
    first, second = sorted(policies)
    pairs = [(first, second), (second, first)]
    return pairs if all(f"{other}/{_MODEL_MEAN}" in metrics for _, other in pairs) else []


def _lines(
    groups: Sequence[Group], values: str | Callable[[SeedRun], np.ndarray | None]
) -> list[Line]:
    of_run = (lambda run: run.metric(values)) if isinstance(values, str) else values
    found = (line_of(group, place, of_run) for place, group in enumerate(groups[:MOST_CURVES]))
    return [line for line in found if line]
