"""Tables that several commands make, on the screen and in files."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from rommeo_rllib.experiments.folders import write_whole
from rommeo_rllib.experiments.sweep_results import Outcome, describe


def write_rows(file: Path, rows: list[dict[str, Any]]) -> None:
    """Writes a table as JSON, one object a row."""
    write_whole(file, json.dumps(rows, indent=2) + "\n")


def print_outcomes(outcomes: Sequence[Outcome], console: Console) -> None:
    """Prints a line for each setting, best first."""
    table = Table(title="Settings, best first (95 % intervals)")
    for heading in ("setting", "seeds", "success", "return per play"):
        table.add_column(heading, justify="left" if heading == "setting" else "right")
    for outcome in sorted(outcomes, key=lambda outcome: outcome.goodness, reverse=True):
        mean = outcome.mean
        known = not math.isnan(mean.low)
        table.add_row(
            describe(outcome.setting),
            str(outcome.seeds),
            "-" if outcome.success is None else str(outcome.success),
            str(mean) if known else f"{mean.value:.3g}",
        )
    console.print(table)
