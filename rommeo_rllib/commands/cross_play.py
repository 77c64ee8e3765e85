"""`rommeo cross-play`: how policies of different checkpoints get on with each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from rommeo_rllib.commands import options
from rommeo_rllib.commands.tables import write_rows
from rommeo_rllib.errors import UsageError, told
from rommeo_rllib.experiments import configurations
from rommeo_rllib.experiments.ray_session import import_ray_quietly
from rommeo_rllib.reporting.figures import plot_cross_play, save
from rommeo_rllib.reporting.statistics import Interval, bootstrap_mean


@dataclass
class CrossPlay:
    """Let the policies of several checkpoints of one game play each other.

    A row's checkpoint plays for the first agent, a column's for all others; what counts is the
    return of all agents together, greedy. High on the diagonal only: conventions that strangers do
    not know.
    """

    checkpoints: Annotated[
        tyro.conf.Positional[tuple[str, ...]],
        tyro.conf.arg(metavar="CHECKPOINT CHECKPOINT ...", help_behavior_hint="(required)"),
    ]
    """Folders of checkpoints or bundles, two or more."""

    episodes: int = 10
    """Number of episodes of each pair."""

    explore: bool = False
    """Sample actions; by default the policies act greedily."""

    seed: int = 0
    """Seed of the environment and of sampled actions."""

    picture: Path = Path("cross_play.png")
    """File for the picture; an SVG goes beside it."""

    json: options.OptionalFile = None
    """File for the matrix: one object a pair."""

    config: options.ConfigFile = None
    """The configuration they were trained with, a name or Python file, where bundles do not say how
    to make the environment."""

    trust: options.Trust = False

    load: options.OptionalFile = None
    """A Python file to run first, for example one that registers the environment."""

    def run(self, console: Console) -> None:
        """Plays all pairs, then reports."""
        if len(self.checkpoints) < 2:
            raise UsageError(f"{len(self.checkpoints)} checkpoints: allowed: at least 2.")
        for checkpoint in self.checkpoints:
            options.expanded("CHECKPOINT", Path(checkpoint))
        options.require_counts(self, "episodes")
        options.require_seed(self.seed)
        options.require_writable("--picture", self.picture, ".png")
        second = self.picture.with_suffix(".svg")
        options.require_writable("--picture", second)
        options.require_writable("--json", self.json)
        options.require_different_files(
            {"--picture": self.picture, "--picture (SVG)": second, "--json": self.json}
        )
        import_ray_quietly()
        if self.load is not None:
            configurations.run_file(str(self.load))
        with told("A match", self.trust):
            matrix = [
                [self._play(row, column) for column in self.checkpoints] for row in self.checkpoints
            ]
        names = [str(number) for number in range(1, len(self.checkpoints) + 1)]
        _print_table(matrix, names, self.checkpoints, console)
        values = np.array([[cell.value for cell in row] for row in matrix])
        figure = plot_cross_play(values, names)
        picture = self.picture.expanduser()
        pictures = save(figure, picture.parent, picture.stem)
        console.print(f"Picture: {pictures[0]}", soft_wrap=True)
        if self.json is not None:
            write_rows(self.json, self._rows(matrix))

    def _play(self, row: str, column: str) -> Interval:
        from rommeo_rllib.deployment.matches import Stage

        given = None if self.config is None else configurations.load(self.config).config
        stage = Stage(row, config=given, trust=self.trust)
        if row != column:
            others = [str(agent) for agent in stage.agents[1:]]
            stage = Stage(row, dict.fromkeys(others, column), config=given, trust=self.trust)
        match = stage.play(self.episodes, explore=self.explore, seed=self.seed)
        return bootstrap_mean([sum(episode.values()) for episode in match.returns])

    def _rows(self, matrix: list[list[Interval]]) -> list[dict[str, object]]:
        return [
            {
                "first_agent": row,
                "others": column,
                **cell.as_dict("return"),
            }
            for row, cells in zip(self.checkpoints, matrix, strict=True)
            for column, cell in zip(self.checkpoints, cells, strict=True)
        ]


def _print_table(
    matrix: list[list[Interval]],
    names: list[str],
    checkpoints: tuple[str, ...],
    console: Console,
) -> None:
    table = Table(
        title="Return of all agents: first agent's checkpoint (row) with others' (column)"
    )
    table.add_column("")
    for name in names:
        table.add_column(name, justify="right")
    for name, cells in zip(names, matrix, strict=True):
        table.add_row(name, *map(str, cells))
    console.print(table)
    for name, checkpoint in zip(names, checkpoints, strict=True):
        console.print(f"{name}: {checkpoint}", soft_wrap=True)
