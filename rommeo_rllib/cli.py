"""The `rommeo` command."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import tyro
from rich.console import Console

import rommeo_rllib
from rommeo_rllib.commands import configurations
from rommeo_rllib.commands.alpha_map import AlphaMap
from rommeo_rllib.commands.cross_play import CrossPlay
from rommeo_rllib.commands.errors import CommandError, UsageError
from rommeo_rllib.commands.evaluate import Evaluate
from rommeo_rllib.commands.export import Export
from rommeo_rllib.commands.figure_1 import Figure1
from rommeo_rllib.commands.figure_2 import Figure2
from rommeo_rllib.commands.sweep import Sweep
from rommeo_rllib.commands.train import Train

# Commands, and groups of commands, by name.
_COMMANDS: dict[str, Any] = {
    "train": Train,
    "sweep": Sweep,
    "evaluate": Evaluate,
    "cross-play": CrossPlay,
    "export": Export,
    "reproduce": {"figure-1": Figure1, "figure-2": Figure2, "alpha-map": AlphaMap},
}
_DESCRIPTION = "ROMMEO on Ray RLlib: train it, sweep alpha, reproduce its paper."


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line; ends with status 1 on failure and 2 on misuse."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    console, errors = Console(), Console(stderr=True)
    if not arguments:
        _introduce(console)
        return
    if arguments == ["--version"]:
        console.print(f"rommeo-rllib {rommeo_rllib.__version__}", highlight=False)
        return
    command = _parse(_COMMANDS, "rommeo", arguments)
    try:
        command.run(console)
    except CommandError as error:
        errors.print(f"rommeo: {error}", style="red", markup=False, soft_wrap=True)
        sys.exit(2 if isinstance(error, UsageError) else 1)
    except KeyboardInterrupt:
        errors.print("rommeo: interrupted.", style="red")
        sys.exit(130)


def _parse(commands: Mapping[str, Any], program: str, arguments: Sequence[str]) -> Any:
    group = commands.get(arguments[0]) if arguments else None
    if isinstance(group, dict):
        return _parse(group, f"{program} {arguments[0]}", arguments[1:])
    # A group is listed by its commands.
    listed = {
        name: command for name, command in commands.items() if not isinstance(command, dict)
    } | {
        f"{name} {inner}": command
        for name, commands_inside in commands.items()
        if isinstance(commands_inside, dict)
        for inner, command in commands_inside.items()
    }
    return tyro.extras.subcommand_cli_from_dict(
        listed, prog=program, description=_DESCRIPTION, args=arguments
    )


def _introduce(console: Console) -> None:
    console.print("[bold]rommeo[/]: multi-agent learning with opponent models on Ray RLlib\n")
    console.print("Try:")
    console.print("  rommeo train max_of_two_quadratics/rommeo_ac --num-samples 4")
    console.print("  rommeo sweep climbing_game/rommeo_q --initial 1 10 100 --decay-steps 10 40")
    console.print("  rommeo reproduce figure-1")
    console.print("  rommeo reproduce figure-2 --seeds 4\n")
    console.print("Configurations that come with the package:")
    for name in configurations.names():
        console.print(f"  {name}", highlight=False)
    console.print("\n`rommeo --help` lists the commands, `rommeo COMMAND --help` explains one.")


if __name__ == "__main__":
    main()
