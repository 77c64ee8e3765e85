"""Local expectations: unbiased, at the cost of a sum."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor

from rommeo_rllib.components import ActionComponent, action_size, all_actions, num_parameters
from rommeo_rllib.distributions import ProductDistribution
from rommeo_rllib.local_expectations import (
    log_density_of_neighbours,
    neighbours,
    with_neighbours,
)

CHOICES = tuple(ActionComponent("discrete", size) for size in (2, 4, 3))
MIXED = (
    ActionComponent("discrete", 3),
    ActionComponent("continuous", 2),
    ActionComponent("discrete", 2),
)


def distribution(components) -> tuple[Tensor, ProductDistribution]:
    generator = torch.Generator().manual_seed(0)
    shape = (num_parameters(components),)
    parameters = torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()
    return parameters, ProductDistribution(components, parameters)


def values(latent: Tensor) -> Tensor:
    """Anything that is no sum over components."""
    mixing = torch.linspace(-1.0, 1.0, latent.shape[-1] ** 2, dtype=latent.dtype).sin()
    mixed = latent @ mixing.view(latent.shape[-1], -1)
    return (3.0 * mixed).tanh().prod(-1) + (latent * mixed).sum(-1).square()


def test_neighbours_are_the_sample_and_all_that_differ_from_it_in_one_choice():
    _, product_distribution = distribution(CHOICES)
    every = all_actions(CHOICES, 100).double()
    for sample in every:
        latent, weights = neighbours(CHOICES, product_distribution.class_probs(), sample)
        assert torch.equal(latent[0], sample)
        differing = (every - sample).abs().sum(-1) == 2.0
        found = {tuple(row) for row in latent[1:].tolist()}
        assert found == {tuple(row) for row in every[differing].tolist()}
        assert len(latent) == 1 + sum(c.size - 1 for c in CHOICES)
        assert weights.sum().item() == pytest.approx(1.0)


def test_values_and_gradients_of_choices_are_unbiased():
    # Exactly, by going through all samples: the mean of the estimates is what counting gives.
    parameters, product_distribution = distribution(CHOICES)
    every = all_actions(CHOICES, 100).double()
    probabilities = product_distribution.log_prob(every).sum(-1).exp()
    expected = (probabilities * values(every)).sum()
    wanted = torch.autograd.grad(expected, parameters, retain_graph=True)[0]
    latent, weights = neighbours(CHOICES, product_distribution.class_probs(), every)
    estimates = (weights * values(latent)).sum(-1)
    found = (probabilities.detach() * estimates).sum()
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.autograd.grad(found, parameters)[0], wanted)


def test_a_single_choice_is_counted_exactly():
    component = (ActionComponent("discrete", 5),)
    parameters, one = distribution(component)
    every = all_actions(component, 5).double()
    exact = (one.class_log_probs().exp() * values(every)).sum()
    wanted = torch.autograd.grad(exact, parameters, retain_graph=True)[0]
    latent, weights = neighbours(component, one.class_probs(), every[3])
    found = (weights * values(latent)).sum()
    torch.testing.assert_close(found, exact)
    torch.testing.assert_close(torch.autograd.grad(found, parameters)[0], wanted)


def test_continuous_components_beside_choices_keep_the_gradient_of_their_sample():
    # The same noise for all choices: exact over the choices, one sample of the continuous part.
    parameters, mixed = distribution(MIXED)
    noise = torch.tensor([0.3, -1.2], dtype=torch.float64)
    mean, log_std = parameters[3:7].chunk(2)
    continuous = torch.addcmul(mean, log_std.exp() + 0.01, noise)
    expected = found = torch.zeros((), dtype=torch.float64)
    probabilities = mixed.class_probs()
    for first, second in product(range(3), range(2)):
        one = torch.eye(3, dtype=torch.float64)[first]
        other = torch.eye(2, dtype=torch.float64)[second]
        sample = torch.cat([one, continuous, other])
        probability = probabilities[first] * probabilities[5 + second]
        expected = expected + probability * values(sample)
        latent, weights = neighbours(MIXED, probabilities, sample)
        assert torch.equal(latent[:, 3:5], continuous.expand(4, 2))
        found = found + probability.detach() * (weights * values(latent)).sum()
    torch.testing.assert_close(found, expected)
    wanted = torch.autograd.grad(expected, parameters, retain_graph=True)[0]
    torch.testing.assert_close(torch.autograd.grad(found, parameters)[0], wanted)


def test_no_gradient_flows_back_through_a_choice():
    sample = torch.zeros(action_size(MIXED), dtype=torch.float64)
    sample[[0, 5]] = 1.0
    sample.requires_grad_()
    _, mixed = distribution(MIXED)
    latent, _ = neighbours(MIXED, mixed.class_probs().detach(), sample)
    (gradient,) = torch.autograd.grad(latent.square().sum() + latent.sum(), sample)
    assert gradient.tolist() == [0.0, 0.0, 0.0, 4.0, 4.0, 0.0, 0.0]


def test_policies_that_are_stacked_have_neighbours_of_their_own():
    generator = torch.Generator().manual_seed(1)
    parameters = torch.randn(2, 6, num_parameters(MIXED), generator=generator)
    stacked = ProductDistribution(MIXED, parameters)
    sample = stacked.rsample()
    latent, weights = neighbours(MIXED, stacked.class_probs(), sample)
    for index in range(2):
        alone = ProductDistribution(MIXED, parameters[index])
        own = neighbours(MIXED, alone.class_probs(), sample[index])
        torch.testing.assert_close((latent[index], weights[index]), own)


def test_the_sampled_entropy_is_exact_for_choices():
    parameters, mixed = distribution(MIXED)
    log_prob = mixed.log_prob(mixed.rsample())
    entropy = mixed.sampled_entropy(log_prob)
    assert entropy[1] == -log_prob[1]
    for component, places in ((0, slice(0, 3)), (2, slice(7, 9))):
        wanted = torch.distributions.Categorical(logits=parameters[places]).entropy()
        torch.testing.assert_close(entropy[component], wanted)


@pytest.mark.parametrize("mask", [(1.0, 1.0, 1.0), (1.0, 0.0, 1.0), (0.0, 1.0, 0.0)])
def test_neighbours_weighed_by_how_densely_they_lie_stand_for_all_joint_actions(mask):
    # The expectation over all pairs of samples is the sum over all joint actions that differ.
    _, product_distribution = distribution(CHOICES)
    every, present = all_actions(CHOICES, 100).double(), torch.tensor(mask).double()
    visible = torch.cat([torch.full((c.size,), m) for c, m in zip(CHOICES, mask, strict=True)])
    count = len(every)
    pairs = torch.stack([every.repeat_interleave(count, 0), every.repeat(count, 1)], dim=1)
    latent = with_neighbours(CHOICES, pairs)
    log_probs = product_distribution.log_prob(latent)
    log_density = log_density_of_neighbours(CHOICES, log_probs, present, 2)
    estimates = (values(latent * visible) / (2.0 * log_density.exp())).sum(-1)
    probabilities = product_distribution.log_prob(pairs).sum((-2, -1)).exp()
    wanted = values(torch.unique(every * visible, dim=0)).sum()
    torch.testing.assert_close((probabilities * estimates).sum(), wanted)


def test_neighbours_lie_as_densely_as_their_continuous_components():
    # Of a single choice all options are there: only the rest is left to chance.
    components = MIXED[:2]
    _, mixed = distribution(components)
    latent = with_neighbours(components, mixed.rsample().expand(2, -1))
    log_probs = mixed.log_prob(latent)
    density = log_density_of_neighbours(components, log_probs, torch.ones(2).double(), 2)
    torch.testing.assert_close(density, log_probs[..., 1])
