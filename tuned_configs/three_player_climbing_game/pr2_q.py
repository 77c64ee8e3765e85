"""PR2-Q on the climbing game, three players.

Of 1000 trials 1000 had converged after 200 episodes and 1000 after 600: a share of 1.000, 95 %
interval [0.996, 1.000] (Wilson). Found by `benchmarks/tune_tabular.py --game
three_player_climbing_game`, with the same budget for every learner.
"""

from rommeo_rllib.tabular import PR2Q

learner = PR2Q
settings = {
    "learning_rate": 0.0956,
    "initial_q": 12.0,
    "batch_size": 16,
    "temperature": {"initial": 1.16, "final": 0.079, "decay_steps": 109, "kind": "exponential"},
}
game = "three_player_climbing_game"
game_settings: dict[str, object] = {}
plays_per_episode = 1
