"""Eq. 9-11 in NumPy, for tables; `rommeo_rllib.objective` has the same for tensors.

`q` is (..., own actions, opponents' joint actions), in units of the reward; log-probabilities are
in nats, minus infinity where a probability is 0. `alpha` weighs the policy's entropy, `kl_coeff`
the divergence of the opponent model from the prior (1 in the paper); both are above 0.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def logsumexp(x: Array, axis: int) -> Array:
    """log sum exp(x) along `axis`, which must hold a finite value; never overflows."""
    # A sum over few entries is fast where they lie far apart and what runs beside it is contiguous.
    x = np.ascontiguousarray(np.moveaxis(x, axis, 0))
    top = x.max(axis=0)
    return np.log(np.exp(x - top).sum(axis=0)) + top


def softmax(x: Array, axis: int = -1) -> Array:
    """exp(x) / sum exp(x) along `axis`, which must hold a finite value."""
    weights = np.exp(x - x.max(axis=axis, keepdims=True))
    return weights / weights.sum(axis=axis, keepdims=True)


def log_of(probabilities: Array) -> Array:
    """The logarithm, and minus infinity (without a warning) where a probability is 0."""
    if probabilities.all():
        return np.log(probabilities)
    log = np.full_like(probabilities, -np.inf)
    return np.log(probabilities, out=log, where=probabilities > 0)


def conditional_policy(q: Array, alpha: float) -> Array:
    """The best response to each opponents' action, Eq. 10: pi* = exp(Q / alpha) / sum_a exp.

    Returns:
        pi*(a | s, o), (..., own, opponents), which sums to 1 over the own actions.
    """
    return softmax(q / alpha, axis=-2)


def best_response_value(q: Array, alpha: float) -> Array:
    """alpha log sum_a exp(Q / alpha): (..., own, opponents) -> (..., opponents).

    What each opponents' action is worth, entropy included, if Eq. 10 answers it.
    """
    return alpha * logsumexp(q / alpha, axis=-2)


def marginal_policy(q: Array, opponent_model: Callable[[Array], Array], alpha: float) -> Array:
    """pi(a | s) = sum_o pi*(a | s, o) rho(o | s), from one set of exponentials for Eq. 10 and 11.

    Rows stand on the last axis here: sums over the few actions then run over contiguous memory.

    Args:
        q: (own, opponents, rows).
        opponent_model: makes rho, (opponents, rows), of what each opponents' action is worth, of
            the same shape.
        alpha: weight of the policy's entropy.

    Returns:
        (own, rows).
    """
    top = q.max(axis=0)
    weights = np.exp((q - top) / alpha)
    totals = weights.sum(axis=0)
    rho = opponent_model(alpha * np.log(totals) + top)
    return (weights * (rho / totals)).sum(axis=1)


def opponent_model(values: Array, prior: Array, kl_coeff: float = 1.0, axis: int = -1) -> Array:
    """The regularised opponent model, Eq. 11.

    rho* = P (sum_a exp(Q / alpha))^(alpha / kl_coeff) / exp(V* / kl_coeff).

    Args:
        values: what each opponents' action is worth, see :func:`best_response_value`.
        prior: P(o | s), of the same shape.
        kl_coeff: weight of the divergence.
        axis: that of the opponents' actions.

    Returns:
        rho*(o | s), of the same shape.
    """
    return softmax(log_of(prior) + values / kl_coeff, axis)


def state_value(values: Array, prior: Array, kl_coeff: float = 1.0) -> Array:
    """The soft state value, Eq. 9: kl_coeff log sum_o P (sum_a exp(Q / alpha))^(alpha / kl_coeff).

    Arguments as for :func:`opponent_model`, opponents on the last axis; returns (...).
    """
    return kl_coeff * logsumexp(log_of(prior) + values / kl_coeff, axis=-1)
