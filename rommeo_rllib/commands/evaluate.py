"""`rommeo evaluate`: plays a checkpoint's game with its policies, or with others against them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from rich.console import Console
from rich.table import Table

from rommeo_rllib.commands import configurations, options
from rommeo_rllib.commands.errors import UsageError
from rommeo_rllib.commands.train import write_rows
from rommeo_rllib.commands.tuning import import_ray_quietly
from rommeo_rllib.reporting.statistics import bootstrap_mean

if TYPE_CHECKING:
    from rommeo_rllib.deployment.matches import Match

_FRAME_MILLISECONDS = 100
_WHO = tyro.conf.arg(metavar="AGENT=WHO", help_behavior_hint="(default: the checkpoint's policies)")


@dataclass
class Evaluate:
    """Play a checkpoint's game and report each agent's return with its 95 % interval.

    Starts no Ray. Reads the checkpoint's bundle, and runs no code from it; what is in no bundle is
    read with --trust only.
    """

    checkpoint: options.Checkpoint
    """Folder of a checkpoint or bundle."""

    opponent: Annotated[tuple[str, ...], tyro.conf.UseAppendAction, _WHO] = field(
        default_factory=tuple
    )
    """Who plays for an agent instead: another checkpoint's folder, or "random". May be given
    several times."""

    episodes: int = 20
    """Number of episodes."""

    explore: bool = False
    """Sample actions; by default the policies act greedily."""

    seed: int = 0
    """Seed of the environment and of sampled actions."""

    replica: int = 0
    """Of a checkpoint with several replicas, which one."""

    gif: options.OptionalFile = None
    """File for a moving picture of the first episode."""

    json: options.OptionalFile = None
    """File for the returns: one object an episode."""

    config: options.ConfigFile = None
    """The configuration it was trained with, a name or Python file, where the bundle does not say
    how to make the environment."""

    trust: options.Trust = False

    load: options.OptionalFile = None
    """A Python file to run first, for example one that registers the environment."""

    set: options.Changes = field(default_factory=tuple)
    """Changes a key of the configuration: --set env_config.surface=authors. May be given several
    times."""

    def run(self, console: Console) -> None:
        """Plays, then reports."""
        options.require_counts(self, "episodes")
        options.require_seed(self.seed)
        import_ray_quietly()
        if self.load is not None:
            configurations.import_file(str(self.load))
        from rommeo_rllib.deployment.matches import Stage

        given = None if self.config is None else configurations.load(self.config).config
        try:
            stage = Stage(
                self.checkpoint,
                _pairs(self.opponent),
                replica=self.replica,
                config=given,
                trust=self.trust,
            )
            if self.gif is not None:
                stage.config.env_config = {
                    "render_mode": "rgb_array",
                    **stage.config.env_config,
                }
            configurations.apply_settings(stage.config, self.set)
            match = stage.play(self.episodes, explore=self.explore, seed=self.seed)
            if self.gif is not None:
                recorded = stage.play(1, explore=self.explore, seed=self.seed, record=True)
                write_gif(recorded, self.gif)
        except ValueError as error:
            raise UsageError(str(error)) from error
        _print_table(match, console)
        if self.gif is not None:
            console.print(f"Picture: {self.gif}", soft_wrap=True)
        if self.json is not None:
            rows = zip(match.returns, match.lengths, strict=True)
            write_rows(
                self.json,
                [{"returns": _named(returns), "env_steps": steps} for returns, steps in rows],
            )


def write_gif(match: Match, file: Path) -> None:
    """Writes a match's frames as a moving picture, ten a second, over and over."""
    from PIL import Image

    pictures = [Image.fromarray(frame) for frame in match.frames]
    file.parent.mkdir(parents=True, exist_ok=True)
    pictures[0].save(
        file, save_all=True, append_images=pictures[1:], duration=_FRAME_MILLISECONDS, loop=0
    )


def _pairs(options: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for option in options:
        agent, separator, who = option.partition("=")
        if not separator or not agent or not who:
            raise UsageError(f"--opponent {option}: allowed: AGENT=CHECKPOINT or AGENT=random.")
        pairs[agent] = who
    return pairs


def _named(returns: Mapping[Any, float]) -> dict[str, float]:
    return {str(agent): value for agent, value in returns.items()}


def _print_table(match: Match, console: Console) -> None:
    table = Table(title=f"Return over {len(match.returns)} episodes, mean [95 % bootstrap]")
    table.add_column("agent")
    table.add_column("return", justify="right")
    for agent in match.agents:
        table.add_row(str(agent), str(bootstrap_mean(match.returns_of(agent))))
    totals = [sum(episode.values()) for episode in match.returns]
    table.add_row("all", str(bootstrap_mean(totals)), style="bold")
    console.print(table)
