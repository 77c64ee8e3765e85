"""Hysteretic-Q on the penalty game, k = -100.

Of 1000 trials 1000 had converged after 100 episodes and 1000 after 300: a share of 1.000, 95 %
interval [0.996, 1.000] (Wilson). Found by `benchmarks/tune_tabular.py --game penalty_game`, with
the same budget for every learner.
"""

from rommeo_rllib.tabular import HystereticQ

learner = HystereticQ
settings = {
    "learning_rate": 0.244,
    "initial_q": [0.0, 1.0],
    "temperature": {"initial": 190.0, "final": 0.145, "decay_steps": 46, "kind": "exponential"},
    "decrease_rate": 0.0013,
    "epsilon": 0.0,
}
game = "penalty_game"
game_settings: dict[str, object] = {"k": -100.0}
plays_per_episode = 1
