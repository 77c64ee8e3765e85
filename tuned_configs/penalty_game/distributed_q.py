"""Distributed-Q on the penalty game, k = -100.

Of 1000 trials 997 had converged after 100 episodes and 997 after 300: a share of 0.997, 95 %
interval [0.991, 0.999] (Wilson). Found by `benchmarks/tune_tabular.py --game penalty_game`, with
the same budget for every learner.
"""

from rommeo_rllib.tabular import DistributedQ

learner = DistributedQ
settings = {"epsilon": {"initial": 0.971, "final": 0.00964, "decay_steps": 66, "kind": "linear"}}
game = "penalty_game"
game_settings: dict[str, object] = {"k": -100.0}
plays_per_episode = 1
