"""ROMMEO-Q-EMP on the climbing game, partially stochastic.

Of 1000 trials 129 had converged after 200 episodes and 159 after 600: a share of 0.159, 95 %
interval [0.138, 0.183] (Wilson). Found by `benchmarks/tune_tabular.py --game
partially_stochastic_climbing_game`, with the same budget for every learner.
"""

from rommeo_rllib.tabular import ROMMEOQEMP

learner = ROMMEOQEMP
settings = {
    "learning_rate": 0.0506,
    "initial_q": [0.0, 1.0],
    "batch_size": 16,
    "alpha": {"initial": 0.77, "final": 1.42, "decay_steps": 21, "kind": "exponential"},
    "prior_window": 50,
}
game = "stochastic_climbing_game"
game_settings: dict[str, object] = {"variant": "partial"}
plays_per_episode = 1
