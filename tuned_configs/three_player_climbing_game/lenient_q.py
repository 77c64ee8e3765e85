"""Lenient-Q on the climbing game, three players.

Of 1000 trials 0 had converged after 200 episodes and 809 after 600: a share of 0.809, 95 % interval
[0.783, 0.832] (Wilson). Found by `benchmarks/tune_tabular.py --game three_player_climbing_game`,
with the same budget for every learner.
"""

from rommeo_rllib.tabular import LenientQ

learner = LenientQ
settings = {
    "learning_rate": 0.0584,
    "initial_q": 12.0,
    "max_temperature": 72.4,
    "min_temperature": 0.15,
    "temperature_decay": 0.9558,
    "action_moderation": 0.104,
    "leniency_moderation": 7.66,
}
game = "three_player_climbing_game"
game_settings: dict[str, object] = {}
plays_per_episode = 1
