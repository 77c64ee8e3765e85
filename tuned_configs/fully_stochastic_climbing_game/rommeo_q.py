"""ROMMEO-Q on the climbing game, fully stochastic.

Of 1000 trials 1000 had converged after 200 episodes and 1000 after 600: a share of 1.000, 95 %
interval [0.996, 1.000] (Wilson). Found by `benchmarks/tune_tabular.py --game
fully_stochastic_climbing_game`, with the same budget for every learner.
"""

from rommeo_rllib.tabular import ROMMEOQ

learner = ROMMEOQ
settings = {
    "learning_rate": 0.645,
    "initial_q": 12.0,
    "batch_size": None,
    "alpha": {"initial": 21.7, "final": 0.0682, "decay_steps": 163, "kind": "exponential"},
    "prior_window": 50,
}
game = "stochastic_climbing_game"
game_settings: dict[str, object] = {"variant": "full"}
plays_per_episode = 1
