"""Lenient-Q on the climbing game, partially stochastic.

Of 1000 trials 805 had converged after 200 episodes and 829 after 600: a share of 0.829, 95 %
interval [0.804, 0.851] (Wilson). Found by `benchmarks/tune_tabular.py --game
partially_stochastic_climbing_game`, with the same budget for every learner.
"""

from rommeo_rllib.tabular import LenientQ

learner = LenientQ
settings = {
    "learning_rate": 0.0559,
    "initial_q": 12.0,
    "max_temperature": 5.97,
    "min_temperature": 0.4,
    "temperature_decay": 0.9272,
    "action_moderation": 0.1,
    "leniency_moderation": 7.02,
}
game = "stochastic_climbing_game"
game_settings: dict[str, object] = {"variant": "partial"}
plays_per_episode = 1
