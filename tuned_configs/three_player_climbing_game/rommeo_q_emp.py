"""ROMMEO-Q-EMP on the climbing game, three players.

Of 1000 trials 34 had converged after 200 episodes and 43 after 600: a share of 0.043, 95 % interval
[0.032, 0.057] (Wilson). Found by `benchmarks/tune_tabular.py --game three_player_climbing_game`,
with the same budget for every learner.
"""

from rommeo_rllib.tabular import ROMMEOQEMP

learner = ROMMEOQEMP
settings = {
    "learning_rate": 0.0552,
    "initial_q": [0.0, 1.0],
    "batch_size": 16,
    "alpha": {"initial": 0.717, "final": 0.19, "decay_steps": 26, "kind": "exponential"},
    "prior_window": 50,
}
game = "three_player_climbing_game"
game_settings: dict[str, object] = {}
plays_per_episode = 1
