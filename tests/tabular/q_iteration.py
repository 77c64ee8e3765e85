"""ROMMEO Q-iteration with a known model, and policy iteration, for one agent.

The environment's dynamics, the rewards and the opponents' prior are given, so that the paper's
theory can be computed: the soft Bellman equation (Eq. 12), its fixed point (Theorem 3), and the
alternating improvement of policy and opponent model (Theorems 4 and 5).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rommeo_rllib.tabular import exact
from rommeo_rllib.tabular.exact import Array


@dataclass(frozen=True)
class KnownModel:
    """All that Q-iteration needs to know.

    Attributes:
        rewards: R(s, a, o), (states, own, opponents).
        transitions: p(s' | s, a, o), (states, own, opponents, states); rows sum to 1, or to less
            where an episode may terminate.
        prior: P(o | s), (states, opponents).
        gamma: discount factor, in [0, 1).
        alpha: weight of the policy's entropy, above 0.
        kl_coeff: weight of the divergence from the prior, above 0; 1 in the paper.
    """

    rewards: Array
    transitions: Array
    prior: Array
    gamma: float = 0.95
    alpha: float = 1.0
    kl_coeff: float = 1.0

    def __post_init__(self) -> None:
        states, own, opponents = self.rewards.shape
        _check_shape("transitions", self.transitions, (states, own, opponents, states))
        _check_shape("prior", self.prior, (states, opponents))
        if not 0 <= self.gamma < 1:
            raise ValueError(f"`gamma` is {self.gamma!r}; allowed: a number in [0, 1).")
        for name in ("alpha", "kl_coeff"):
            if not getattr(self, name) > 0:
                raise ValueError(f"`{name}` is {getattr(self, name)!r}; allowed: above 0.")

    @property
    def log_prior(self) -> Array:
        """log P(o | s), (states, opponents)."""
        return exact.log_of(self.prior)


def bellman(q: Array, model: KnownModel) -> Array:
    """T Q = R + gamma E_s'[V(s')], Eq. 12 and 60, with V from Eq. 9.

    T is a gamma-contraction in the maximum norm for every alpha and kl_coeff: a change of Q by at
    most e changes alpha log sum_a exp(Q / alpha) by at most e, and V by at most that.

    Args:
        q: (states, own, opponents).
        model: the game.

    Returns:
        (states, own, opponents).
    """
    value = exact.state_value(
        exact.best_response_value(q, model.alpha), model.prior, model.kl_coeff
    )
    return model.rewards + model.gamma * model.transitions @ value


def q_iteration(
    model: KnownModel,
    q: Array | None = None,
    *,
    tolerance: float = 1e-9,
    max_iterations: int = 100_000,
) -> Array:
    """The fixed point of :func:`bellman` (Theorem 3).

    Args:
        model: the game.
        q: where to begin; 0 by default.
        tolerance: the greatest distance from the fixed point, in the maximum norm.
        max_iterations: the iterations after which it gives up.

    Returns:
        Q*, (states, own, opponents).

    Raises:
        RuntimeError: if `max_iterations` do not suffice.
    """
    q = np.zeros_like(model.rewards) if q is None else q
    for _ in range(max_iterations):
        following = bellman(q, model)
        change = np.abs(following - q).max()
        q = following
        # A contraction: the distance that remains is at most gamma / (1 - gamma) times the change.
        if model.gamma * change <= tolerance * (1 - model.gamma):
            return q
    raise RuntimeError(
        f"Q-iteration changed Q by {change:g} in iteration {max_iterations}, with gamma="
        f"{model.gamma}; allow more `max_iterations` or a larger `tolerance`."
    )


def evaluate(policy: Array, opponent_model: Array, model: KnownModel) -> Array:
    """Q^{pi, rho}, Eq. 33 - 36: the objective's return from each state and joint action on.

    Args:
        policy: pi(a | s, o), (states, own, opponents).
        opponent_model: rho(o | s), (states, opponents).
        model: the game.

    Returns:
        (states, own, opponents), by solving the linear equations exactly.
    """
    bonus = _divergence_bonus(policy, opponent_model, model)
    joint = policy * opponent_model[:, None, :]
    n_states = len(model.rewards)
    expected_reward = (joint * model.rewards).sum((1, 2)) + bonus
    expected_transition = np.einsum("sao,saot->st", joint, model.transitions)
    system = np.eye(n_states) - model.gamma * expected_transition
    value = np.linalg.solve(system, expected_reward)
    return model.rewards + model.gamma * model.transitions @ value


def improve_policy(q: Array, model: KnownModel) -> Array:
    """pi ~ exp(Q / alpha), Eq. 38 (Theorem 4): (states, own, opponents)."""
    return exact.conditional_policy(q, model.alpha)


def improve_opponent_model(q: Array, policy: Array, model: KnownModel) -> Array:
    """rho ~ P exp((E_pi[Q] + alpha H(pi)) / kl_coeff), Eq. 39 (Theorem 5): (states, opponents)."""
    response = (policy * q).sum(1) + model.alpha * _entropy(policy)
    return exact.opponent_model(response, model.prior, model.kl_coeff)


def _divergence_bonus(policy: Array, opponent_model: Array, model: KnownModel) -> Array:
    """alpha E_rho[H(pi)] - kl_coeff KL(rho || P), (states,)."""
    # 0 log 0 = 0, also where the prior is 0, too.
    log_ratio = np.zeros_like(opponent_model)
    is_possible = opponent_model > 0
    log_ratio[is_possible] = np.log(opponent_model[is_possible]) - model.log_prior[is_possible]
    entropy = (opponent_model * _entropy(policy)).sum(-1)
    return model.alpha * entropy - model.kl_coeff * (opponent_model * log_ratio).sum(-1)


def _entropy(policy: Array) -> Array:
    """H(pi(. | s, o)) in nats: (states, own, opponents) -> (states, opponents)."""
    log = np.log(policy, out=np.zeros_like(policy), where=policy > 0)
    return -(policy * log).sum(1)


def _check_shape(name: str, array: Array, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise ValueError(f"`{name}` has shape {array.shape}; allowed with these rewards: {shape}.")
