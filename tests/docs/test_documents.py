"""What the documents show is true: code compiles, commands are understood, files are there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from typing import Any

import documents
import pytest

from rommeo_rllib.cli import COMMANDS
from rommeo_rllib.commands.parsing import parse

TEXTS = {documents.name(path): path.read_text() for path in documents.DOCUMENTS}
SHOWN = [(name, line) for name, text in TEXTS.items() for line in documents.shell_commands(text)]


def cases(find: Callable[[str], list[Any]]) -> list[Any]:
    """A case for each thing that is found in the commands that the documents show."""
    found = {f"{name}: {thing}": (name, thing) for name, line in SHOWN for thing in find(line)}
    return [pytest.param(*case, id=identity[:100]) for identity, case in found.items()]


def commands_of(line: str) -> list[list[str]]:
    """The arguments of `rommeo` in a line; of a command without its arguments, those for its help.

    "..." stands for arguments that were shown before.
    """
    called = re.search(r"\brommeo(?:_rllib\.cli)? (.+)", line)
    words = shlex.split(called[1], comments=True) if called else []
    named = words[: words.index("...")] if "..." in words else words
    if not named:
        return []
    return [named if named == words and len(words) > 1 else [*named, "--help"]]


@pytest.mark.parametrize(
    "name", [name for name, text in TEXTS.items() if documents.blocks(text, "python")]
)
def test_every_block_of_python_compiles(name):
    for code in documents.blocks(TEXTS[name], "python"):
        compile(code, name, "exec")


@pytest.mark.parametrize(("name", "arguments"), cases(commands_of))
def test_every_command_shown_is_one_that_rommeo_understands(name, arguments, tmp_path):
    if arguments[0] == "--tyro-write-completion":
        arguments = [*arguments[:-1], str(tmp_path / "completion")]
    if "--help" not in arguments and not arguments[0].startswith("--tyro"):
        parse(COMMANDS, "rommeo", arguments)
        return
    with pytest.raises(SystemExit) as end:
        parse(COMMANDS, "rommeo", arguments)
    assert not end.value.code


@pytest.mark.parametrize(
    ("name", "script"), cases(lambda line: re.findall(r"python ([\w/]+\.py)", line))
)
def test_every_script_shown_is_there(name, script):
    assert (documents.ROOT / script).is_file()


@pytest.mark.parametrize(
    ("name", "target"), cases(lambda line: re.findall(r"\bmake ([a-z-]+)", line))
)
def test_every_make_target_shown_is_there(name, target):
    assert f"\n{target}:" in (documents.ROOT / "Makefile").read_text()


def test_every_source_that_a_page_shows_is_there():
    shown = [
        reference
        for text in TEXTS.values()
        for block in documents.blocks(text, "source")
        for reference in block.split()
    ]
    assert len(shown) >= 8
    for reference in shown:
        path, _, name = reference.partition("::")
        source = (documents.ROOT / path).read_text()
        for part in name.split("."):
            assert re.search(rf"\b(def|class) {part}\b", source), reference


def test_every_page_is_in_the_navigation():
    navigation = (documents.ROOT / "mkdocs.yml").read_text().partition("\nnav:")[2]
    listed = set(re.findall(r": (\S+\.md)$", navigation, re.MULTILINE))
    pages = {name.removeprefix("docs/") for name in TEXTS if name.startswith("docs/")}
    assert listed == pages | {"tutorial.md"}
