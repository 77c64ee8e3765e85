"""Eq. 9-11 in NumPy: maximisers of the objective, and equal to the tensor functions."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rommeo_rllib import objective
from rommeo_rllib.tabular import exact

few_examples = settings(max_examples=60, deadline=None)
tables = arrays(np.float64, (3, 4), elements=st.floats(-50, 50, width=32))
weights = arrays(np.float64, (4,), elements=st.floats(0.01, 1))
positive = st.floats(0.05, 50)
seeds = st.integers(0, 2**31)


def objective_value(
    q: exact.Array,
    policy: exact.Array,
    model: exact.Array,
    prior: exact.Array,
    alpha: float,
    kl_coeff: float,
) -> float:
    """E_{rho, pi}[Q] + alpha E_rho[H(pi)] - kl_coeff KL(rho || P), written out."""
    total = 0.0
    for o in range(q.shape[1]):
        for a in range(q.shape[0]):
            total += model[o] * policy[a, o] * (q[a, o] - alpha * np.log(policy[a, o] + 1e-300))
        total -= kl_coeff * model[o] * np.log(model[o] / prior[o] + 1e-300)
    return total


@given(tables, weights, positive, positive)
@few_examples
def test_value_is_what_policy_and_opponent_model_attain(
    q: exact.Array, weight: exact.Array, alpha: float, kl_coeff: float
) -> None:
    prior = weight / weight.sum()
    policy = exact.conditional_policy(q, alpha)
    model = exact.opponent_model(exact.best_response_value(q, alpha), prior, kl_coeff)
    attained = objective_value(q, policy, model, prior, alpha, kl_coeff)
    value = exact.state_value(exact.best_response_value(q, alpha), prior, kl_coeff)
    assert value == pytest.approx(attained, rel=1e-6, abs=1e-6)


@given(tables, weights, positive, positive, seeds)
@few_examples
def test_no_other_policy_or_opponent_model_does_better(
    q: exact.Array, weight: exact.Array, alpha: float, kl_coeff: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    prior = weight / weight.sum()
    best = exact.state_value(exact.best_response_value(q, alpha), prior, kl_coeff)
    policy = exact.conditional_policy(q, alpha)
    model = exact.opponent_model(exact.best_response_value(q, alpha), prior, kl_coeff)
    for share in (0.01, 0.3, 1.0):
        other_policy = (1 - share) * policy + share * rng.dirichlet(np.ones(3), 4).T
        other_model = (1 - share) * model + share * rng.dirichlet(np.ones(4))
        for p, m in ((other_policy, model), (policy, other_model), (other_policy, other_model)):
            value = objective_value(q, p, m, prior, alpha, kl_coeff)
            assert value <= best + 1e-6 * max(1, abs(best))


@given(tables, weights, positive, positive)
@few_examples
def test_numpy_and_torch_agree(
    q: exact.Array, weight: exact.Array, alpha: float, kl_coeff: float
) -> None:
    log_prior = np.log(weight / weight.sum())
    tq, tp = torch.tensor(q), torch.tensor(log_prior)
    np.testing.assert_allclose(
        exact.conditional_policy(q, alpha),
        objective.log_conditional_policy(tq, alpha).exp().numpy(),
        atol=1e-9,
    )
    np.testing.assert_allclose(
        exact.opponent_model(exact.best_response_value(q, alpha), np.exp(log_prior), kl_coeff),
        objective.log_opponent_model(tq, tp, alpha, kl_coeff).exp().numpy(),
        atol=1e-9,
    )
    np.testing.assert_allclose(
        exact.state_value(exact.best_response_value(q, alpha), np.exp(log_prior), kl_coeff),
        objective.soft_state_value(tq, tp, alpha, kl_coeff).numpy(),
        rtol=1e-9,
        atol=1e-9,
    )


def test_actions_never_seen_have_no_probability_and_huge_values_do_not_overflow() -> None:
    q = np.array([[1e6, -1e6], [0.0, 1e6]])
    prior = np.array([1.0, 0.0])
    with np.errstate(all="raise", under="ignore"):
        model = exact.opponent_model(exact.best_response_value(q, 0.1), prior)
        value = exact.state_value(exact.best_response_value(q, 0.1), prior)
    np.testing.assert_array_equal(model, [1.0, 0.0])
    assert value == pytest.approx(1e6)


def test_the_marginal_policy_is_that_of_equations_10_and_11() -> None:
    rng = np.random.default_rng(0)
    q, prior = rng.normal(size=(5, 3, 4)), rng.dirichlet(np.ones(4), size=5)
    model = exact.opponent_model(exact.best_response_value(q, 0.7), prior, 2.0)
    expected = (exact.conditional_policy(q, 0.7) * model[:, np.newaxis]).sum(-1)
    found = exact.marginal_policy(
        np.moveaxis(q, 0, -1), lambda values: exact.opponent_model(values, prior.T, 2.0, 0), 0.7
    )
    np.testing.assert_allclose(found.T, expected)
