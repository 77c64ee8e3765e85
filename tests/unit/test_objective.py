"""The paper's equations against brute force, their own optimality, and gradient descent."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rommeo_rllib import objective
from rommeo_rllib.components import ActionComponent
from rommeo_rllib.distributions import ProductDistribution

OWN, OPPONENTS = 3, 4
few_examples = settings(max_examples=60, deadline=None)
coefficients = st.floats(0.05, 20.0)
seeds = st.integers(0, 2**31 - 1)


def game(seed: int, *leading: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A random Q-table (..., own, opponents) and log-prior (..., opponents), in float64."""
    generator = torch.Generator().manual_seed(seed)
    q = 3.0 * torch.randn(*leading, OWN, OPPONENTS, generator=generator, dtype=torch.float64)
    prior = torch.randn(*leading, OPPONENTS, generator=generator, dtype=torch.float64)
    return q, prior.log_softmax(-1)


def objective_of(q, log_prior, log_policy, log_rho, alpha, beta) -> torch.Tensor:
    """Eq. 7 at a single state, term by term: E[Q] + alpha E_rho H(pi) - beta KL(rho || P)."""
    policy, rho = log_policy.exp(), log_rho.exp()
    expected_q = (rho[..., None, :] * policy * q).sum((-1, -2))
    entropy = -(policy * log_policy).sum(-2)
    kl = (rho * (log_rho - log_prior)).sum(-1)
    return expected_q + alpha * (rho * entropy).sum(-1) - beta * kl


def solution(q, log_prior, alpha, beta):
    return (
        objective.log_conditional_policy(q, alpha),
        objective.log_opponent_model(q, log_prior, alpha, beta),
        objective.soft_state_value(q, log_prior, alpha, beta),
    )


@few_examples
@given(seeds, coefficients)
def test_eq_9_to_11_are_those_of_the_paper(seed, alpha):
    q, log_prior = game(seed)
    log_policy, log_rho, value = solution(q, log_prior, alpha, 1.0)
    table, prior = q.numpy(), log_prior.exp().numpy()
    highest = table.max()  # Taken out of the exponentials, since alpha may be small.
    exponentials = np.exp((table - highest) / alpha)
    powers = prior * exponentials.sum(0) ** alpha
    np.testing.assert_allclose(log_policy.exp(), exponentials / exponentials.sum(0), atol=1e-12)
    np.testing.assert_allclose(log_rho.exp(), powers / powers.sum(), atol=1e-9)
    np.testing.assert_allclose(value, np.log(powers.sum()) + highest, rtol=1e-9, atol=1e-9)


def test_eq_9_to_11_by_hand():
    # exp(Q / 1): columns sum to 3 and 6; with P = (1/2, 1/2): V = log 4.5, rho = (1/3, 2/3).
    q = torch.tensor([[1.0, 2.0], [2.0, 4.0]]).log()
    log_policy, log_rho, value = solution(q, torch.tensor([0.5, 0.5]).log(), 1.0, 1.0)
    torch.testing.assert_close(log_policy.exp(), torch.tensor([[1 / 3, 1 / 3], [2 / 3, 2 / 3]]))
    torch.testing.assert_close(log_rho.exp(), torch.tensor([1 / 3, 2 / 3]))
    torch.testing.assert_close(value.exp(), torch.tensor(4.5))


@few_examples
@given(seeds, coefficients, coefficients)
def test_the_soft_value_is_the_objective_at_its_solution(seed, alpha, beta):
    q, log_prior = game(seed)
    log_policy, log_rho, value = solution(q, log_prior, alpha, beta)
    reached = objective_of(q, log_prior, log_policy, log_rho, alpha, beta)
    torch.testing.assert_close(reached, value, rtol=1e-9, atol=1e-9)


@few_examples
@given(seeds, coefficients, coefficients, st.floats(1e-3, 5.0))
def test_nothing_does_better_than_eq_10_and_11(seed, alpha, beta, size):
    q, log_prior = game(seed)
    log_policy, log_rho, value = solution(q, log_prior, alpha, beta)
    generator = torch.Generator().manual_seed(seed)
    noise = size * torch.randn(50, OWN + 1, OPPONENTS, generator=generator, dtype=torch.float64)
    policies = (log_policy + noise[:, :OWN]).log_softmax(-2)
    rhos = (log_rho + noise[:, OWN]).log_softmax(-1)
    slack = 1e-9 * (1 + value.abs())
    for pi, rho in [(policies, rhos), (policies, log_rho), (log_policy, rhos)]:
        assert (objective_of(q, log_prior, pi, rho, alpha, beta) <= value + slack).all()


def test_a_moved_solution_does_worse():
    q, log_prior = game(3)
    log_policy, log_rho, value = solution(q, log_prior, 0.7, 2.0)
    noise = torch.linspace(-1, 1, OPPONENTS, dtype=torch.float64)
    moved = (log_rho + noise).log_softmax(-1)
    assert objective_of(q, log_prior, log_policy, moved, 0.7, 2.0) < value - 0.01
    moved = (log_policy + noise[:OWN, None]).log_softmax(-2)
    assert objective_of(q, log_prior, moved, log_rho, 0.7, 2.0) < value - 0.01


@pytest.mark.parametrize("alpha", [0.01, 1.0, 50.0])
def test_an_action_that_the_prior_excludes_stays_excluded(alpha):
    q, _ = game(0)
    log_prior = torch.tensor([0.5, 0.0, 0.25, 0.25], dtype=torch.float64).log()
    _, log_rho, value = solution(q, log_prior, alpha, 1.0)
    assert log_rho[1].exp() == 0
    rest = [0, 2, 3]
    _, log_rho_rest, value_rest = solution(q[:, rest], log_prior[rest], alpha, 1.0)
    torch.testing.assert_close(log_rho[rest], log_rho_rest)
    torch.testing.assert_close(value, value_rest)


@pytest.mark.parametrize("alpha", [1e-3, 1.0, 500.0])
def test_large_rewards_do_not_overflow(alpha):
    q = torch.tensor([[1e3, -1e3], [0.0, 999.0]])
    log_policy, log_rho, value = solution(q, torch.tensor([0.5, 0.5]).log(), alpha, 1.0)
    assert log_policy.isfinite().all()
    assert log_rho.isfinite().all()
    assert value.isfinite()


@few_examples
@given(seeds, coefficients, coefficients)
def test_any_leading_axes(seed, alpha, beta):
    q, log_prior = game(seed, 2, 3)
    together = solution(q, log_prior, alpha, beta)
    alphas = torch.full((2, 3, 1, 1), alpha, dtype=torch.float64)
    torch.testing.assert_close(together[0], objective.log_conditional_policy(q, alphas))
    for index in np.ndindex(2, 3):
        alone = solution(q[index], log_prior[index], alpha, beta)
        for all_rows, row in zip(together, alone, strict=True):
            torch.testing.assert_close(all_rows[index], row)


def test_the_sampled_value_is_the_expected_one_on_average():
    alpha = 1.7
    q, _ = game(1)
    log_policy = objective.log_conditional_policy(0.3 * q, alpha)
    expected = objective.expected_response_value(q.T, log_policy.T, alpha)
    samples = objective.sampled_response_value(q, log_policy, alpha)
    torch.testing.assert_close((log_policy.exp() * samples).sum(0), expected)
    # At Eq. 10, each sample is worth the same.
    best = objective.log_conditional_policy(q, alpha)
    worth = objective.sampled_response_value(q, best, alpha)
    torch.testing.assert_close(worth, objective.best_response_value(q, alpha).expand(OWN, -1))


@few_examples
@given(seeds, coefficients, coefficients)
def test_eq_15_is_eq_9_on_average(seed, alpha, beta):
    q, log_prior = game(seed)
    log_policy, log_rho, value = solution(q, log_prior, alpha, beta)
    response = objective.expected_response_value(q.T, log_policy.T, alpha)
    sampled = objective.sampled_state_value(response, log_rho - log_prior, beta)
    torch.testing.assert_close((log_rho.exp() * sampled).sum(), value, rtol=1e-8, atol=1e-8)


def test_the_td_target_stops_at_a_termination_only():
    reward, value = torch.tensor([1.0, 1.0, -2.0]), torch.tensor([10.0, 10.0, 4.0])
    target = objective.td_target(reward, torch.tensor([0.0, 1.0, 0.0]), value, 0.9)
    torch.testing.assert_close(target, torch.tensor([10.0, 1.0, 1.6]))


def test_the_gradient_of_the_q_loss_is_eq_20():
    q = torch.tensor([1.0, -2.0], requires_grad=True)
    target = torch.tensor([0.5, 3.0], requires_grad=True)
    objective.q_loss(q, target).sum().backward()
    torch.testing.assert_close(q.grad, torch.tensor([0.5, -5.0]))
    assert target.grad is None


def test_the_temperature_moves_towards_the_target_entropy():
    for entropy, sign in [(0.2, -1.0), (0.9, 1.0)]:
        log_alpha = torch.tensor(0.0, requires_grad=True)
        entropies = torch.tensor([entropy], requires_grad=True)
        objective.temperature_loss(log_alpha, entropies, 0.5).mean().backward()
        # Gradient descent raises log alpha where the gradient is negative.
        assert torch.sign(log_alpha.grad) == sign
        assert entropies.grad is None


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 1.0), (0.5, 2.0), (3.0, 0.4)])
def test_descent_on_the_losses_leads_to_eq_10_and_11(alpha, beta):
    q, log_prior = game(7)
    policy_logits = torch.zeros(OPPONENTS, OWN, dtype=torch.float64, requires_grad=True)
    rho_logits = torch.zeros(OPPONENTS, dtype=torch.float64, requires_grad=True)
    component = [ActionComponent("discrete", OPPONENTS)]
    prior = ProductDistribution(component, log_prior[None])
    optimizer = torch.optim.Adam([policy_logits, rho_logits], lr=0.2)
    for _ in range(500):
        log_policy = policy_logits.log_softmax(-1)
        value = objective.expected_response_value(q.T, log_policy, alpha)
        rho = ProductDistribution(component, rho_logits[None])
        kl = rho.kl_divergence(prior, rho.mode()).sum()
        # The response's value is that of the expected o ~ rho, at a policy that is held fixed.
        expected_value = (rho.class_log_probs()[0].exp() * value.detach()).sum()
        loss = objective.policy_loss(value).sum()
        loss = loss + objective.opponent_model_loss(expected_value, kl, beta)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    wanted_policy, wanted_rho, _ = solution(q, log_prior, alpha, beta)
    torch.testing.assert_close(policy_logits.softmax(-1).T, wanted_policy.exp(), atol=2e-3, rtol=0)
    torch.testing.assert_close(rho_logits.softmax(-1), wanted_rho.exp(), atol=2e-3, rtol=0)


def test_descent_on_the_priors_loss_leads_to_the_frequencies():
    counts = torch.tensor([5.0, 1.0, 4.0])
    logits = torch.zeros(3, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.1)
    for _ in range(200):
        loss = (counts * objective.prior_loss(logits.log_softmax(-1))).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    torch.testing.assert_close(logits.softmax(-1), counts / 10, atol=1e-3, rtol=0)
