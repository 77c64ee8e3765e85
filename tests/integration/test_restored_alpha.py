"""A run may be restored with another kind of alpha; all else goes on as it was."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from small import assert_equal_tensors, game_config, policy_of

from rommeo_rllib import ROMMEOACConfig
from rommeo_rllib.joint_action.modules.optimizer_state import network_states

pytestmark = pytest.mark.usefixtures("ray_session")

POLICIES = ("player_0", "player_1")
LEARNED = {"target_entropy": "auto", "initial": 3.0}


def config(alpha: Any, of_second: Any = None, **training: Any) -> ROMMEOACConfig:
    """`of_second` is player_1's own alpha, with which it is computed apart or not."""
    made = game_config(alpha=alpha, alpha_lr=0.01, **training)
    if of_second is not None:
        overrides = {"player_1": ROMMEOACConfig.overrides(alpha=of_second)}
        made.multi_agent(algorithm_config_overrides_per_module=overrides)
    return made


def moments(algorithm: Any) -> dict[tuple[str, str], Any]:
    learner = algorithm.learner_group._learner
    return network_states(learner.get_state("optimizer")["optimizer"])


def alphas(algorithm: Any) -> list[float]:
    return [policy_of(algorithm, policy).log_alpha.exp().item() for policy in POLICIES]


def assert_same_moments(one: Any, other: Any) -> None:
    for name in one.keys() | other.keys():
        if name[1] != "alpha":
            assert one[name], name
            for left, right in zip(one[name], other[name], strict=True):
                assert_equal_tensors(left, right)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((LEARNED,), (0.5,)),
        ((0.5,), (LEARNED,)),
        # Policies that were computed together come apart, and the reverse.
        ((LEARNED,), (LEARNED, 0.5)),
        ((0.5, LEARNED), (LEARNED,)),
    ],
)
def test_a_run_is_restored_with_another_kind_of_alpha(before, after, tmp_path):
    first = config(*before).build_algo()
    first.train()
    kept, learned = moments(first), alphas(first)
    path = first.save_to_path(tmp_path / "checkpoint")
    first.stop()
    second = config(*after).build_algo()
    try:
        second.restore_from_path(path)
        found = moments(second)
        assert_same_moments(kept, found)
        for policy, restored, before_it in zip(POLICIES, alphas(second), learned, strict=True):
            is_learned = (policy, "alpha") in found
            was_learned = (policy, "alpha") in kept
            if is_learned and not was_learned:
                assert restored == pytest.approx(LEARNED["initial"])
                (state,) = found[policy, "alpha"]
                # Those who are computed together with others that have learned have zeros.
                assert state is None or not (state["exp_avg"] or state["exp_avg_sq"])
            else:
                assert restored == pytest.approx(before_it)
            if is_learned and was_learned:
                for left, right in zip(found[policy, "alpha"], kept[policy, "alpha"], strict=True):
                    assert_equal_tensors(left, right)
        result = second.train()
        for policy in POLICIES:
            alpha = result["learners"][policy]["alpha"]
            assert math.isfinite(alpha)
            is_number = (policy, "alpha") not in found
            assert (alpha == pytest.approx(0.5)) == is_number
    finally:
        second.stop()


def test_replicas_are_restored_with_another_kind_of_alpha(tmp_path):
    first = config(0.5, replicas=2).build_algo()
    first.train()
    kept = moments(first)
    assert ("player_1@1", "q") in kept
    path = first.save_to_path(tmp_path / "checkpoint")
    first.stop()
    second = config(LEARNED, replicas=2).build_algo()
    try:
        second.restore_from_path(path)
        assert_same_moments(kept, moments(second))
        module = second.learner_group._learner.module
        for replica in range(2):
            assert module[f"player_1@{replica}"].log_alpha.exp().item() == pytest.approx(3.0)
        second.train()
    finally:
        second.stop()


def test_a_policys_own_alpha_begins_at_its_own_initial_value():
    algorithm = config(0.5, LEARNED).build_algo()
    try:
        assert alphas(algorithm)[1] == pytest.approx(3.0)
    finally:
        algorithm.stop()


def test_a_learner_that_has_not_learned_yet_keeps_what_a_state_says():
    algorithm = config(LEARNED).build_algo()
    try:
        learner = algorithm.learner_group._learner
        with torch.no_grad():
            policy_of(algorithm, "player_0").log_alpha.fill_(0.25)
        learner.set_state(learner.get_state())
        assert alphas(algorithm)[0] == pytest.approx(math.exp(0.25))
    finally:
        algorithm.stop()
