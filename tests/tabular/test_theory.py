"""The paper's theorems on games with states and a known model."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from q_iteration import (
    KnownModel,
    bellman,
    evaluate,
    improve_opponent_model,
    improve_policy,
    q_iteration,
)

from rommeo_rllib.tabular import ROMMEOQ, exact

few_examples = settings(max_examples=40, deadline=None)
STATES, OWN, OPPONENTS = 4, 3, 2

alphas = st.floats(0.01, 100)
seeds = st.integers(0, 2**31)


def random_model(
    seed: int, alpha: float = 1.0, gamma: float = 0.9, kl_coeff: float = 1.0
) -> KnownModel:
    rng = np.random.default_rng(seed)
    return KnownModel(
        rewards=rng.normal(scale=5, size=(STATES, OWN, OPPONENTS)),
        transitions=rng.dirichlet(np.ones(STATES), (STATES, OWN, OPPONENTS)),
        prior=rng.dirichlet(np.ones(OPPONENTS), STATES),
        gamma=gamma,
        alpha=alpha,
        kl_coeff=kl_coeff,
    )


def random_pair(seed: int) -> tuple[exact.Array, exact.Array]:
    rng = np.random.default_rng(seed + 1)
    policy = rng.dirichlet(np.ones(OWN), (STATES, OPPONENTS)).swapaxes(1, 2)
    return policy, rng.dirichlet(np.ones(OPPONENTS), STATES)


@given(seeds, alphas)
@few_examples
def test_policy_improvement_never_lowers_q(seed: int, alpha: float) -> None:
    """Theorem 4."""
    model = random_model(seed, alpha)
    policy, opponent_model = random_pair(seed)
    q = evaluate(policy, opponent_model, model)
    better = evaluate(improve_policy(q, model), opponent_model, model)
    assert (better >= q - 1e-8 * (1 + np.abs(q).max())).all()


@given(seeds, alphas, st.floats(0.1, 10))
@few_examples
def test_opponent_model_improvement_never_lowers_q(
    seed: int, alpha: float, kl_coeff: float
) -> None:
    """Theorem 5."""
    model = random_model(seed, alpha, kl_coeff=kl_coeff)
    policy, opponent_model = random_pair(seed)
    q = evaluate(policy, opponent_model, model)
    better = evaluate(policy, improve_opponent_model(q, policy, model), model)
    assert (better >= q - 1e-8 * (1 + np.abs(q).max())).all()


@given(seeds, st.floats(0.1, 10))
@settings(max_examples=15, deadline=None)
def test_alternating_improvement_rises_to_the_fixed_point(seed: int, alpha: float) -> None:
    """Theorems 1-3: policy iteration, never falling, ends where Q-iteration ends."""
    model = random_model(seed, alpha)
    policy, opponent_model = random_pair(seed)
    q = evaluate(policy, opponent_model, model)
    slack = 1e-8 * (1 + np.abs(q).max())
    for _ in range(60):
        policy = improve_policy(q, model)
        improved = evaluate(policy, opponent_model, model)
        assert (improved >= q - slack).all()
        opponent_model = improve_opponent_model(improved, policy, model)
        q = evaluate(policy, opponent_model, model)
        assert (q >= improved - slack).all()
    np.testing.assert_allclose(q, q_iteration(model), rtol=1e-6, atol=1e-6)


@given(seeds, seeds, alphas, st.floats(0.0, 0.99), st.floats(0.01, 100))
@few_examples
def test_bellman_operator_contracts_by_gamma_for_every_alpha(
    seed: int, other: int, alpha: float, gamma: float, kl_coeff: float
) -> None:
    """Eq. 61 holds with any alpha, not with alpha = 1 alone, and with any weight of the KL."""
    model = random_model(seed, alpha, gamma, kl_coeff)
    scale = np.random.default_rng(other).lognormal(sigma=2)
    first, second = np.random.default_rng(other).normal(
        scale=scale, size=(2, STATES, OWN, OPPONENTS)
    )
    distance = np.abs(first - second).max()
    after = np.abs(bellman(first, model) - bellman(second, model)).max()
    assert after <= gamma * distance + 1e-9 * (1 + distance)


def test_contraction_factor_is_not_below_gamma() -> None:
    """A shift of Q by a constant shifts T Q by gamma times it: the bound is tight."""
    model = random_model(0, alpha=7.0, gamma=0.9)
    q = np.random.default_rng(1).normal(size=(STATES, OWN, OPPONENTS))
    np.testing.assert_allclose(bellman(q + 3.0, model) - bellman(q, model), 2.7, rtol=1e-12)


@given(seeds, alphas, st.floats(0.0, 0.95))
@settings(max_examples=20, deadline=None)
def test_q_iteration_ends_in_the_soft_bellman_equation(
    seed: int, alpha: float, gamma: float
) -> None:
    """Theorem 3: from anywhere to the only solution of Eq. 12."""
    model = random_model(seed, alpha, gamma)
    start = np.random.default_rng(seed).normal(scale=100, size=(STATES, OWN, OPPONENTS))
    q = q_iteration(model, tolerance=1e-8)
    np.testing.assert_allclose(bellman(q, model), q, atol=1e-7, rtol=1e-9)
    np.testing.assert_allclose(q_iteration(model, start, tolerance=1e-8), q, atol=1e-7, rtol=1e-9)


def test_q_iteration_says_when_it_gives_up() -> None:
    with pytest.raises(RuntimeError, match=r"iteration 3, with gamma=0\.9"):
        q_iteration(random_model(0), max_iterations=3)


def test_known_model_names_a_wrong_shape() -> None:
    with pytest.raises(ValueError, match=r"`prior` has shape \(2,\).*\(4, 2\)"):
        KnownModel(np.zeros((4, 3, 2)), np.full((4, 3, 2, 4), 0.25), prior=np.array([0.5, 0.5]))


@pytest.mark.parametrize("target_update_interval", [1, 500])
def test_rommeo_q_learns_the_fixed_point_from_samples(target_update_interval: int) -> None:
    """ROMMEO-Q, fed with uniformly random actions, finds Q-iteration's fixed point."""
    trials, plays, gamma, alpha = 4, 30_000, 0.6, 0.7
    rng = np.random.default_rng(3)
    # The opponents are uniformly random, so that their frequency tends to this prior.
    known = random_model(5, alpha, gamma)
    known = KnownModel(
        known.rewards, known.transitions, np.full((STATES, OPPONENTS), 0.5), gamma, alpha
    )
    learner = ROMMEOQ(
        OWN,
        [OPPONENTS],
        n_states=STATES,
        trials=trials,
        seed=0,
        gamma=gamma,
        alpha=alpha,
        learning_rate={
            "initial": 1.0,
            "final": 0.005,
            "decay_steps": 15_000,
            "kind": "exponential",
        },
        target_update_interval=target_update_interval,
    )
    cumulated = known.transitions.cumsum(-1)
    never = np.zeros(trials, bool)
    states = rng.integers(STATES, size=trials)
    for _ in range(plays):
        own, other = rng.integers(OWN, size=trials), rng.integers(OPPONENTS, size=trials)
        thresholds = rng.random(trials)[:, None]
        following = (cumulated[states, own, other] < thresholds).sum(-1)
        following = np.minimum(following, STATES - 1)
        rewards = known.rewards[states, own, other]
        learner.observe(states, own, other[:, None], rewards, following, never)
        states = following
    expected = q_iteration(known)
    error = np.abs(learner.q - expected).max()
    assert error < 0.03 * np.abs(expected).max(), error


@few_examples
@given(seeds)
def test_equation_6_bounds_the_likelihood_of_optimality_from_below(seed: int) -> None:
    """log P(optimality) by summing over all trajectories; the bound is tight at Eq. 10 and 11."""
    horizon, rng = 3, np.random.default_rng(seed)
    rewards = rng.normal(size=(STATES, OWN, OPPONENTS))
    following = rng.integers(STATES, size=(STATES, OWN, OPPONENTS))
    prior = rng.dirichlet(np.ones(OPPONENTS), size=STATES)

    def likelihood(state: int, steps: int) -> float:
        if steps == 0:
            return 1.0
        return sum(
            prior[state, o]
            * np.exp(rewards[state, a, o])
            * likelihood(following[state, a, o], steps - 1)
            for a in range(OWN)
            for o in range(OPPONENTS)
        )

    def bound(policy: exact.Array, model: exact.Array) -> exact.Array:
        """J(pi, rho) of each state; (steps left, states, own, opponents), (steps left, ...)."""
        value = np.zeros(STATES)
        for pi, rho in zip(policy, model, strict=True):
            gain = rewards + value[following] - np.log(pi)
            value = ((pi * gain).sum(1) * rho - rho * np.log(rho / prior)).sum(1)
        return value

    best, policies, models = np.zeros(STATES), [], []
    for _ in range(horizon):
        q = rewards + best[following]
        values = exact.best_response_value(q, 1.0)
        policies.append(exact.conditional_policy(q, 1.0))
        models.append(exact.opponent_model(values, prior))
        best = exact.state_value(values, prior)
    expected = np.log([likelihood(state, horizon) for state in range(STATES)])
    np.testing.assert_allclose(bound(np.array(policies), np.array(models)), expected)
    some = np.moveaxis(rng.dirichlet(np.ones(OWN), size=(horizon, STATES, OPPONENTS)), -1, 2)
    others = rng.dirichlet(np.ones(OPPONENTS), size=(horizon, STATES))
    assert (bound(some, others) < expected).all()
