"""Lenient-Q on the climbing game.

Of 1000 trials 278 had converged after 100 episodes and 792 after 300: a share of 0.792, 95 %
interval [0.766, 0.816] (Wilson). Found by `benchmarks/tune_tabular.py --game climbing_game`, with
the same budget for every learner.
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
game = "climbing_game"
game_settings: dict[str, object] = {}
plays_per_episode = 1
