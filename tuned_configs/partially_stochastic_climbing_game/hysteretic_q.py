"""Hysteretic-Q on the climbing game, partially stochastic.

Of 1000 trials 632 had converged after 200 episodes and 634 after 600: a share of 0.634, 95 %
interval [0.604, 0.663] (Wilson). Found by `benchmarks/tune_tabular.py --game
partially_stochastic_climbing_game`, with the same budget for every learner.
"""

from rommeo_rllib.tabular import HystereticQ

learner = HystereticQ
settings = {
    "learning_rate": 0.0672,
    "initial_q": [0.0, 1.0],
    "temperature": {"initial": 159.0, "final": 0.687, "decay_steps": 115, "kind": "exponential"},
    "decrease_rate": 0.00206,
    "epsilon": 0.0,
}
game = "stochastic_climbing_game"
game_settings: dict[str, object] = {"variant": "partial"}
plays_per_episode = 1
