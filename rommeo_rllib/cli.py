"""The `rommeo` command."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import tyro
from rich.console import Console

import rommeo_rllib
from rommeo_rllib.commands import configurations
from rommeo_rllib.commands.errors import CommandError, UsageError
from rommeo_rllib.commands.train import Train

_COMMANDS: dict[str, Any] = {"train": Train}


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
    command = tyro.extras.subcommand_cli_from_dict(
        _COMMANDS,
        prog="rommeo",
        description="ROMMEO on Ray RLlib: train it, sweep it, look at what it does.",
        args=arguments,
    )
    try:
        command.run(console)
    except CommandError as error:
        errors.print(f"rommeo: {error}", style="red", markup=False, soft_wrap=True)
        sys.exit(2 if isinstance(error, UsageError) else 1)
    except KeyboardInterrupt:
        errors.print("rommeo: interrupted.", style="red")
        sys.exit(130)


def _introduce(console: Console) -> None:
    console.print("[bold]rommeo[/]: multi-agent learning with opponent models on Ray RLlib\n")
    console.print("Try:\n  rommeo train max_of_two_quadratics/rommeo_ac --num-samples 2\n")
    console.print("Configurations that come with the package:")
    for name in configurations.names():
        console.print(f"  {name}", highlight=False)
    console.print("\n`rommeo COMMAND --help` explains a command. Commands:", end=" ")
    console.print(", ".join(_COMMANDS))


if __name__ == "__main__":
    main()
