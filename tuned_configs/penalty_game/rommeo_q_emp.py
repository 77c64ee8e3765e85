"""ROMMEO-Q-EMP on the penalty game, k = -100.

Of 1000 trials 261 had converged after 100 episodes and 344 after 300: a share of 0.344, 95 %
interval [0.315, 0.374] (Wilson). Found by `benchmarks/tune_tabular.py --game penalty_game`, with
the same budget for every learner.
"""

from rommeo_rllib.tabular import ROMMEOQEMP

learner = ROMMEOQEMP
settings = {
    "learning_rate": 0.0506,
    "initial_q": [0.0, 1.0],
    "batch_size": 16,
    "alpha": {"initial": 0.77, "final": 1.42, "decay_steps": 11, "kind": "exponential"},
    "prior_window": 50,
}
game = "penalty_game"
game_settings: dict[str, object] = {"k": -100.0}
plays_per_episode = 1
