"""Lenient-Q on the coordination grid.

Of 200 trials 0 had converged after 100 episodes and 132 after 300: a share of 0.660, 95 % interval
[0.592, 0.722] (Wilson). Found by `benchmarks/tune_tabular.py --game coordination_grid`, with the
same budget for every learner.
"""

from rommeo_rllib.tabular import LenientQ

learner = LenientQ
settings = {
    "learning_rate": 0.315,
    "initial_q": 12.0,
    "max_temperature": 164.0,
    "min_temperature": 0.331,
    "temperature_decay": 0.856,
    "action_moderation": 0.0638,
    "leniency_moderation": 4.82,
}
game = "coordination_grid"
game_settings: dict[str, object] = {}
plays_per_episode = 1
