"""Plays that are fed to learners in tests."""

import numpy as np

from rommeo_rllib.tabular import TabularLearner


def feed(
    learner: TabularLearner, action: int, others: int | tuple[int, ...], reward: float
) -> None:
    """One terminal play of every trial."""
    trials = learner.trials
    zeros = np.zeros(trials, np.intp)
    others = (others,) if isinstance(others, int) else others
    learner.observe(
        zeros,
        np.full(trials, action),
        np.tile(np.array(others), (trials, 1)),
        np.full(trials, reward),
        zeros,
        np.ones(trials, bool),
    )


def random_play(learner: TabularLearner, seed: int, plays: int) -> None:
    """Random plays in random states, of which some end an episode."""
    rng = np.random.default_rng(seed)
    trials = learner.trials
    for _ in range(plays):
        learner.observe(
            rng.integers(learner.n_states, size=trials),
            rng.integers(learner.n_actions, size=trials),
            np.stack([rng.integers(n, size=trials) for n in learner.opponent_actions], axis=-1),
            rng.normal(scale=20, size=trials),
            rng.integers(learner.n_states, size=trials),
            rng.random(trials) < 0.3,
        )
