"""ROMMEO-Q on the climbing game.

Of 1000 trials 1000 had converged after 100 episodes and 1000 after 300: a share of 1.000, 95 %
interval [0.996, 1.000] (Wilson). Found by `benchmarks/tune_tabular.py --game climbing_game`, with
the same budget for every learner.
"""

from rommeo_rllib.tabular import ROMMEOQ

learner = ROMMEOQ
settings = {
    "learning_rate": 0.126,
    "initial_q": 12.0,
    "batch_size": 16,
    "alpha": {"initial": 1.48, "final": 0.535, "decay_steps": 49, "kind": "exponential"},
    "prior_window": 50,
}
game = "climbing_game"
game_settings: dict[str, object] = {}
plays_per_episode = 1
