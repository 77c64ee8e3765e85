"""JAL on the penalty game, k = -100.

Of 1000 trials 996 had converged after 100 episodes and 1000 after 300: a share of 1.000, 95 %
interval [0.996, 1.000] (Wilson). Found by `benchmarks/tune_tabular.py --game penalty_game`, with
the same budget for every learner.
"""

from rommeo_rllib.tabular import JAL

learner = JAL
settings = {
    "learning_rate": 0.093,
    "initial_q": 12.0,
    "batch_size": None,
    "temperature": {"initial": 0.554, "final": 0.115, "decay_steps": 130, "kind": "exponential"},
    "prior_window": 50,
}
game = "penalty_game"
game_settings: dict[str, object] = {"k": -100.0}
plays_per_episode = 1
