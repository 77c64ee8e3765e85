"""Every row of the guides' table of what users have has its test."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


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
