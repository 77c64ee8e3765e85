"""Lenient-Q on the penalty game, k = -100.

Of 1000 trials 984 had converged after 100 episodes and 986 after 300: a share of 0.986, 95 %
interval [0.977, 0.992] (Wilson). Found by `benchmarks/tune_tabular.py --game penalty_game`, with
the same budget for every learner.
"""

from rommeo_rllib.tabular import LenientQ

learner = LenientQ
settings = {
    "learning_rate": 0.0586,
    "initial_q": [0.0, 1.0],
    "max_temperature": 18.6,
    "min_temperature": 0.0845,
    "temperature_decay": 0.9951,
    "action_moderation": 0.0529,
    "leniency_moderation": 2.38,
}
game = "penalty_game"
game_settings: dict[str, object] = {"k": -100.0}
plays_per_episode = 1
