"""ROMMEO-Q on the penalty game, k = -100.

Of 1000 trials 1000 had converged after 100 episodes and 1000 after 300: a share of 1.000, 95 %
interval [0.996, 1.000] (Wilson). Found by `benchmarks/tune_tabular.py --game penalty_game`, with
the same budget for every learner.
"""

from rommeo_rllib.tabular import ROMMEOQ

learner = ROMMEOQ
settings = {
    "learning_rate": 0.0624,
    "initial_q": [0.0, 1.0],
    "batch_size": None,
    "alpha": {"initial": 32.6, "final": 0.744, "decay_steps": 41, "kind": "exponential"},
    "prior_window": 50,
}
game = "penalty_game"
game_settings: dict[str, object] = {"k": -100.0}
plays_per_episode = 1
