"""What code the documents hold, and how it is told what kind it is."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
FRAGMENT = "# Fragment: "
"""A block of Python that begins with a comment like this is compiled, but not run."""

_FENCE = re.compile(r"^```(\S+)[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"`((?:rommeo|make) [^`]+)`")


def blocks(text: str, language: str) -> list[str]:
    """All fenced blocks of a language."""
    return [code for found, code in _FENCE.findall(text) if found == language]


def script(text: str) -> str:
    """All blocks of Python that are to be run, as one script."""
    return "\n".join(code for code in blocks(text, "python") if not code.startswith(FRAGMENT))


def shell_commands(text: str) -> list[str]:
    """Every command of the shell blocks, continued lines joined; `rommeo` or `make` in the text."""
    shell = "".join(blocks(text, "bash")).replace("\\\n", " ")
    prose = " ".join(_FENCE.sub("", text).split())
    return [line.strip() for line in shell.splitlines() if line.strip()] + _INLINE.findall(prose)


def name(document: Path) -> str:
    """The document's path in the repository."""
    return document.relative_to(ROOT).as_posix()
