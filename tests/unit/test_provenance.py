"""What a result was made with."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rommeo_rllib import provenance


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package, as if it lay in a checkout of its own."""
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "provenance.py"))
    provenance.provenance.cache_clear()
    yield tmp_path
    provenance.provenance.cache_clear()


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=me", "-c", "user.email=me@example.org")
    command = ["git", "-C", str(folder), *who, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_the_commit_is_named_and_whether_there_were_changes(checkout):
    git(checkout, "init", "-q")
    (checkout / "file").write_text("one")
    git(checkout, "add", ".")
    git(checkout, "commit", "-qm", "first")
    commit = git(checkout, "rev-parse", "HEAD")
    assert provenance.provenance()["git_commit"] == commit
    (checkout / "file").write_text("two")
    provenance.provenance.cache_clear()
    assert provenance.provenance()["git_commit"] == f"{commit}+changes"


def test_outside_of_a_checkout_there_is_no_commit(checkout):
    assert "git_commit" not in provenance.provenance()
    assert "ray" in provenance.provenance()
