"""Runs all benchmarks and writes what they found to docs/performance.json and docs/performance.md.

    python benchmarks/run_all.py
    python benchmarks/run_all.py --full
    python benchmarks/run_all.py --only update sampling

Benchmarks that are left out keep their earlier results. In the note, only what stands between the
two markers is replaced.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro
from measure import Report, Row, Spread
from rich.console import Console

FOLDER = Path(__file__).parent
# In the order of the note. `tabular` has options and a form of results of its own.
Benchmark = Literal[
    "update",
    "sampling",
    "replay",
    "time_to_solve",
    "tabular",
    "sweep",
    "startup",
    "replicas",
    "replicas_in_tune",
]
BENCHMARKS: tuple[Benchmark, ...] = Benchmark.__args__  # type: ignore[attr-defined]
BEGIN = "<!-- Written by `make bench` from here on. -->"
END = "<!-- Up to here. -->"
HEADING = "# Performance\n"
EXPLANATION = (
    "Alternatives took turns in one process; CPU time, one torch thread. Given are medians, "
    "(least - greatest) of all turns; ratios are of neighbouring turns and come first."
)


@dataclass(frozen=True)
class Settings:
    """What to run.

    Attributes:
        full: all combinations and more repetitions, for hours rather than minutes.
        only: these benchmarks.
        docs: the folder that the results are written to.
    """

    full: bool = False
    only: tuple[Benchmark, ...] = BENCHMARKS
    docs: Path = FOLDER.parent / "docs"


def main(settings: Settings) -> None:
    """Runs one after the other, each in a process of its own."""
    console = Console()
    settings.docs.mkdir(parents=True, exist_ok=True)
    results_file = settings.docs / "performance.json"
    stored: dict[str, Any] = json.loads(results_file.read_text()) if results_file.exists() else {}
    failed = []
    for name in BENCHMARKS:
        if name not in settings.only:
            continue
        console.rule(name)
        results = run(name, settings.full)
        if results is None:
            failed.append(name)
            continue
        stored[name] = results
        ordered = {key: stored[key] for key in BENCHMARKS if key in stored}
        results_file.write_text(json.dumps(ordered, indent=1) + "\n")
        write_note(settings.docs / "performance.md", ordered)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def run(name: str, full: bool) -> dict[str, Any] | None:
    """The results of one benchmark, or None if it failed."""
    arguments = ["--full"] if full and name != "tabular" else []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "results.json"
        command = [sys.executable, str(FOLDER / f"{name}.py"), *arguments, "--json", str(file)]
        subprocess.run(command, check=False)
        if not file.exists():
            return None
        results = json.loads(file.read_text())
    return results if "rows" in results else _as_report(name, results)


def _as_report(name: str, values: dict[str, float]) -> dict[str, Any]:
    """A flat table of numbers in the form of all others; quotients are called `a_over_b`."""
    rows = [
        Row({"what": key.replace("_", " ")}, {}, {"value": Spread.of([value])})
        for key, value in sorted(values.items(), key=lambda item: "_over_" not in item[0])
    ]
    report = Report(name, name.replace("_", " ").capitalize(), rows).as_dict()
    return report | {"command": f"python benchmarks/{name}.py"}


def write_note(file: Path, results: dict[str, Any]) -> None:
    """Replaces the tables in the note, or begins one."""
    text = file.read_text() if file.exists() else f"{HEADING}\n{BEGIN}\n{END}\n"
    if BEGIN not in text or END not in text:
        sys.exit(f"{file} lacks the lines {BEGIN!r} and {END!r}, between which tables are written.")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    sections = "\n\n".join([EXPLANATION, *map(section, results.values())])
    file.write_text(f"{before}{BEGIN}\n\n{sections}\n\n{END}{after}")


def section(stored: dict[str, Any]) -> str:
    """Heading, table, notes, command and machine of one benchmark."""
    report = Report.from_dict(stored)
    columns, lines = report.table()
    table = [columns, ["---"] * len(columns), *lines]
    parts = [
        f"## {report.title}",
        "\n".join(f"| {' | '.join(line)} |" for line in table) if lines else "",
        "\n".join(report.notes),
        f"`{stored['command']}`. {_described(stored['machine'])}",
    ]
    return "\n\n".join(part for part in parts if part)


def _described(machine: dict[str, Any]) -> str:
    versions = ("python", "torch", "ray", "numpy")
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}, load average at the end "
        f"{machine['load_average']}; {', '.join(f'{v} {machine[v]}' for v in versions)}."
    )


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
