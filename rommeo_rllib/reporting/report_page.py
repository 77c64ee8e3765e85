"""The page that `rommeo report` writes."""

from __future__ import annotations

import json
from collections.abc import Sequence

import rommeo_rllib
from rommeo_rllib.experiments.results import Experiment, Group
from rommeo_rllib.reporting.page import Html, bullets, element, joined, page, section, table
from rommeo_rllib.reporting.report_opponents import opponent_models
from rommeo_rllib.reporting.report_path import learning_paths
from rommeo_rllib.reporting.report_scores import Judgement, ranked
from rommeo_rllib.reporting.report_tasks import task_sections

_METHODS = (
    "Success rates: shares of seeds with 95 % Wilson intervals.",
    "IQM: interquartile mean, the mean of the middle half of the seeds. Intervals of IQM, means, "
    "curves and profiles: percentile bootstrap, seeds drawn anew. Below about twenty seeds these "
    "are too narrow; one seed has none, and where all seeds agree they vanish.",
    "Probability of improvement: that a seed of the one scores above a seed of the other, ties "
    "counting as a half.",
    "Performance profile: the share of seeds that score above each return.",
    "Curves: between two reports of a seed its earlier one counts; they end where the first seed "
    "ends. Bands are pointwise.",
)


def report_page(
    experiments: Sequence[Experiment], judgement: Judgement, command: str, title: str | None
) -> str:
    """The whole page.

    Args:
        experiments: what is reported.
        judgement: what counts as a success, and whose returns count.
        command: the command line that makes this page.
        title: its title; by default what was played.
    """
    groups = [group for experiment in experiments for group in experiment.groups]
    tasks = list(dict.fromkeys((g.task.game, g.task.details) for g in groups))
    sections, missing = [], [sentence for one in experiments for sentence in one.missing]
    for number, (game, details) in enumerate(tasks):
        inside = [g for g in groups if (g.task.game, g.task.details) == (game, details)]
        scored = ranked(inside, judgement)
        parts, notes = task_sections(scored, judgement, f"t{number}")
        # In the same order, so that a colour is a group's all over the page.
        inside = [one.group for one in scored]
        parts += [opponent_models(inside, f"t{number}"), learning_paths(inside, f"t{number}")]
        heading = f"{game} ({details})" if details else game
        sections.append(section(heading, *parts))
        missing += notes
    return page(
        title or _title(groups),
        element("p", _lede(groups), class_="lede"),
        _missing(missing),
        *sections,
        _how_made(experiments, command),
        _methods(),
        script="learning_path.js",
    )


def _title(groups: Sequence[Group]) -> str:
    algorithms = list(dict.fromkeys(group.algorithm for group in groups))
    games = list(dict.fromkeys(group.task.game for group in groups))
    most = 3
    who = ", ".join(algorithms) if len(algorithms) <= most else f"{len(algorithms)} algorithms"
    where = ", ".join(games) if len(games) <= most else f"{len(games)} games"
    return f"{who} on {where}"


def _lede(groups: Sequence[Group]) -> str:
    seeds = sum(_num_seeds(group) for group in groups)
    compared = "" if len(groups) == 1 else f" of {len(groups)} settings or algorithms"
    return (
        f"{seeds} {'seed' if seeds == 1 else 'seeds'}{compared}. Returns are those of an agent per "
        "play (env step); the seed is the unit of replication, and intervals are 95 % confidence "
        "intervals over seeds."
    )


def _num_seeds(group: Group) -> int:
    return len(group.runs) if group.tabular is None else int(group.config["trials"])


def _missing(sentences: Sequence[str]) -> Html:
    if not sentences:
        return element(
            "p", "Nothing is missing: all trials ended, all seeds have results.", class_="small"
        )
    heading = element("h2", "What is missing")
    return element(
        "section", heading, bullets(sentences), class_="notice", aria_label="What is missing"
    )


def _how_made(experiments: Sequence[Experiment], command: str) -> Html:
    """Commands, versions, configurations."""
    parts: list[Html] = []
    folders: dict[str, list[Html]] = {}
    for experiment in experiments:
        commands = experiment.about.commands if experiment.about else ()
        text = "\n".join(commands) if commands else "(no command line was recorded)"
        folders.setdefault(text, []).append(element("code", experiment.folder.name))
    for text, names in folders.items():
        parts += [element("p", "Results in ", joined(names, ", "), ":"), element("pre", text)]
    parts += [element("p", "This page:"), element("pre", command)]
    parts += [_versions(experiments), *_configurations(experiments)]
    return section("How this was made", *parts)


def _versions(experiments: Sequence[Experiment]) -> Html:
    found = [(e.folder.name, version) for e in experiments for version in e.versions]
    if not found:
        return element("p", "The results do not say which versions they were made with.")
    distinct = {json.dumps(version, sort_keys=True) for _, version in found}
    if len(distinct) == 1:
        found = found[:1]
    several = len(distinct) > 1
    packages = list(dict.fromkeys(package for _, version in found for package in version))
    headings = ["package", *((name for name, _ in found) if several else ["version"])]
    rows = [[package, *(version.get(package, "-") for _, version in found)] for package in packages]
    warning = (
        element("p", "The results were made with different versions.", class_="notice")
        if several
        else ""
    )
    own = rommeo_rllib.__version__
    caption = f"Versions that the results were made with; the page: rommeo-rllib {own}"
    return element("div", joined([warning, table(caption, headings, rows)]), class_="settings")


def _configurations(experiments: Sequence[Experiment]) -> list[Html]:
    """What each algorithm's configuration sets; where it differs by group, that is in its name."""
    groups = [group for experiment in experiments for group in experiment.groups]
    found: dict[Html, str] = {}
    for group in groups:
        rows = [[key, element("code", json.dumps(value))] for key, value in group.settings.items()]
        inner = table(
            f"Settings of {group.algorithm} that are not its defaults", ["key", "value"], rows
        )
        found.setdefault(element("div", inner, class_="settings"), group.name)
    return [
        element("details", element("summary", f"Configuration: {name}"), content)
        for content, name in found.items()
    ]


def _methods() -> Html:
    return section("How the numbers are computed", bullets(_METHODS))
