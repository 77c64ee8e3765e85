"""Log-probabilities, samples, gradients and divergences against references in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from rommeo_rllib.components import (
    WIDE_STD,
    ActionComponent,
    action_size,
    all_actions,
    broad_latent,
    num_parameters,
    squash,
    unsquash,
)
from rommeo_rllib.distributions import (
    MAX_LOG_STD,
    MIN_STD,
    OneHotCategorical,
    ProductDistribution,
    SquashedGaussian,
    log_tanh_derivative,
)
from rommeo_rllib.rng import PolicyRng, seeded_generator

BOX = ActionComponent("continuous", 2)
LINE = ActionComponent("continuous", 1)
CHOICE = ActionComponent("discrete", 3)
COIN = ActionComponent("discrete", 2)
FREE = ActionComponent("unbounded", 2)
MIXED = [BOX, CHOICE, CHOICE, LINE, COIN]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def reference_log_prob(u, mean, log_std) -> np.ndarray:
    """log N(u) - log(1 - tanh(u)^2) in float64, with no cancellation: 1 - tanh^2 = 1 / cosh^2."""
    u, mean, log_std = (np.asarray(x, np.float64) for x in (u, mean, log_std))
    std = np.exp(log_std) + MIN_STD
    log_cosh = np.abs(u) + np.log1p(np.exp(-2 * np.abs(u))) - np.log(2)
    return stats.norm.logpdf(u, mean, std) + 2 * log_cosh


def parameters_of(components, *leading) -> torch.Tensor:
    return torch.randn(*leading, num_parameters(components))


# The squashed Gaussian.


@pytest.mark.parametrize("mean", [-3.0, 0.0, 2.5])
@pytest.mark.parametrize("log_std", [-4.0, 0.0, 1.5])
def test_a_squashed_gaussians_log_probability_in_float64(mean, log_std):
    u = np.linspace(-15, 15, 61)
    parameters = torch.tensor([mean, log_std], dtype=torch.float64).expand(61, 2)
    found = SquashedGaussian(parameters).log_prob(torch.from_numpy(u)[:, None])
    np.testing.assert_allclose(found, reference_log_prob(u, mean, log_std), rtol=1e-10, atol=1e-9)


@pytest.mark.parametrize("u", [-12.0, -5.0, -1e-4, 0.0, 0.3, 12.0])
def test_the_derivative_of_tanh_is_right_near_the_bounds_in_float32(u):
    found = log_tanh_derivative(torch.tensor(u)).item()
    assert found == pytest.approx(-2 * math.log(math.cosh(u)), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("u", [-12.0, 12.0])
def test_a_log_probability_near_the_bounds_is_right_in_float32(u):
    parameters = torch.tensor([u, 0.0])
    found = SquashedGaussian(parameters).log_prob(torch.tensor([u])).item()
    assert found == pytest.approx(float(reference_log_prob(u, u, 0.0)), rel=1e-5)


@pytest.mark.parametrize("u", [-50.0, 50.0])
def test_log_probability_and_gradient_are_finite_far_out(u):
    parameters = torch.tensor([u, 0.0], requires_grad=True)
    latent = torch.tensor([u], requires_grad=True)
    log_prob = SquashedGaussian(parameters).log_prob(latent)
    log_prob.backward()
    assert log_prob.item() == pytest.approx(float(reference_log_prob(u, u, 0.0)), rel=1e-5)
    assert parameters.grad.isfinite().all()
    # d/du of -log(1 - tanh^2) is 2 tanh(u).
    assert latent.grad.item() == pytest.approx(2.0 * math.copysign(1, u), rel=1e-5)


@pytest.mark.parametrize(("mean", "log_std"), [(0.0, 0.0), (1.2, -1.0), (-0.7, 0.8), (0.2, -2.5)])
def test_a_squashed_gaussians_density_integrates_to_one(mean, log_std):
    distribution = SquashedGaussian(torch.tensor([mean, log_std], dtype=torch.float64))

    def density(action: float) -> float:
        latent = torch.tensor([math.atanh(action)], dtype=torch.float64)
        return float(distribution.log_prob(latent).exp())

    total, _ = integrate.quad(density, -1, 1, limit=200, points=[math.tanh(mean)])
    assert total == pytest.approx(1.0, abs=1e-5)


def test_samples_follow_the_density():
    parameters = torch.tensor([0.5, -0.3]).expand(20_000, 2)
    samples = SquashedGaussian(parameters).rsample().squeeze(-1)
    gaussian = stats.norm(0.5, math.exp(-0.3) + MIN_STD)
    assert stats.kstest(samples.numpy(), gaussian.cdf).pvalue > 1e-3


def test_a_squashed_gaussians_gradient_flows_through_the_sample():
    parameters = torch.tensor([[0.3, -1.0]], requires_grad=True)
    torch.manual_seed(1)
    noise = torch.randn(1, 1)
    torch.manual_seed(1)
    SquashedGaussian(parameters).rsample().sum().backward()
    expected = [[1.0, math.exp(-1.0) * noise.item()]]
    torch.testing.assert_close(parameters.grad, torch.tensor(expected))


@pytest.mark.parametrize("log_std", [-200.0, -20.0, 20.0, 200.0])
def test_extreme_deviations_stay_finite(log_std):
    parameters = torch.tensor([0.1, log_std], requires_grad=True)
    distribution = SquashedGaussian(parameters)
    log_prob = distribution.log_prob(distribution.rsample())
    log_prob.backward()
    assert 0.999 * MIN_STD < distribution.std.item() < 8
    assert log_prob.isfinite()
    assert parameters.grad.isfinite().all()


# The categorical.


def test_a_categoricals_log_probability():
    logits = torch.randn(5, 4)
    choice = torch.tensor([0, 3, 2, 1, 1])
    found = OneHotCategorical(logits).log_prob(torch.eye(4)[choice])
    torch.testing.assert_close(
        found, torch.distributions.Categorical(logits=logits).log_prob(choice)
    )


def test_categorical_samples_are_one_hot_and_follow_the_probabilities():
    probabilities = torch.tensor([0.1, 0.6, 0.3])
    samples = OneHotCategorical(probabilities.log().expand(30_000, 3)).rsample()
    assert ((samples - samples.round()).abs() < 1e-6).all()
    counts = samples.round().sum(0)
    assert counts.sum() == 30_000
    assert stats.chisquare(counts.numpy(), 30_000 * probabilities.numpy()).pvalue > 1e-3


def test_the_straight_through_gradient_points_uphill_on_a_linear_function():
    weights = torch.tensor([1.0, -2.0, 0.5])
    logits = torch.tensor([0.3, -0.2, 0.1], requires_grad=True)
    (OneHotCategorical(logits.expand(20_000, 3)).rsample() @ weights).mean().backward()
    exact = logits.detach().clone().requires_grad_()
    (exact.softmax(-1) @ weights).backward()
    cosine = torch.nn.functional.cosine_similarity(logits.grad, exact.grad, dim=0)
    assert cosine > 0.99


@pytest.mark.parametrize("logit", [-1e4, 1e4])
def test_extreme_logits_stay_finite(logit):
    logits = torch.tensor([logit, 0.0, 0.0], requires_grad=True)
    distribution = OneHotCategorical(logits)
    sample = distribution.rsample()
    (distribution.log_prob(sample) + sample[0]).backward()
    assert sample.isfinite().all()
    assert logits.grad.isfinite().all()


def test_the_modes():
    components = [LINE, CHOICE]
    distribution = ProductDistribution(components, torch.tensor([0.4, -1.0, 0.1, 3.0, 0.2]))
    torch.testing.assert_close(distribution.mode(), torch.tensor([0.4, 0.0, 1.0, 0.0]))
    action = squash(components, distribution.mode())
    torch.testing.assert_close(action[0], torch.tensor(math.tanh(0.4)))


# Products.


@pytest.mark.parametrize(
    "components", [[BOX], [LINE, LINE, LINE], [CHOICE, CHOICE], MIXED, [COIN, BOX, COIN]]
)
@pytest.mark.parametrize("leading", [(), (7,), (2, 5)])
def test_a_product_is_its_components_one_by_one(components, leading):
    parameters = parameters_of(components, *leading)
    distribution = ProductDistribution(components, parameters)
    latent = distribution.rsample()
    assert latent.shape == (*leading, action_size(components))
    found = distribution.log_prob(latent)
    assert found.shape == (*leading, len(components))
    at, start = 0, 0
    for index, component in enumerate(components):
        kind = SquashedGaussian if component.kind == "continuous" else OneHotCategorical
        own = parameters[..., start : start + component.num_parameters]
        part = latent[..., at : at + component.size]
        torch.testing.assert_close(found[..., index], kind(own).log_prob(part))
        at, start = at + component.size, start + component.num_parameters


def test_log_probabilities_of_all_classes_of_one_choice():
    torch.testing.assert_close(
        ProductDistribution([CHOICE], torch.zeros(2, 3)).class_log_probs(),
        torch.full((2, 3), -math.log(3)),
    )


def test_log_probabilities_of_all_joint_choices():
    components = [CHOICE, COIN, COIN]
    distribution = ProductDistribution(components, parameters_of(components, 4))
    choices = all_actions(components, at_most=12)
    found = distribution.class_log_probs(choices)
    expected = distribution.unsqueeze(-2).log_prob(choices).sum(-1)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(found.exp().sum(-1), torch.ones(4))


def test_class_log_probs_need_discrete_components_and_a_list_of_several():
    for components, message in (([LINE], "not all discrete"), ([CHOICE, COIN], "`choices`")):
        with pytest.raises(TypeError, match=message):
            ProductDistribution(components, parameters_of(components, 2)).class_log_probs()


def test_an_unbounded_components_density_is_the_normal_one():
    parameters = parameters_of([FREE], 50)
    latent = 10.0 * torch.randn(50, 2)
    mean, log_std = parameters.numpy().T.reshape(2, 2, 50)
    expected = stats.norm.logpdf(
        latent.numpy().T, mean, np.exp(log_std.clip(max=MAX_LOG_STD)) + MIN_STD
    ).sum(0)
    found = ProductDistribution([FREE], parameters).log_prob(latent).squeeze(-1)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_unbounded_actions_are_the_samples_themselves():
    latent = ProductDistribution([LINE, FREE], parameters_of([LINE, FREE], 50)).rsample() * 10
    actions = squash([LINE, FREE], latent)
    torch.testing.assert_close(actions[:, 1:], latent[:, 1:])
    assert actions[:, 0].abs().max() <= 1
    torch.testing.assert_close(unsquash([LINE, FREE], actions)[:, 1:], latent[:, 1:])


def test_an_unbounded_prior_is_mixed_with_a_wide_normal_distribution():
    parameters, weight = torch.tensor([[5.0, -5.0, -3.0, -3.0]]), 0.2
    latent = torch.zeros(1, 2)
    found = ProductDistribution([FREE], parameters, uniform_weight=weight).log_prob(latent)
    wide = 2 * stats.norm.logpdf(0.0, 0.0, WIDE_STD) + math.log(weight)
    assert found.item() == pytest.approx(wide, rel=1e-4)


def test_broad_unbounded_actions_are_normal():
    latent = broad_latent([FREE], torch.empty(20_000, 2)).flatten().numpy()
    assert stats.kstest(latent, stats.norm(0, WIDE_STD).cdf).pvalue > 1e-3


def test_another_leading_axis_changes_nothing():
    parameters = parameters_of(MIXED, 4)
    distribution = ProductDistribution(MIXED, parameters, uniform_weight=0.2)
    latent = distribution.rsample()
    found = distribution.unsqueeze(0).log_prob(latent.expand(3, 4, -1))
    torch.testing.assert_close(found, distribution.log_prob(latent).expand(3, 4, -1))


def test_a_samples_log_prob_is_the_one_computed_from_the_sample():
    parameters = parameters_of(MIXED, 6).double().requires_grad_()
    found = []
    for together in (True, False):
        distribution = ProductDistribution(MIXED, parameters, uniform_weight=0.1)
        rng = PolicyRng([seeded_generator(0)], stacked=False)
        if together:
            latent, log_prob = distribution.rsample_and_log_prob(rng)
        else:
            latent = distribution.rsample(rng)
            log_prob = distribution.log_prob(latent)
        (gradient,) = torch.autograd.grad((latent.tanh() + log_prob.sum()).sum(), parameters)
        found.append((latent.detach(), log_prob.detach(), gradient))
    torch.testing.assert_close(found[0], found[1])


@pytest.mark.parametrize("weight", [0.05, 0.5])
def test_a_uniform_mixture(weight):
    parameters = parameters_of(MIXED, 6)
    latent = ProductDistribution(MIXED, parameters).rsample()
    plain = ProductDistribution(MIXED, parameters).log_prob(latent).exp()
    mixed = ProductDistribution(MIXED, parameters, weight).log_prob(latent).exp()
    uniform = torch.tensor([1 / 4, 1 / 3, 1 / 3, 1 / 2, 1 / 2])
    torch.testing.assert_close(mixed, (1 - weight) * plain + weight * uniform)


def test_a_uniform_mixture_has_a_floor():
    sure = ProductDistribution([CHOICE], torch.tensor([1000.0, 0.0, 0.0]), uniform_weight=0.3)
    torch.testing.assert_close(
        sure.log_prob(torch.eye(3)).exp().squeeze(-1), torch.tensor([0.8, 0.1, 0.1])
    )


@pytest.mark.parametrize("weight", [0.0, 0.1])
def test_the_divergence_of_discrete_components_is_exact(weight):
    components = [CHOICE, COIN, CHOICE]
    own_parameters, prior_parameters = parameters_of(components, 4), parameters_of(components, 4)
    own = ProductDistribution(components, own_parameters)
    prior = ProductDistribution(components, prior_parameters, weight)
    found = own.kl_divergence(prior, own.rsample())
    for index, part in enumerate([slice(0, 3), slice(3, 5), slice(5, 8)]):
        p = own_parameters[:, part].softmax(-1).double().numpy()
        q = prior_parameters[:, part].softmax(-1).double().numpy()
        q = (1 - weight) * q + weight / q.shape[-1]
        np.testing.assert_allclose(found[:, index], stats.entropy(p, q, axis=-1), rtol=1e-4)


def test_the_divergence_of_continuous_components_is_right_on_average():
    samples = 200_000
    own_at, prior_at, weight = torch.tensor([0.4, -0.8]), torch.tensor([-0.2, 0.1]), 0.1
    own = ProductDistribution([LINE], own_at.expand(samples, 2))
    prior = ProductDistribution([LINE], prior_at.expand(samples, 2), weight)
    estimates = own.kl_divergence(prior, own.rsample()).squeeze(-1)

    def integrand(u: float) -> float:
        std = math.exp(-0.8) + MIN_STD
        log_rho = float(reference_log_prob(u, 0.4, -0.8))
        log_p = float(reference_log_prob(u, -0.2, 0.1))
        log_mixed = np.logaddexp(math.log1p(-weight) + log_p, math.log(weight / 2))
        return float(stats.norm.pdf(u, 0.4, std)) * (log_rho - log_mixed)

    exact, _ = integrate.quad(integrand, -6, 6, limit=200)
    standard_error = estimates.std().item() / math.sqrt(samples)
    assert estimates.mean().item() == pytest.approx(exact, abs=4 * standard_error)
    assert 4 * standard_error < 0.05 * exact


def test_the_divergences_gradient_flows_through_the_sample():
    parameters = torch.tensor([[0.4, -0.8]], requires_grad=True)
    own = ProductDistribution([LINE], parameters)
    prior = ProductDistribution([LINE], torch.tensor([[0.0, 0.0]]))
    own.kl_divergence(prior, own.rsample()).sum().backward()
    assert parameters.grad[0, 0] != 0


def test_equal_distributions_do_not_diverge():
    parameters = parameters_of(MIXED, 5)
    own, same = (ProductDistribution(MIXED, parameters) for _ in range(2))
    torch.testing.assert_close(own.kl_divergence(same, own.rsample()), torch.zeros(5, len(MIXED)))


# Actions and latent actions.


def test_unsquash_undoes_squash():
    latent = ProductDistribution(MIXED, parameters_of(MIXED, 50)).rsample().clamp(-5, 5)
    actions = squash(MIXED, latent)
    assert actions.abs().max() <= 1
    torch.testing.assert_close(squash(MIXED, unsquash(MIXED, actions)), actions)
    torch.testing.assert_close(unsquash(MIXED, actions), latent, atol=2e-3, rtol=0)


def test_actions_at_the_bounds_have_finite_log_probabilities():
    bounds = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
    parameters = torch.zeros(2, 4, requires_grad=True)
    latent = unsquash([BOX], bounds)
    assert latent.isfinite().all()
    log_prob = ProductDistribution([BOX], parameters).log_prob(latent)
    log_prob.sum().backward()
    assert log_prob.isfinite().all()
    assert parameters.grad.isfinite().all()


def test_uniform_latent_actions_are_uniform_actions():
    components = [BOX, CHOICE, LINE]
    latent = broad_latent(components, torch.empty(20_000, action_size(components)))
    actions = squash(components, latent)
    for column in (0, 1, 5):
        uniform = stats.uniform(-1, 2)
        assert stats.kstest(actions[:, column].numpy(), uniform.cdf).pvalue > 1e-3
    counts = actions[:, 2:5].sum(0)
    assert set(actions[:, 2:5].sum(-1).tolist()) == {1.0}
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3
    assert latent.isfinite().all()


@pytest.mark.parametrize("components", [[COIN], [CHOICE, COIN], [COIN, CHOICE, COIN]])
def test_all_joint_choices_are_listed_once(components):
    count = math.prod(component.size for component in components)
    actions = all_actions(components, at_most=count)
    assert actions.shape == (count, action_size(components))
    assert len(torch.unique(actions, dim=0)) == count
    for part in actions.split([component.size for component in components], dim=-1):
        assert (part.sum(-1) == 1).all()
    uniform = ProductDistribution(components, torch.zeros(num_parameters(components)))
    total = uniform.unsqueeze(0).log_prob(actions).sum(-1).exp().sum()
    torch.testing.assert_close(total, torch.tensor(1.0))


def test_choices_that_cannot_be_listed():
    assert all_actions([COIN, CHOICE], at_most=5) is None
    assert all_actions([COIN, LINE], at_most=100) is None
    assert all_actions([COIN, FREE], at_most=100) is None
