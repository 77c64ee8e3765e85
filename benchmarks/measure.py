"""Measures alternatives in one process, turn by turn, and writes down what came out.

Machines are shared and change their speed while a benchmark runs. So alternatives take turns
(A B A B ...), CPU time counts rather than the clock on the wall, torch has one thread, and what is
compared are ratios of neighbouring turns.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import platform
import resource
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn
from rich.table import Table

MILLISECONDS = 1e3
PACKAGES = ("ray", "torch", "numpy", "pettingzoo")


@dataclass(frozen=True)
class Spread:
    """Median and extremes of repeated measurements."""

    median: float
    low: float
    high: float
    repetitions: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of `values`, of which there must be one at least."""
        return cls(statistics.median(values), min(values), max(values), len(values))

    @classmethod
    def of_ratio(cls, numerators: Sequence[float], denominators: Sequence[float]) -> Spread:
        """The spread of the quotients of values that were measured one after the other."""
        return cls.of([n / d for n, d in zip(numerators, denominators, strict=True)])

    def __str__(self) -> str:
        if self.repetitions == 1:
            return _short(self.median)
        return f"{_short(self.median)} ({_short(self.low)} - {_short(self.high)})"


@dataclass(frozen=True)
class Row:
    """What was measured in one setting: ratios, and the values that they come from."""

    settings: dict[str, Any]
    ratios: dict[str, Spread] = field(default_factory=dict)
    measured: dict[str, Spread] = field(default_factory=dict)

    def cells(self) -> dict[str, str]:
        """All columns of this row as text, ratios before absolute values."""
        settings = {name: str(value) for name, value in self.settings.items()}
        spreads = {name: str(value) for name, value in (self.ratios | self.measured).items()}
        return settings | spreads


@dataclass
class Report:
    """The rows of one benchmark, and how they came about."""

    benchmark: str
    title: str
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def finish(self, json_file: Path | None) -> None:
        """Prints the table and, if a file is given, writes everything there."""
        console = Console(width=None if sys.stdout.isatty() else 200)
        columns, lines = self.table()
        table = Table(*columns, title=self.title, box=box.SIMPLE)
        for line in lines:
            table.add_row(*line)
        console.print(table)
        for note in self.notes:
            console.print(note)
        if json_file is not None:
            json_file.write_text(json.dumps(self.as_dict(), indent=1) + "\n")

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Column names and lines of text: settings, then ratios, then absolute values."""
        parts = ("settings", "ratios", "measured")
        columns = list(
            dict.fromkeys(
                name for part in parts for row in self.rows for name in getattr(row, part)
            )
        )
        return columns, [[row.cells().get(name, "") for name in columns] for row in self.rows]

    def as_dict(self) -> dict[str, Any]:
        """For JSON: the report, the machine that it was made on and the command."""
        return asdict(self) | {
            "command": _command(),
            "machine": machine(),
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Report:
        """The report of :meth:`as_dict`."""
        rows = [
            Row(
                row["settings"],
                *[{k: Spread(**v) for k, v in row[p].items()} for p in ("ratios", "measured")],
            )
            for row in stored["rows"]
        ]
        return cls(stored["benchmark"], stored["title"], rows, list(stored["notes"]))


def prepare() -> None:
    """One torch thread, and none of the warnings that have nothing to do with the measurement."""
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = "1"
    warnings.filterwarnings("ignore")
    logging.getLogger("ray").setLevel(logging.ERROR)
    import torch

    torch.set_num_threads(1)


def interleave(
    alternatives: Mapping[str, Callable[[], float]],
    repetitions: int,
    done: Callable[[], None] = lambda: None,
) -> dict[str, list[float]]:
    """Lets the alternatives take turns; each returns what it has measured of itself.

    Args:
        alternatives: by name, in the order of their turns.
        repetitions: turns of each.
        done: called after each turn.
    """
    values: dict[str, list[float]] = {name: [] for name in alternatives}
    for _ in range(repetitions):
        for name, measure in alternatives.items():
            gc.collect()  # Nobody clears up after another.
            values[name].append(measure())
            done()
    return values


def cpu_time_of(work: Callable[[], Any]) -> float:
    """CPU seconds that this process, and children that ended meanwhile, spend on `work`."""
    begin = cpu_seconds()
    work()
    return cpu_seconds() - begin


def cpu_seconds() -> float:
    """CPU time of this process and of its children that have ended, user and system."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def resident_bytes() -> int:
    """Memory of this process that is in RAM (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


@contextmanager
def progress(description: str, total: int) -> Iterator[Callable[[], None]]:
    """A progress bar on stderr; call what it yields after each of `total` steps."""
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(description, total=total)
        yield lambda: bar.advance(task)


def machine() -> dict[str, Any]:
    """What a reader needs to know of the machine, and nothing that identifies it."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def _cpu_model() -> str:
    information = Path("/proc/cpuinfo")
    lines: Iterable[str] = information.read_text().splitlines() if information.exists() else ()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def _command() -> str:
    arguments = sys.argv[1:]
    if "--json" in arguments:
        at = arguments.index("--json")
        del arguments[at : at + 2]
    return " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *arguments])


def _short(value: float) -> str:
    """Three digits that count, without an exponent."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    digits = 2 if abs(value) < 10 else 1
    return f"{value:.{digits}f}" if abs(value) >= 0.1 else f"{value:.2g}"
