"""What `rommeo` says to somebody who does not know it yet."""

from __future__ import annotations

import itertools

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from rommeo_rllib.experiments import configurations

_FIRST_COMMANDS = (
    ("rommeo train max_of_two_quadratics/rommeo_ac --num-samples 4", "train four seeds"),
    ("rommeo evaluate CHECKPOINT --gif game.gif", "watch a trained policy"),
    ("rommeo sweep climbing_game/rommeo_q --alpha 1 10 100", "which alpha works?"),
    ("rommeo reproduce figure-1", "the paper's Figure 1"),
    ("rommeo train my_game.py", "a configuration of your own"),
)


def introduce(console: Console) -> None:
    """A few first commands, where results go, and the configurations there are."""
    console.print(
        "[bold]rommeo[/]: multi-agent learning with opponent models on Ray RLlib\n", markup=True
    )
    console.print("First commands:")
    widest = max(len(command) for command, _ in _FIRST_COMMANDS)
    for command, purpose in _FIRST_COMMANDS:
        console.print(f"  {command:<{widest}}  # {purpose}", highlight=False, soft_wrap=True)
    console.print("\nConfigurations (GAME/NAME):")
    pairs = (name.split("/") for name in configurations.names())
    for game, inside in itertools.groupby(pairs, key=lambda pair: pair[0]):
        console.print(f"  {game}/", highlight=False)
        names = Text(", ".join(name for _, name in inside))
        console.print(Padding(names, (0, 0, 0, 4)), highlight=False)
    console.print("\nResults, checkpoints and pictures go to results/ (see --storage and --name).")
    console.print("`rommeo --help` lists the commands, `rommeo COMMAND --help` explains one.")
