"""`rommeo report`: results as one web page, and in the format of marl-eval."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from rommeo_rllib.commands import options
from rommeo_rllib.errors import CommandError, UsageError, reason
from rommeo_rllib.experiments import results
from rommeo_rllib.experiments.credentials import without_credentials
from rommeo_rllib.experiments.folders import write_whole
from rommeo_rllib.experiments.ray_session import import_ray_quietly
from rommeo_rllib.experiments.results import Experiment
from rommeo_rllib.reporting import report_page
from rommeo_rllib.reporting.marl_eval import Run, to_marl_eval
from rommeo_rllib.reporting.report_scores import Judgement

_SENSELESS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What numbers and names that do not go together may raise."""


@dataclass
class Report:
    """Put results into one web page that needs no network.

    Reads what `rommeo train`, `rommeo sweep`, `rommeo reproduce figure-2` or Ray Tune itself have
    left in folders; several are compared. The page says what is missing.
    """

    results: options.Folders
    """Folders of results; experiments inside them are found."""

    out: Path = Path("report.html")
    """File to write the page to."""

    success_above: options.OptionalFloat = None
    """A seed is a success if its last return per play is above this; by default what the sweep was
    told."""

    judge_by: options.OptionalJudge = None
    """Whose last return counts: of sampled actions or of greedy ones; by default what the sweep was
    told, else of sampled ones."""

    title: options.OptionalText = None
    """Title of the page; by default it is made of algorithms and games."""

    marl_eval: options.OptionalFile = None
    """File to write returns over time to, in the JSON format of marl-eval."""

    def run(self, console: Console) -> None:
        """Reads, then writes."""
        if not self.results:
            raise UsageError("Which results? Give one or more folders, such as results/.")
        options.require_finite(self, "success_above")
        options.require_writable("--out", self.out)
        options.require_writable("--marl-eval", self.marl_eval)
        options.require_different_files({"--out": self.out, "--marl-eval": self.marl_eval})
        import_ray_quietly()
        try:
            experiments = results.read_experiments(self.results)
            judgement = self._judgement(experiments)
            page = report_page.report_page(experiments, judgement, self._command(), self.title)
        except _SENSELESS as error:
            raise CommandError(
                f"{', '.join(map(str, self.results))}: these results cannot be understood; they "
                "are damaged, or not those of `rommeo` or Ray Tune "
                f"({type(error).__name__}: {reason(str(error))})."
            ) from error
        write_whole(self.out, page)
        console.print(f"Written: {self.out}", soft_wrap=True)
        for experiment in experiments:
            for sentence in experiment.missing:
                console.print(f"Missing: {sentence}", soft_wrap=True, markup=False)
        if self.marl_eval is not None:
            self._export(experiments, judgement.greedy, self.marl_eval, console)

    def _judgement(self, experiments: Sequence[Experiment]) -> Judgement:
        """What the options say, else what all experiments were told alike."""
        abouts = [experiment.about for experiment in experiments]
        thresholds = {about.success_above if about else None for about in abouts}
        told = {about.judge_by if about else "sampled" for about in abouts}
        above = thresholds.pop() if len(thresholds) == 1 else None
        judge_by = self.judge_by or (told.pop() if len(told) == 1 else "sampled")
        return Judgement(
            above if self.success_above is None else self.success_above, judge_by == "greedy"
        )

    def _command(self) -> str:
        """What makes this page."""
        words = ["rommeo", "report", *map(str, self.results), "--out", str(self.out)]
        for option, value in (
            ("--success-above", self.success_above),
            ("--judge-by", self.judge_by),
            ("--title", self.title),
            ("--marl-eval", self.marl_eval),
        ):
            words += [] if value is None else [option, str(value)]
        return shlex.join(map(without_credentials, words))

    def _export(
        self, experiments: Sequence[Experiment], greedy: bool, file: Path, console: Console
    ) -> None:
        runs: dict[str, dict[str, dict[str, list[Run]]]] = {}
        for group in (group for experiment in experiments for group in experiment.groups):
            if group.tabular is not None:
                raise CommandError(
                    f"--marl-eval: {group.algorithm} reports means over its trials, and no trial's "
                    "own return."
                )
            tasks = runs.setdefault(group.task.game, {})
            tasks.setdefault(group.task.details, {})[group.name] = [
                Run(run.seed, run.env_steps, run.greedy_returns if greedy else run.returns)
                for run in group.runs
            ]
        try:
            content, notes = to_marl_eval(runs)
        except ValueError as error:
            raise CommandError(f"--marl-eval: {error}") from error
        write_whole(file, json.dumps(content, allow_nan=False) + "\n")
        console.print(f"Written: {file}", soft_wrap=True)
        for note in notes:
            console.print(f"Not exported: {note}", soft_wrap=True, markup=False)
