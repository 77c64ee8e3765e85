"""Lenient-Q on the climbing game, fully stochastic.

Of 1000 trials 594 had converged after 200 episodes and 681 after 600: a share of 0.681, 95 %
interval [0.651, 0.709] (Wilson). Found by `benchmarks/tune_tabular.py --game
fully_stochastic_climbing_game`, with the same budget for every learner.
"""

from rommeo_rllib.tabular import LenientQ

learner = LenientQ
settings = {
    "learning_rate": 0.0565,
    "initial_q": 12.0,
    "max_temperature": 82.9,
    "min_temperature": 0.26,
    "temperature_decay": 0.9214,
    "action_moderation": 0.0637,
    "leniency_moderation": 1.72,
}
game = "stochastic_climbing_game"
game_settings: dict[str, object] = {"variant": "full"}
plays_per_episode = 1
