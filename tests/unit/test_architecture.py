"""Which module may know which, see docs/architecture.md; read from the sources."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import rommeo_rllib
from rommeo_rllib import envs, tuned_configs

PACKAGE = "rommeo_rllib"
FOLDERS = {
    PACKAGE: rommeo_rllib,
    f"{PACKAGE}.envs": envs,
    f"{PACKAGE}.tuned_configs": tuned_configs,
}

MAY_KNOW = {
    "foundation": set(),
    "rllib_boundary": set(),
    "registry": set(),
    "envs": {"foundation"},
    "tabular": {"foundation", "envs"},
    "joint_action": {"foundation", "rllib_boundary"},
    "rommeo_ac": {"foundation", "joint_action"},
    "baselines": {"foundation", "joint_action"},
    "public": {"foundation", "registry", "rommeo_ac", "baselines"},
    "registration": {"foundation", "registry", "envs", "tabular"},
    "tuned_configs": {"public", "envs", "tabular"},
    "deployment": {"foundation", "rllib_boundary", "joint_action", "registration"},
    "experiments": {
        *("foundation", "rllib_boundary", "registry", "registration", "joint_action"),
        *("envs", "tabular", "tuned_configs", "statistics"),
    },
    "statistics": set(),
    "reporting": {"foundation", "public", "envs", "tabular", "experiments", "statistics"},
    "commands": {
        *("foundation", "public", "registry", "envs", "tabular", "deployment"),
        *("experiments", "reporting", "statistics"),
    },
}
"""The rooms of the house, and which others each may know; all know themselves."""

STILL_BROKEN = [
    "rllib_boundary.episodes imports joint_action.replay.transitions",
    "rllib_boundary.episodes imports joint_action.spaces.agents",
]
"""Walls that are not mended yet; the list is to shrink."""

WITHOUT_RAY = (
    *("objective", "distributions", "schedules", "components", "checks", "errors", "naming"),
    *("envs", "tabular", "reporting"),
)
"""Rooms and modules that import no Ray, and nothing that does when it is imported."""

RAY_MAY_BE_IN = "tabular.trainable"

SPECIAL_ROOMS = {
    "": "public",
    "__main__": "commands",
    "cli": "commands",
    "registration": "registration",
    "registry": "registry",
    "reporting.statistics": "statistics",
}


@dataclass(frozen=True)
class Module:
    """What a module imports, by full names.

    Attributes:
        all: wherever it says so, for type checkers and in functions, too.
        at_once: when it is imported itself.
    """

    all: frozenset[str]
    at_once: frozenset[str]


def read(source: str, modules: set[str]) -> Module:
    """What a source imports; of other packages the first name alone."""
    tree = ast.parse(source)
    return Module(
        frozenset(_imported(ast.walk(tree), modules)),
        frozenset(_imported(_run_at_once(tree), modules)),
    )


def _run_at_once(node: ast.AST) -> Iterator[ast.AST]:
    for inner in ast.iter_child_nodes(node):
        for_types = isinstance(inner, ast.If) and "TYPE_CHECKING" in ast.unparse(inner.test)
        if not for_types and not isinstance(inner, ast.FunctionDef | ast.Lambda):
            yield inner
            yield from _run_at_once(inner)


def _imported(nodes: Iterator[ast.AST], modules: set[str]) -> Iterator[str]:
    for node in nodes:
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            if name.split(".")[0] != PACKAGE:
                yield name.split(".")[0]
            else:
                yield name if name in modules else name.rpartition(".")[0]


def sources() -> dict[str, Path]:
    """All modules of the package, by their full names."""
    found = {}
    for name, package in FOLDERS.items():
        folder = Path(str(package.__file__)).parent
        for file in folder.rglob("*.py"):
            *inside, last = file.relative_to(folder).with_suffix("").parts
            parts = inside if last == "__init__" else [*inside, last]
            found[".".join([name, *parts])] = file
    return found


@pytest.fixture(scope="module")
def house() -> dict[str, Module]:
    files = sources()
    assert len(files) > 150
    return {name: read(file.read_text(), set(files)) for name, file in files.items()}


def circle(house: Mapping[str, Module]) -> list[str]:
    """Modules of which each imports the next, the last being the first; empty if there are none."""
    graph = {name: module.all - {name} for name, module in house.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def inside(name: str) -> str:
    """A module's name within the package."""
    return name.removeprefix(PACKAGE).removeprefix(".")


def room(name: str) -> str:
    """The room that a module of the package is in."""
    path = inside(name)
    first = path.split(".")[0]
    return SPECIAL_ROOMS.get(path) or (first if first in MAY_KNOW else "foundation")


def breaches(house: Mapping[str, Module]) -> list[str]:
    """Imports of a room that the importing one may not know."""
    return [
        f"{inside(name)} imports {inside(other) or PACKAGE}"
        for name, module in sorted(house.items())
        for other in sorted(module.all & house.keys())
        if room(other) != room(name) and room(other) not in MAY_KNOW[room(name)]
    ]


def loaded_with(name: str, house: Mapping[str, Module]) -> set[str]:
    """All that is imported when a module is: what it imports at once, and packages around it."""
    seen: set[str] = set()
    left = [name]
    while left:
        one = left.pop()
        if one not in seen:
            seen.add(one)
            left += house[one].at_once if one in house else ()
            left += [one.rpartition(".")[0]] if one.startswith(f"{PACKAGE}.") else ()
    return seen


def knows_ray(house: Mapping[str, Module]) -> list[str]:
    """Modules that import Ray, or load it, though they are not to."""
    bare = [
        name
        for name in house
        if any(inside(name) == one or inside(name).startswith(f"{one}.") for one in WITHOUT_RAY)
        and inside(name) != RAY_MAY_BE_IN
    ]
    assert len(bare) > 50
    return [n for n in bare if "ray" in house[n].all or "ray" in loaded_with(n, house)]


def test_no_two_modules_know_each_other(house):
    assert circle(house) == []


def test_each_room_knows_only_what_it_may(house):
    assert breaches(house) == STILL_BROKEN


def test_games_tables_mathematics_and_reports_need_no_ray(house):
    assert knows_ray(house) == []


def test_every_room_is_there(house):
    assert {room(name) for name in house} == MAY_KNOW.keys()


def made_up(**texts: str) -> dict[str, Module]:
    """A house of these modules; "__" stands for a dot in their names."""
    names = {f"{PACKAGE}.{name.replace('__', '.')}": text for name, text in texts.items()}
    return {name: read(text, set(names)) for name, text in names.items()}


@pytest.mark.parametrize(
    "text",
    [
        "from rommeo_rllib import b",
        "import rommeo_rllib.b",
        "def f():\n    from rommeo_rllib.b import x",
        "if TYPE_CHECKING:\n    from rommeo_rllib.b import X",
    ],
)
def test_a_circle_is_found_wherever_the_import_stands(text):
    house = made_up(a=text, b="from rommeo_rllib.c import y", c="from rommeo_rllib.a import z")
    assert sorted(set(circle(house))) == [f"{PACKAGE}.{name}" for name in "abc"]
    assert circle(house | made_up(a="import os")) == []


def test_a_wall_that_is_broken_is_found():
    house = made_up(
        joint_action__learner="def f():\n    from rommeo_rllib.rommeo_ac import policy",
        rommeo_ac__policy="from rommeo_rllib.joint_action.learner import Learner",
        experiments__runs="from rommeo_rllib.reporting import figures, statistics",
        reporting__figures="",
        reporting__statistics="",
    )
    assert breaches(house) == [
        "experiments.runs imports reporting.figures",
        "joint_action.learner imports rommeo_ac.policy",
    ]


def test_ray_is_found_behind_another_module_and_around_it_but_not_in_functions():
    house = made_up(
        behind="from rommeo_rllib.trainable import x",
        trainable="import ray.rllib",
        around="from rommeo_rllib.joint_action.files import x",
        joint_action="from ray import rllib",
        joint_action__files="",
        lazy="from rommeo_rllib.functions import f",
        functions="def f():\n    import ray",
        types="if TYPE_CHECKING:\n    import ray",
    )
    loading = [name for name in house if "ray" in loaded_with(name, house)]
    assert [inside(name) for name in loading] == [
        "behind",
        "trainable",
        "around",
        "joint_action",
        "joint_action.files",
    ]
    assert "ray" in house[f"{PACKAGE}.functions"].all
