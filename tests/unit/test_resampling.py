"""Policy and opponent model fitted to resampled actions: Eq. 10 and 11."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch

from rommeo_rllib import objective
from rommeo_rllib.joint_action.modules.critic import Q_LAYER_NORM
from rommeo_rllib.joint_action.modules.policy import INIT_KEY, OPPONENTS
from rommeo_rllib.joint_action.spaces.agents import Opponents
from rommeo_rllib.joint_action.stochastic import INITIAL_ALPHA
from rommeo_rllib.rng import PolicyRng, seeded_generator
from rommeo_rllib.rommeo_ac import policy as policy_module
from rommeo_rllib.rommeo_ac import resampling as resampling_module
from rommeo_rllib.rommeo_ac.policy import ROMMEOPolicy
from rommeo_rllib.rommeo_ac.resampling import Resampling

ROWS = 16
ALPHA, KL_COEFF = torch.tensor(0.7), torch.tensor(1.5)


def make_policy(space: gym.Space, opponents: tuple[gym.Space, ...] = ()) -> ROMMEOPolicy:
    return ROMMEOPolicy(
        observation_space=gym.spaces.Box(0.0, 1.0, (1,), np.float32),
        action_space=space,
        inference_only=False,
        model_config={
            OPPONENTS: Opponents(opponents or (space,)),
            INIT_KEY: (0, 0),
            "fcnet_hiddens": [32],
            "fcnet_activation": "tanh",
            Q_LAYER_NORM: False,
            INITIAL_ALPHA: 1.0,
        },
    )


def resampling(policy: ROMMEOPolicy, alpha=ALPHA, kl_coeff=KL_COEFF, rows=ROWS) -> Resampling:
    return Resampling(
        policy,
        torch.ones(rows, 1),
        torch.ones(rows, len(policy.opponent_components)),
        torch.ones(rows, policy.opponent_action_size),
        alpha,
        kl_coeff,
        0.05,
        PolicyRng([seeded_generator(1)], stacked=False),
    )


def fit(policy: ROMMEOPolicy, steps: int, alpha=ALPHA, kl_coeff=KL_COEFF) -> None:
    networks = (policy.policy_network, policy.opponent_model_network)
    optimizer = torch.optim.Adam([p for n in networks for p in n.parameters()], lr=0.02)
    given = resampling(policy, alpha, kl_coeff)
    for _ in range(steps):
        policy_loss, model_loss, _ = given.losses()
        optimizer.zero_grad()
        (policy_loss + model_loss).backward()
        optimizer.step()


def test_with_all_actions_given_weights_are_those_of_eq_10_and_11():
    torch.manual_seed(0)
    q = torch.randn(5, 3, 4, dtype=torch.float64)  # (..., own, opponents)
    log_prior = torch.randn(5, 4, dtype=torch.float64).log_softmax(-1)
    zeros = torch.zeros_like(log_prior)
    own, opponents = objective.resampling_weights(
        q.mT, torch.zeros_like(q.mT), log_prior, zeros, ALPHA, KL_COEFF
    )
    expected = objective.log_conditional_policy(q, ALPHA).exp().mT
    torch.testing.assert_close(own, expected)
    expected = objective.log_opponent_model(q, log_prior, ALPHA, KL_COEFF).exp()
    torch.testing.assert_close(opponents, expected)


def test_sampled_weights_give_the_means_of_eq_10_and_11_whatever_the_proposal():
    # Q is quadratic, so that pi* is normal, and with a standard normal prior rho* is, too.
    generator = torch.Generator().manual_seed(0)
    candidates = 2.0 * torch.randn(4000, 1, generator=generator, dtype=torch.float64)
    own = 1.0 + 2.0 * torch.randn(4000, 200, generator=generator, dtype=torch.float64)
    proposal = torch.distributions.Normal(torch.tensor(0.0).double(), 2.0)
    q = -0.5 * (own - candidates).square() - 0.5 * (candidates - 1.0).square()
    log_prior = torch.distributions.Normal(0.0, 1.0).log_prob(candidates.squeeze(-1))
    own_weights, weights = objective.resampling_weights(
        q, proposal.log_prob(own - 1.0), log_prior, proposal.log_prob(candidates).squeeze(-1), 1.0
    )
    # rho* is proportional to N(o; 0, 1) exp(-(o - 1)^2 / 2): mean 1/2, variance 1/2.
    o = candidates.squeeze(-1)
    mean = (weights * o).sum()
    assert mean == pytest.approx(0.5, abs=0.05)
    assert (weights * (o - mean).square()).sum() == pytest.approx(0.5, abs=0.05)
    # pi* = N(o, 1).
    near = o.abs() < 1.0
    errors = ((own_weights * own).sum(-1) - o)[near]
    assert errors.abs().mean() < 0.15


def test_counted_actions_are_fitted_to_the_exact_solution():
    policy = make_policy(gym.spaces.Discrete(3))
    fit(policy, 400)
    one = torch.ones(1, 1)
    with torch.no_grad():
        every = policy.all_opponent_actions
        q = policy.critic(one.expand(3, 1), None, every).mT  # (own, opponents)
        log_prior = policy.opponent_prior(one, 0.05).log_prob(every).squeeze(-1)
        found = policy.opponent_model(one).class_log_probs().squeeze(0)
        answers = policy.policy(one.expand(3, 1), every).class_log_probs()
    wanted = objective.log_opponent_model(q, log_prior, ALPHA, KL_COEFF)
    torch.testing.assert_close(found, wanted, atol=0.02, rtol=0)
    wanted = objective.log_conditional_policy(q, ALPHA).mT
    torch.testing.assert_close(answers, wanted, atol=0.05, rtol=0)


def test_the_opponent_model_finds_the_better_mode_from_the_worse_one(monkeypatch):
    space = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)
    policy = make_policy(space)

    def two_hills(observations, own, opponents, target=False):
        near, far = ((own - c).square() + (opponents - c).square() for c in (-0.6, 0.6))
        return torch.maximum(-20.0 * near, 5.0 - 20.0 * far).squeeze(-1)

    monkeypatch.setattr(policy.critic, "forward", two_hills)
    with torch.no_grad():
        policy.opponent_model_network[-1].bias.copy_(torch.tensor([-0.7, -2.0]))
        policy.opponent_prior_network[-1].bias.copy_(torch.tensor([0.0, 0.0]))
    fit(policy, 300, alpha=torch.tensor(0.2), kl_coeff=torch.tensor(1.0))
    one = torch.ones(1, 1)
    with torch.no_grad():
        rho = policy.opponent_model(one).mode().tanh()
        answer = policy.policy(one, rho).mode().tanh()
    assert rho.item() == pytest.approx(0.6, abs=0.1)
    assert answer.item() == pytest.approx(0.6, abs=0.1)


def test_an_absent_opponents_candidates_change_no_weights():
    policy = make_policy(gym.spaces.Discrete(2))
    given = resampling(policy, rows=1)
    given.component_mask.zero_()
    given.action_mask.zero_()
    _, model_loss, _ = given.losses()
    model_loss.backward()
    gradients = [p.grad for p in policy.opponent_model_network.parameters()]
    assert all(g is None or not g.any() for g in gradients)


@pytest.mark.parametrize("absent", [None, 1])
def test_choices_that_are_too_many_to_count_are_fitted_as_if_they_were_counted(absent, monkeypatch):
    options, gradients = (gym.spaces.Discrete(2), gym.spaces.Discrete(4)), []
    monkeypatch.setattr(resampling_module, "SAMPLES", 3000)
    for most in (64, 1):
        monkeypatch.setattr(policy_module, "MAX_ENUMERATED_ACTIONS", most)
        policy = make_policy(gym.spaces.Discrete(3), options)
        given = resampling(policy, rows=1)
        if absent is not None:
            given.component_mask[:, absent] = 0.0
            given.action_mask[:, 2:] = 0.0
        # The opponent model is far from uniform, so that what it proposes must be weighed.
        with torch.no_grad():
            policy.opponent_model_network[-1].bias.copy_(torch.tensor([1, -1, 0.5, 1, 0, -1]))
        sum(given.losses()[:2]).backward()
        gradients.append(policy.opponent_model_network[-1].bias.grad)
    counted, found = gradients
    torch.testing.assert_close(found, counted, atol=0.03, rtol=0)
    assert counted.abs().max() > 0.2
