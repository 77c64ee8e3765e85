"""ROMMEO-Q-EMP on the climbing game.

Of 1000 trials 119 had converged after 100 episodes and 131 after 300: a share of 0.131, 95 %
interval [0.111, 0.153] (Wilson). Found by `benchmarks/tune_tabular.py --game climbing_game`, with
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
game = "climbing_game"
game_settings: dict[str, object] = {}
plays_per_episode = 1
