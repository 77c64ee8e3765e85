"""The guides' code runs as it stands, and every row of their table has its test."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDES = sorted((ROOT / "docs" / "guides").glob("*.md"))


@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.stem)
def test_a_guides_code_runs_as_one_script(guide, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    script = "\n".join(re.findall(r"^```python\n(.*?)^```", guide.read_text(), re.S | re.M))
    assert script
    exec(compile(script, guide.name, "exec"), {"__name__": "__main__"})


def test_every_row_of_the_table_of_what_users_have_names_a_test_that_there_is():
    table = (ROOT / "docs" / "guides" / "swap_into_your_project.md").read_text()
    rows = [line for line in table.splitlines() if line.startswith("| ") and "---" not in line]
    tests = "".join(file.read_text() for file in (ROOT / "tests").rglob("test_*.py"))
    assert len(rows) > 20
    for row in rows[1:]:
        named = re.findall(r"`(test_\w+)`", row)
        assert named, row
        for name in named:
            assert f"def {name}(" in tests, name
