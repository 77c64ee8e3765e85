"""Soft values and Stein's direction against closed forms."""

from __future__ import annotations

import math

import pytest
import torch

from rommeo_rllib.baselines.energy import (
    sampled_soft_value,
    squashed_log_density,
    stein_direction,
)


@pytest.mark.parametrize("alpha", [0.1, 1.0, 10.0])
def test_the_soft_value_of_a_constant_q_adds_the_entropy_of_the_uniform_distribution(alpha):
    q = torch.full((3, 50), 2.0)
    value = sampled_soft_value(q, torch.tensor([alpha]), dimensions=2)
    torch.testing.assert_close(value, torch.full((3,), 2.0 + alpha * 2 * math.log(2.0)))


def test_the_soft_value_of_a_linear_q_is_the_integrals():
    torch.manual_seed(0)
    actions = 2.0 * torch.rand(1, 200_000) - 1.0
    alpha = torch.tensor([0.5])
    # The integral of exp(3 a / alpha) over [-1, 1].
    expected = 0.5 * math.log((math.exp(6.0) - math.exp(-6.0)) / 6.0)
    value = sampled_soft_value(3.0 * actions, alpha, dimensions=1)
    assert value.item() == pytest.approx(expected, rel=1e-2)


def test_the_squashed_density_integrates_to_that_of_the_actions():
    latent = torch.linspace(-12.0, 12.0, 20_001, dtype=torch.float64).unsqueeze(-1)
    alpha = torch.tensor(0.5, dtype=torch.float64)
    density = squashed_log_density(latent.tanh().squeeze(-1), alpha, latent).exp()
    integral = torch.trapezoid(density, latent.squeeze(-1))
    expected = 0.5 * (math.exp(2.0) - math.exp(-2.0))
    assert integral.item() == pytest.approx(expected, rel=1e-4)


def test_steins_direction_is_the_kernels_mean_particle_by_particle():
    torch.manual_seed(0)
    fixed, updated, scores = torch.randn(5, 2), torch.randn(3, 2), torch.randn(5, 2)
    squared = torch.cdist(fixed, updated).square()
    width = squared.flatten().median() / math.log(6.0)
    expected = torch.zeros(3, 2)
    for m in range(3):
        for n in range(5):
            kernel = (-squared[n, m] / width).exp()
            gradient = -2.0 * (fixed[n] - updated[m]) / width * kernel
            expected[m] += (kernel * scores[n] + gradient) / 5
    torch.testing.assert_close(stein_direction(fixed, scores, updated), expected)


def test_particles_that_follow_steins_direction_take_the_densitys_mean_and_spread():
    torch.manual_seed(0)
    particles = torch.randn(1, 200, 1) * 0.1
    for _ in range(300):
        # The score of a Gaussian of mean 2 and variance 4.
        scores = -(particles - 2.0) / 4.0
        particles = particles + 0.5 * stein_direction(particles, scores, particles)
    assert particles.mean().item() == pytest.approx(2.0, abs=0.1)
    assert particles.std().item() == pytest.approx(2.0, abs=0.2)
