"""JAL on the climbing game, partially stochastic.

Of 1000 trials 240 had converged after 200 episodes and 240 after 600: a share of 0.240, 95 %
interval [0.215, 0.267] (Wilson). Found by `benchmarks/tune_tabular.py --game
partially_stochastic_climbing_game`, with the same budget for every learner.
"""

from rommeo_rllib.tabular import JAL

learner = JAL
settings = {
    "learning_rate": 0.103,
    "initial_q": [0.0, 1.0],
    "batch_size": 16,
    "temperature": {"initial": 4.8, "final": 1.65, "decay_steps": 28, "kind": "linear"},
    "prior_window": 50,
}
game = "stochastic_climbing_game"
game_settings: dict[str, object] = {"variant": "partial"}
plays_per_episode = 1
