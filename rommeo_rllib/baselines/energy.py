"""Energy-based policies, pi proportional to exp(Q / alpha): their value, and how to sample them.

Pure functions of tensors, on any leading axes. Equations are those of Haarnoja et al.,
"Reinforcement Learning with Deep Energy-Based Policies", ICML 2017.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rommeo_rllib.distributions import log_tanh_derivative


def sampled_soft_value(q: Tensor, alpha: Tensor, dimensions: int) -> Tensor:
    """V(s) = alpha log of the integral of exp(Q / alpha), Eq. 10, by uniform proposals.

    Args:
        q: Q at n actions uniform in [-1, 1]^dimensions, (..., n).
        alpha: above 0, broadcasting to (...).
        dimensions: of the action.

    Returns:
        (...), in units of the reward.
    """
    mean = (q / alpha.unsqueeze(-1)).logsumexp(-1) - math.log(q.shape[-1])
    return alpha * (mean + dimensions * math.log(2.0))


def squashed_log_density(q: Tensor, alpha: Tensor, latent: Tensor) -> Tensor:
    """Log-density, but for a constant, of u where tanh(u) has the density exp(Q / alpha).

    Args:
        q: Q at tanh(latent), (..., n).
        alpha: above 0, broadcasting to (..., n).
        latent: (..., n, dimensions).
    """
    return q / alpha + log_tanh_derivative(latent).sum(-1)


def stein_direction(fixed: Tensor, scores: Tensor, updated: Tensor) -> Tensor:
    """Where to move particles so that they spread over a density, Eq. 13.

    The mean over the fixed particles f of kernel(f, u) score(f) + gradient of the kernel by f, with
    a Gaussian kernel whose width is set by the median distance (Liu and Wang 2016).

    Args:
        fixed: particles over which the expectation is taken, (..., n, dimensions).
        scores: gradients of the log-density there, of the same shape.
        updated: particles to move, (..., m, dimensions).

    Returns:
        A direction for each particle to move, (..., m, dimensions), without gradient.
    """
    with torch.no_grad():
        differences = fixed.unsqueeze(-2) - updated.unsqueeze(-3)
        squared = differences.square().sum(-1)
        median = squared.flatten(-2).median(-1).values[..., None, None]
        width = (median / math.log(fixed.shape[-2] + 1.0)).clamp_min(1e-6)
        kernel = (-squared / width).exp().unsqueeze(-1)
        repulsion = -2.0 * differences / width.unsqueeze(-1) * kernel
        return (kernel * scores.unsqueeze(-2) + repulsion).mean(-3)
