"""JAL on the climbing game, fully stochastic.

Of 1000 trials 346 had converged after 200 episodes and 610 after 600: a share of 0.610, 95 %
interval [0.579, 0.640] (Wilson). Found by `benchmarks/tune_tabular.py --game
fully_stochastic_climbing_game`, with the same budget for every learner.
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
game = "stochastic_climbing_game"
game_settings: dict[str, object] = {"variant": "full"}
plays_per_episode = 1
