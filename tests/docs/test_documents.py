"""What the documents show is true: code compiles, commands are understood, files are there."""

from __future__ import annotations

import re
import shlex

import documents
import pytest

from rommeo_rllib.cli import COMMANDS
from rommeo_rllib.commands.parsing import parse

TEXTS = {documents.name(path): path.read_text() for path in documents.DOCUMENTS}
COMMANDS_SHOWN = [
    (name, command) for name, text in TEXTS.items() for command in documents.shell_commands(text)
]
# Placeholders that mean "the rest as before", and names of commands without their arguments.
_INCOMPLETE = re.compile(r"^rommeo( [A-Z-]+)?( \.\.\.)?$|^rommeo (train|sweep|evaluate|report)$")


@pytest.mark.parametrize("name", TEXTS)
def test_every_block_of_python_compiles(name):
    for code in documents.blocks(TEXTS[name], "python"):
        compile(code, name, "exec")


@pytest.mark.parametrize(
    ("name", "command"),
    [pair for pair in COMMANDS_SHOWN if re.search(r"\brommeo [a-z-]", pair[1])],
    ids=lambda value: value[:60],
)
def test_every_command_shown_is_one_that_rommeo_understands(name, command):
    _, _, line = command.partition("rommeo ")
    if _INCOMPLETE.match("rommeo " + line.split("#")[0].strip()):
        return
    arguments = shlex.split(line, comments=True)
    if "--help" in arguments or arguments[0].startswith("--tyro"):
        with pytest.raises(SystemExit) as end:
            parse(COMMANDS, "rommeo", ["--help"])
        assert not end.value.code
        return
    parse(COMMANDS, "rommeo", arguments)


@pytest.mark.parametrize(("name", "command"), COMMANDS_SHOWN, ids=lambda value: value[:60])
def test_every_script_and_make_target_shown_is_there(name, command):
    for file in re.findall(r"python ([\w/]+\.py)", command):
        assert (documents.ROOT / file).is_file(), file
    made = (documents.ROOT / "Makefile").read_text()
    for target in re.findall(r"^make ([a-z-]+)", command):
        assert f"\n{target}:" in made, target


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
