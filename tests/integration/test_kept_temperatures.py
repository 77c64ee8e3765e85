"""Runs whose alpha and KL weight are what keeps randomness and divergence, with scaled targets."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from small import assert_equal_tensors, game_config, policy_of
from test_checkpoints import next_losses
from test_several_learners import batches_of, update, weights_of

from rommeo_rllib import ROMMEOACConfig

pytestmark = pytest.mark.usefixtures("ray_session")

POLICIES = ("player_0", "player_1")


def config(randomness: Any = 0.3, divergence: Any = 0.5, **training: Any) -> ROMMEOACConfig:
    kept = {"alpha": {"randomness": randomness}, "kl_coeff": {"divergence": divergence}}
    return game_config(normalise_q=True, prior_window=20, **kept, **training)


@pytest.fixture
def trained(tmp_path):
    """An algorithm after some updates, and its checkpoint."""
    algorithm = config().build_algo()
    algorithm.train()
    path = algorithm.save_to_path(tmp_path / "checkpoint")
    yield algorithm, path
    algorithm.stop()


def multipliers(algorithm: Any) -> list[float]:
    policies = [policy_of(algorithm, policy) for policy in POLICIES]
    return [log.item() for one in policies for log in (one.log_alpha, one.log_kl_coeff)]


def test_a_restored_run_goes_on_as_the_uninterrupted_one(trained, monkeypatch):
    monkeypatch.setattr(
        "test_checkpoints.LOSSES", ("q_loss", "policy_loss", "opponent_model_loss", "prior_loss")
    )
    algorithm, path = trained
    restored = config().build_algo()
    try:
        restored.restore_from_path(path)
        assert multipliers(restored) == multipliers(algorithm)
        assert 0.0 not in multipliers(algorithm)
        expected = next_losses(algorithm, 20)
        np.testing.assert_allclose(next_losses(restored, 20), expected, rtol=1e-4, atol=1e-6)
        assert multipliers(restored) == pytest.approx(multipliers(algorithm), rel=1e-4)
        for policy in POLICIES:
            scale = policy_of(algorithm, policy).critic.scale
            assert scale.std > 1.0
            torch.testing.assert_close(policy_of(restored, policy).critic.scale.std, scale.std)
    finally:
        restored.stop()


def test_a_trial_takes_up_the_multipliers_of_another_and_follows_its_own_targets(trained):
    algorithm, path = trained
    trial = config().build_algo()
    try:
        mutated = copy.deepcopy(config(randomness=0.9, divergence=0.01).to_dict())
        assert trial.reset(mutated)
        trial.restore(str(path))
        before = multipliers(trial)
        assert before == multipliers(algorithm)
        trial.train()
        algorithm.train()
        # More random, and held back more, than with the targets of before.
        for new, old in zip(multipliers(trial), multipliers(algorithm), strict=True):
            assert new > old
    finally:
        trial.stop()


@pytest.mark.parametrize("before", [config(), game_config(normalise_q=True)])
def test_a_run_is_restored_with_another_kind_of_weights(before, tmp_path):
    first = before.copy(copy_frozen=False).build_algo()
    first.train()
    path = first.save_to_path(tmp_path / "checkpoint")
    first.stop()
    given = {"alpha": {"target_entropy": -1.0}, "kl_coeff": 0.5}
    for after in (config(), game_config(normalise_q=True, **given)):
        second = after.build_algo()
        try:
            second.restore_from_path(path)
            learned = second.train()["learners"]["player_0"]
            assert np.isfinite([learned["alpha"], learned["kl_coeff"]]).all()
        finally:
            second.stop()


def test_copies_with_targets_of_their_own_are_computed_together_as_alone():
    targets = {f"{policy}@1": {"randomness": 0.8} for policy in POLICIES}
    overrides = {name: ROMMEOACConfig.overrides(alpha=alpha) for name, alpha in targets.items()}
    together = config(replicas=2)
    together.multi_agent(algorithm_config_overrides_per_module=overrides)
    algorithm = together.build_algo()
    learned = algorithm.train()["learners"]["replicas"]["player_0"]
    assert len(algorithm.learner_group._learner.groups) == 1
    algorithm.stop()
    for replica, randomness in enumerate((0.3, 0.8)):
        alone = config(randomness).debugging(seed=replica).build_algo()
        own = alone.train()["learners"]["player_0"]
        alone.stop()
        for name in ("alpha", "kl_coeff", "q_loss"):
            assert learned[name][replica] == pytest.approx(own[name], rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("rows", [{"player_0": 5, "player_1": 5}, {"player_0": 1}])
def test_several_learners_have_one_scale_and_one_multiplier(rows):
    algorithm = config().learners(num_learners=2).build_algo()
    try:
        algorithm.train()
        update(algorithm, batches_of(algorithm, rows))
        one, other = weights_of(algorithm)
        for policy in POLICIES:
            assert_equal_tensors(one[policy], other[policy])
            assert one[policy]["log_alpha"] != 0.0
            assert one[policy]["critic.scale.statistics"][1] > 1.0
    finally:
        algorithm.stop()
