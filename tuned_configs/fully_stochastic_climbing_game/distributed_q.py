"""Distributed-Q on the climbing game, fully stochastic.

Of 1000 trials 415 had converged after 200 episodes and 419 after 600: a share of 0.419, 95 %
interval [0.389, 0.450] (Wilson). Found by `benchmarks/tune_tabular.py --game
fully_stochastic_climbing_game`, with the same budget for every learner.
"""

from rommeo_rllib.tabular import DistributedQ

learner = DistributedQ
settings = {"epsilon": {"initial": 0.277, "final": 0.0183, "decay_steps": 51, "kind": "linear"}}
game = "stochastic_climbing_game"
game_settings: dict[str, object] = {"variant": "full"}
plays_per_episode = 1
