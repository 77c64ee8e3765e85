"""JAL on the climbing game.

Of 1000 trials 177 had converged after 100 episodes and 177 after 300: a share of 0.177, 95 %
interval [0.155, 0.202] (Wilson). Found by `benchmarks/tune_tabular.py --game climbing_game`, with
the same budget for every learner.
"""

from rommeo_rllib.tabular import JAL

learner = JAL
settings = {
    "learning_rate": 0.195,
    "initial_q": [0.0, 1.0],
    "batch_size": None,
    "temperature": {"initial": 1.4, "final": 0.0844, "decay_steps": 104, "kind": "linear"},
    "prior_window": 50,
}
game = "climbing_game"
game_settings: dict[str, object] = {}
plays_per_episode = 1
