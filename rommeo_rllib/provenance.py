"""What a result was made with: versions of packages, and the commit of the code."""

from __future__ import annotations

import functools
import importlib.metadata
import platform
import subprocess
from pathlib import Path

PROVENANCE = "provenance"
"""Key of every result under which this stands."""

_PACKAGES = ("rommeo-rllib", "ray", "torch", "numpy")


@functools.cache
def provenance() -> dict[str, str]:
    """Versions by package, and the git commit of the folder that this package lies in.

    Run from a checkout that is the package's own commit; installed in a project's virtual
    environment, it is the project's. "+changes" says that there were changes besides. Without git
    there is no commit.
    """
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue  # The package runs from a folder on the path.
    commit = _git("rev-parse", "HEAD")
    if commit:
        changes = "+changes" if _git("status", "--porcelain", "--untracked-files=no") else ""
        found["git_commit"] = commit + changes
    return found


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(Path(__file__).parent), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
