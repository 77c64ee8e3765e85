"""Reads the command line with tyro, and tells what is wrong with it in one line."""

from __future__ import annotations

import contextlib
import io
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import tyro

from rommeo_rllib.errors import UsageError
from rommeo_rllib.naming import did_you_mean, printable, shown

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_RULE = re.compile(r"^(?:─+|-+)$", re.MULTILINE)
_OPTION = re.compile(r"(?<!\S)--[a-z][\w-]*")


def parse(commands: Mapping[str, Any], program: str, arguments: Sequence[str]) -> Any:
    """The command that the arguments call for, not yet run.

    Args:
        commands: commands, and groups of commands, by name.
        program: what stands before the arguments.
        arguments: what a person wrote.

    Raises:
        UsageError: if they cannot be read; its message says what to look at.
        SystemExit: with status 0, after help or a completion script was printed.
    """
    first = arguments[0] if arguments else ""
    if first in commands:
        command, inner = commands[first], f"{program} {first}"
        if isinstance(command, dict):
            return parse(command, inner, arguments[1:])
        _require_texts(inner, arguments[1:])
        return _one_line(inner, lambda: tyro.cli(command, prog=inner, args=arguments[1:]))
    if not first.startswith("-"):
        said = f"{program}: there is no command {shown(first)}." if first else f"{program}: which?"
        raise UsageError(
            f"{said}{did_you_mean(first, commands)} Allowed: {', '.join(commands)}; "
            f"`{program} --help` explains them."
        )
    return _one_line(program, lambda: _overview(commands, program, arguments))


def _require_texts(program: str, arguments: Sequence[str]) -> None:
    """Raises a UsageError for what no option can mean: nothing, and what is no text."""
    for before, text in zip(("", *arguments), arguments, strict=False):
        option, _, value = text.partition("=") if text.startswith("--") else ("", "", text)
        where = option or (before if before.startswith("--") else "an argument")
        if not value and (not option or "=" in text):
            raise UsageError(f"{program}: {where} is empty; see `{program} --help`.")
        if "\0" in text or not _is_unicode(text):
            raise UsageError(
                f"{program}: {where} is {printable(text)}; allowed: text in UTF-8, without zeros."
            )


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _overview(commands: Mapping[str, Any], program: str, arguments: Sequence[str]) -> Any:
    """Help and completion of all commands; a group is listed by its commands."""
    listed: dict[str, Any] = {}
    for name, command in commands.items():
        if isinstance(command, dict):
            listed |= {f"{name} {inner}": inside for inner, inside in command.items()}
        else:
            listed[name] = command
    description = "ROMMEO on Ray RLlib: train it, sweep alpha, reproduce its paper."
    return tyro.extras.subcommand_cli_from_dict(
        listed, prog=program, description=description, args=arguments
    )


def _one_line(program: str, read: Any) -> Any:
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return read()
    except SystemExit as end:
        if end.code in (0, None):
            sys.stderr.write(said.getvalue())
            raise
        raise UsageError(f"{program}: {_told(said.getvalue(), program)}") from None


def _told(box: str, program: str) -> str:
    """The message in tyro's box, in one line, and where to read on."""
    lines = [_COLOURS.sub("", line).strip(" │") for line in box.splitlines()]
    # Rules divide it into what is wrong, what was perhaps meant, and where help is. A title stands
    # in the frame or, on a terminal without such characters, above a first rule.
    parts = _RULE.split("\n".join(line for line in lines if not line.startswith(("╭", "╰"))))
    wrong, *more = parts if box.lstrip().startswith("╭") else parts[1:] or parts
    line = " ".join(wrong.replace("(required)", "").split())
    line = line.replace(f"Missing from {program}:", "missing:")
    meant = _OPTION.search(more[0]) if more and "meant" in more[0] else None
    hint = f" Did you mean {meant.group()}?" if meant else ""
    return f"{line.rstrip('.')}.{hint} See `{program} --help`."
