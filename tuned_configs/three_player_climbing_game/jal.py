"""JAL on the climbing game, three players.

Of 1000 trials 165 had converged after 200 episodes and 166 after 600: a share of 0.166, 95 %
interval [0.144, 0.190] (Wilson). Found by `benchmarks/tune_tabular.py --game
three_player_climbing_game`, with the same budget for every learner.
"""

from rommeo_rllib.tabular import JAL

learner = JAL
settings = {
    "learning_rate": 0.093,
    "initial_q": 12.0,
    "batch_size": None,
    "temperature": {"initial": 0.554, "final": 0.115, "decay_steps": 261, "kind": "exponential"},
    "prior_window": 50,
}
game = "three_player_climbing_game"
game_settings: dict[str, object] = {}
plays_per_episode = 1
