"""Distributed-Q on the climbing game.

Of 1000 trials 0 had converged after 100 episodes and 1000 after 300: a share of 1.000, 95 %
interval [0.996, 1.000] (Wilson). Found by `benchmarks/tune_tabular.py --game climbing_game`, with
the same budget for every learner.
"""

from rommeo_rllib.tabular import DistributedQ

learner = DistributedQ
settings = {"epsilon": {"initial": 0.969, "final": 0.00559, "decay_steps": 228, "kind": "linear"}}
game = "climbing_game"
game_settings: dict[str, object] = {}
plays_per_episode = 1
