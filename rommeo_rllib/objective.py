"""The paper's objective: Eq. 9-11 and 14-19 as pure functions of tensors.

Tian et al., "A Regularized Opponent Model with Maximum Entropy Objective", IJCAI 2019.

For agent i, with its own action a and its opponents' actions o (the paper's a^i and a^-i), the
objective of Eq. 7 is, at each step,

    E_{o ~ rho, a ~ pi(.|o)} [ R(s, a, o) + alpha H(pi(.|s, o)) ] - beta KL(rho(.|s) || P(.|s))

The opponent model rho leans towards what would be best; the prior P, fitted to what the opponents
really did, holds it back. The paper's beta is 1; here it is `kl_coeff`. Where it is not 1, Eq. 9
and 11 read as below, which is their only generalisation that still maximises the objective.

Everything is computed per row, on any leading axes; nothing here knows of networks, replay or Ray.
Q, alpha and beta are in units of the reward, log-probabilities in nats.

Exact half (actions that can be counted): `q` is (..., own actions, opponents' joint actions).
Sampled half (Section 3.2): `q`, `log_policy` and `kl` have shape (...), one entry per sample.
"""

from __future__ import annotations

from torch import Tensor


def log_conditional_policy(q: Tensor, alpha: float | Tensor) -> Tensor:
    """The best response to each opponents' action, Eq. 10.

    pi* = exp(Q / alpha) / sum_a exp(Q / alpha).

    Args:
        q: (..., own, opponents).
        alpha: above 0; a number or a tensor that broadcasts to (..., 1, 1).

    Returns:
        log pi*(a | s, o), (..., own, opponents), normalised over the own actions.
    """
    return (q / alpha).log_softmax(-2)


def best_response_value(q: Tensor, alpha: float | Tensor) -> Tensor:
    """What each opponents' action is worth if it is answered by Eq. 10.

    That is E_pi*[Q] + alpha H(pi*) = alpha log sum_a exp(Q / alpha): (..., own, opponents) ->
    (..., opponents). Eq. 9 and 11 are written in terms of it.
    """
    return (alpha * (q / alpha).logsumexp(-2, keepdim=True)).squeeze(-2)


def log_opponent_model(
    q: Tensor, log_prior: Tensor, alpha: float | Tensor, kl_coeff: float | Tensor = 1.0
) -> Tensor:
    """The regularised opponent model, Eq. 11.

    rho* = P (sum_a exp(Q / alpha))^(alpha / beta) / exp(V* / beta).

    Args:
        q: (..., own, opponents).
        log_prior: log P(o | s), (..., opponents); minus infinity where P is 0.
        alpha: above 0.
        kl_coeff: beta, above 0.

    Returns:
        log rho*(o | s), (..., opponents).
    """
    return (log_prior + best_response_value(q, alpha) / kl_coeff).log_softmax(-1)


def soft_state_value(
    q: Tensor, log_prior: Tensor, alpha: float | Tensor, kl_coeff: float | Tensor = 1.0
) -> Tensor:
    """The soft state value, Eq. 9: V* = beta log sum_o P (sum_a exp(Q / alpha))^(alpha / beta).

    Shapes as for :func:`log_opponent_model`; returns (...).
    """
    return kl_coeff * (log_prior + best_response_value(q, alpha) / kl_coeff).logsumexp(-1)


def sampled_response_value(q: Tensor, log_policy: Tensor, alpha: float | Tensor) -> Tensor:
    """One sample of E_pi[Q] + alpha H(pi) for a given opponents' action: Q - alpha log pi, (...).

    Args:
        q: Q(s, a, o) at a ~ pi(. | s, o).
        log_policy: log pi(a | s, o) of that action.
        alpha: above 0.
    """
    return q - alpha * log_policy


def expected_response_value(q: Tensor, log_policy: Tensor, alpha: float | Tensor) -> Tensor:
    """E_pi[Q] + alpha H(pi) exactly, where the own actions (last axis) can be counted.

    Args:
        q: Q(s, ., o), (..., own).
        log_policy: log pi(. | s, o), (..., own).
        alpha: above 0.

    Returns:
        (...).
    """
    return (log_policy.exp() * (q - alpha * log_policy)).sum(-1)


def sampled_state_value(
    response_value: Tensor, kl: Tensor, kl_coeff: float | Tensor = 1.0
) -> Tensor:
    """The next state's value in the Q-function's target, Eq. 15.

    V(s') = Q(s', a', o') - alpha log pi(a' | s', o') - beta (log rho(o' | s') - log P(o' | s')).

    Args:
        response_value: the first two terms, from the target Q-function.
        kl: log rho(o' | s') - log P(o' | s') at o' ~ rho, or the exact divergence.
        kl_coeff: beta, 0 or above.
    """
    return response_value - kl_coeff * kl


def resampling_weights(
    q: Tensor,
    log_own_proposal: Tensor,
    log_prior: Tensor,
    log_opponents_proposal: Tensor,
    alpha: float | Tensor,
    kl_coeff: float | Tensor = 1.0,
) -> tuple[Tensor, Tensor]:
    """Eq. 10 and 11 at sampled actions: weights that make proposals into samples of pi* and rho*.

    Self-normalised importance sampling. The inner integral of Eq. 9 and 11 is estimated for each
    candidate o_j from the own actions a_jl that were drawn for it:
    V_j = alpha log mean_l exp(Q(a_jl, o_j) / alpha) / proposal(a_jl | o_j). Where actions can be
    counted and all of them are given, with proposals of log-probability 0, both are exact.

    Args:
        q: Q(s, a_jl, o_j), (..., candidates, own).
        log_own_proposal: log-density that a_jl was drawn from, of the shape of `q`.
        log_prior: log P(o_j | s), (..., candidates).
        log_opponents_proposal: log-density that o_j was drawn from, (..., candidates).
        alpha: above 0.
        kl_coeff: beta, above 0.

    Returns:
        Weights of the own actions, (..., candidates, own), and of the candidates,
        (..., candidates); each sums to 1 over its last axis.
    """
    own = q / alpha - log_own_proposal
    values = (alpha * own.logsumexp(-1, keepdim=True)).squeeze(-1)
    candidates = log_prior + values / kl_coeff - log_opponents_proposal
    return own.softmax(-1), candidates.softmax(-1)


def weighted_likelihood_loss(weights: Tensor, log_prob: Tensor) -> Tensor:
    """Cross-entropy from weighted samples (last axis) to a model: (..., samples) both -> (...)."""
    return -(weights * log_prob).sum(-1)


def td_target(
    reward: Tensor, terminated: Tensor, next_value: Tensor, gamma: float | Tensor
) -> Tensor:
    """R + gamma V(s'), the square bracket of Eq. 14; V counts as 0 where the episode terminated.

    A time limit (truncation) is no termination: the value behind it counts.
    """
    return reward + gamma * (1.0 - terminated) * next_value


def q_loss(q: Tensor, target: Tensor) -> Tensor:
    """J_Q, Eq. 14: half of the squared error, per row. Its gradient is Eq. 20."""
    return 0.5 * (q - target.detach()).square()


def policy_loss(response_value: Tensor) -> Tensor:
    """J_pi, Eq. 16 and 18, per row: alpha log pi(a | s, o) - Q(s, a, o). Its gradient is Eq. 21.

    The divergence of Eq. 16 and this differ by log Z, which does not depend on the policy.
    """
    return -response_value


def opponent_model_loss(
    response_value: Tensor, kl: Tensor, kl_coeff: float | Tensor = 1.0
) -> Tensor:
    """J_rho, Eq. 17 and 19, per row.

    Its gradient has the path through the own action, a ~ pi(. | s, o), as well, which Eq. 22 leaves
    out.

    beta (log rho(o | s) - log P(o | s)) - Q(s, a, o) + alpha log pi(a | s, o), with o ~ rho and a
    fresh from the conditional policy, a ~ pi(. | s, o), as in Eq. 39 (Eq. 19 prints the replay's).

    Args:
        response_value: from :func:`sampled_response_value` or :func:`expected_response_value`, with
            gradients flowing to o but not to the parameters of pi and Q.
        kl: from the distributions' `kl_divergence`, summed over the opponents.
        kl_coeff: beta, 0 or above.
    """
    return kl_coeff * kl - response_value


def prior_loss(log_prior: Tensor) -> Tensor:
    """Negative log-likelihood of the opponents' real actions, per row (Algorithm 2, psi)."""
    return -log_prior


def temperature_loss(log_alpha: Tensor, entropy: Tensor, target_entropy: float) -> Tensor:
    """Raises alpha where the policy's entropy is below its target, lowers it where it is above.

    Haarnoja et al. 2018b; not part of the ROMMEO paper.
    """
    return log_alpha * (entropy.detach() - target_entropy)
