"""What the documentation needs beyond MkDocs' plugins.

Formulas become MathML, which browsers show by themselves; "source" fences become the code that they
name, so that it cannot go stale; the tutorial's script becomes a page; and links that leave `docs/`
lead to copies of the files.
"""

from __future__ import annotations

import ast
import html
import re
from pathlib import Path, PurePosixPath
from typing import Any

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
_SOURCE = re.compile(r"^```source\n(\S+)::(\S+)\n```$", re.MULTILINE)
_OUTSIDE = re.compile(r"\]\(((?:\.\./)+[^)#\s]+)\)")
_FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)
_CELL = re.compile(r"^# %%(.*)\n", re.MULTILINE)
_COPIES = "files"


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Adds the tutorial, and the files outside of `docs/` that pages link to."""
    script = (ROOT / "docs" / "tutorial.py").read_text()
    files.append(File.generated(config, "tutorial.md", content=as_markdown(script)))
    for file in list(files.documentation_pages()):
        for target in _OUTSIDE.findall(file.content_string):
            outside = _outside(file.src_uri, target)
            if outside is not None and files.get_file_from_path(f"{_COPIES}/{outside}") is None:
                content = (ROOT / outside).read_text()
                files.append(File.generated(config, f"{_COPIES}/{outside}", content=content))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Puts in the source code that is asked for, and leads links to the copies of files."""

    def link(match: re.Match[str]) -> str:
        outside = _outside(page.file.src_uri, match.group(1))
        if outside is None:
            return match.group()
        up = "../" * (len(PurePosixPath(page.file.src_uri).parts) - 1)
        return f"]({up}{_COPIES}/{outside})"

    markdown = _SOURCE.sub(lambda match: fence(*match.groups()), markdown)
    return _OUTSIDE.sub(link, markdown)


def on_page_content(content: str, **_: Any) -> str:
    """Turns TeX into MathML."""

    def formula(match: re.Match[str]) -> str:
        display = "inline" if match.group(2) == "(" else "block"
        return convert(html.unescape(match.group(3)).strip(), display=display)

    return _FORMULA.sub(formula, content)


def fence(path: str, name: str) -> str:
    """A Python fence with a function or class of a file, without its docstring.

    Raises:
        ValueError: if there is no such file or name.
    """
    text = (ROOT / path).read_text() if (ROOT / path).is_file() else ""
    found: ast.AST | None = ast.parse(text)
    for part in name.split("."):
        inside = getattr(found, "body", [])
        found = next((node for node in inside if getattr(node, "name", None) == part), None)
    if not isinstance(found, ast.FunctionDef | ast.ClassDef):
        raise ValueError(f"There is no {name} in {path}.")
    lines = text.splitlines()[found.lineno - 1 : found.end_lineno]
    if ast.get_docstring(found) is not None:
        told = found.body[0]
        assert told.end_lineno is not None
        del lines[told.lineno - found.lineno : told.end_lineno - found.lineno + 1]
    indent = len(lines[0]) - len(lines[0].lstrip())
    code = "\n".join(line[indent:] for line in lines)
    return f'```python title="{path}"\n{code}\n```'


def as_markdown(script: str) -> str:
    """A page from a script in percent format: "# %% [markdown]" cells are text, others code."""
    _, *cells = _CELL.split(script)
    page = []
    for kind, cell in zip(cells[::2], cells[1::2], strict=True):
        if "[markdown]" in kind:
            page.append(re.sub(r"^# ?", "", cell.strip(), flags=re.MULTILINE))
        else:
            page.append(f"```python\n{cell.strip()}\n```")
    return "\n\n".join(page) + "\n"


def _outside(page: str, target: str) -> str | None:
    """The file that a page links to, seen from the repository's root, if it is not in `docs/`."""
    path = (ROOT / "docs" / PurePosixPath(page).parent / target).resolve()
    if not path.is_file() or path.is_relative_to(ROOT / "docs"):
        return None
    return path.relative_to(ROOT).as_posix()
