"""ROMMEO-Q on the climbing game, three players.

Of 1000 trials 998 had converged after 200 episodes and 998 after 600: a share of 0.998, 95 %
interval [0.993, 0.999] (Wilson). Found by `benchmarks/tune_tabular.py --game
three_player_climbing_game`, with the same budget for every learner.
"""

from rommeo_rllib.tabular import ROMMEOQ

learner = ROMMEOQ
settings = {
    "learning_rate": 0.311,
    "initial_q": 12.0,
    "batch_size": 16,
    "alpha": {"initial": 105.0, "final": 0.163, "decay_steps": 51, "kind": "linear"},
    "prior_window": 50,
}
game = "three_player_climbing_game"
game_settings: dict[str, object] = {}
plays_per_episode = 1
