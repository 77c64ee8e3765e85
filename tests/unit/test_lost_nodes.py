"""A run whose cluster has no node left ends, instead of waiting for one for ever."""

from __future__ import annotations

import pytest

from rommeo_rllib.experiments import listed_trials
from rommeo_rllib.experiments.listed_trials import RequireNodes


@pytest.mark.parametrize("alive", [[False], [True], [False, True]])
def test_a_run_without_a_living_node_ends_with_a_sentence(alive, monkeypatch):
    monkeypatch.setattr(listed_trials.ray, "nodes", lambda: [{"Alive": one} for one in alive])
    monkeypatch.setattr(RequireNodes, "_SECONDS", 0.0)
    callback = RequireNodes()
    if any(alive):
        callback.on_step_end(0, [])
    else:
        with pytest.raises(RuntimeError, match="Ray has no node left"):
            callback.on_step_end(0, [])


def test_nodes_are_asked_for_now_and_then_only(monkeypatch):
    monkeypatch.setattr(listed_trials.ray, "nodes", lambda: pytest.fail("asked"))
    RequireNodes().on_step_end(0, [])
