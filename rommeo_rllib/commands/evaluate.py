"""`rommeo evaluate`: plays a checkpoint's game with its policies, or with others against them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from rich.console import Console
from rich.table import Table

from rommeo_rllib.commands import options
from rommeo_rllib.commands.tables import write_rows
from rommeo_rllib.errors import UsageError, told
from rommeo_rllib.experiments import configurations
from rommeo_rllib.experiments.ray_session import import_ray_quietly
from rommeo_rllib.experiments.settings import apply_settings, split_setting
from rommeo_rllib.naming import did_you_mean
from rommeo_rllib.reporting.figures import save_gif
from rommeo_rllib.reporting.statistics import bootstrap_mean

if TYPE_CHECKING:
    from rommeo_rllib.deployment.matches import Match

_PLAYED_BY = (
    "disable_env_checking",
    "env",
    "env_config",
    "env_time_limit_s",
    "episode_lookback_horizon",
)
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
        options.require_writable("--gif", self.gif, ".gif")
        options.require_writable("--json", self.json)
        options.require_different_files({"--gif": self.gif, "--json": self.json})
        _refuse_what_plays_no_part(self.set)
        opponents = _pairs(self.opponent)
        options.expanded("CHECKPOINT", Path(self.checkpoint))
        for agent, who in opponents.items():
            options.expanded(f"--opponent {agent}", Path(who))
        import_ray_quietly()
        if self.load is not None:
            configurations.run_file(str(self.load))
        from rommeo_rllib.deployment.matches import Stage

        given = None if self.config is None else configurations.load(self.config).config
        with told("The game", self.trust):
            stage = Stage(
                self.checkpoint, opponents, replica=self.replica, config=given, trust=self.trust
            )
            if self.gif is not None:
                stage.config.env_config = {
                    "render_mode": "rgb_array",
                    **stage.config.env_config,
                }
            apply_settings(stage.config, self.set)
            configurations.validate_game(stage.config)
            if self.gif is not None:
                # First: whether there is a picture shows before the long part.
                recorded = stage.play(1, explore=self.explore, seed=self.seed, record=True)
                save_gif(recorded.frames, self.gif)
            match = stage.play(self.episodes, explore=self.explore, seed=self.seed)
        _print_table(match, console)
        if self.gif is not None:
            console.print(f"Picture: {self.gif}", soft_wrap=True)
        if self.json is not None:
            rows = zip(match.returns, match.lengths, strict=True)
            write_rows(
                self.json,
                [{"returns": _named(returns), "env_steps": steps} for returns, steps in rows],
            )


def _refuse_what_plays_no_part(settings: tuple[str, ...]) -> None:
    for setting in settings:
        key = split_setting("--set", setting)[0].split(".")[0]
        if key not in _PLAYED_BY:
            raise UsageError(
                f"--set {setting}: {key} has no effect on a game that is played without training."
                f"{did_you_mean(key, _PLAYED_BY)} Allowed: {', '.join(_PLAYED_BY)}."
            )


def _pairs(options: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for option in options:
        agent, separator, who = option.partition("=")
        if not separator or not agent or not who:
            raise UsageError(f"--opponent {option}: allowed: AGENT=CHECKPOINT or AGENT=random.")
        if agent in pairs:
            raise UsageError(f"--opponent {option}: {agent} has one already; allowed: one each.")
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
