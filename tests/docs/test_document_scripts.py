"""The Python of each document runs from top to bottom as one script, as does the tutorial."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import documents
import pytest
from ray import tune
from representative import cases

SCRIPTS = {
    documents.name(path): code
    for path in documents.DOCUMENTS
    if (code := documents.script(path.read_text()))
}
TUTORIAL = documents.ROOT / "docs" / "tutorial.py"


@pytest.fixture
def short_trials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Tune runs one trial for one iteration, whatever a document asks for, and leaves it here."""
    monkeypatch.setattr("ray.train.constants.DEFAULT_STORAGE_PATH", str(tmp_path))
    run, fit = tune.run, tune.Tuner.fit

    def run_shortly(*args: Any, **kwargs: Any) -> Any:
        short = {"stop": {"training_iteration": 1}, "storage_path": str(tmp_path), "verbose": 0}
        return run(*args, **{**kwargs, **short})

    def fit_shortly(tuner: Any) -> Any:
        inner = tuner._local_tuner
        inner._run_config.stop, inner._run_config.verbose = {"training_iteration": 1}, 0
        inner._tune_config.num_samples = 1
        return fit(tuner)

    monkeypatch.setattr(tune, "run", run_shortly)
    monkeypatch.setattr(tune.Tuner, "fit", fit_shortly)


def run(code: str, name: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(code, name, "exec"), names)
    return names


@pytest.mark.usefixtures("ray_session", "short_trials")
@pytest.mark.parametrize("name", cases(SCRIPTS, ["docs/guides/bring_your_own_game.md"]))
def test_a_documents_python_runs_as_one_script(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(SCRIPTS[name], name)


@pytest.mark.usefixtures("ray_session")
def test_the_tutorial_ends_where_it_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ended = run(TUTORIAL.read_text(), TUTORIAL.name)
    assert set(ended["greedy"].values()) == {0}  # A and A.
    left, right = ended["lifted"].values()
    assert left == pytest.approx(right, abs=0.2)
    assert min(left, right) > 0.7
