"""Hysteretic-Q on the climbing game, fully stochastic.

Of 1000 trials 447 had converged after 200 episodes and 519 after 600: a share of 0.519, 95 %
interval [0.488, 0.550] (Wilson). Found by `benchmarks/tune_tabular.py --game
fully_stochastic_climbing_game`, with the same budget for every learner.
"""

from rommeo_rllib.tabular import HystereticQ

learner = HystereticQ
settings = {
    "learning_rate": 0.142,
    "initial_q": [0.0, 1.0],
    "temperature": {"initial": 2.57, "final": 1.32, "decay_steps": 325, "kind": "linear"},
    "decrease_rate": 0.00408,
    "epsilon": 0.0,
}
game = "stochastic_climbing_game"
game_settings: dict[str, object] = {"variant": "full"}
plays_per_episode = 1
