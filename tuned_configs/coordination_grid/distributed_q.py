"""Distributed-Q on the coordination grid.

Of 200 trials 0 had converged after 100 episodes and 159 after 300: a share of 0.795, 95 % interval
[0.734, 0.845] (Wilson). Found by `benchmarks/tune_tabular.py --game coordination_grid`, with the
same budget for every learner.
"""

from rommeo_rllib.tabular import DistributedQ

learner = DistributedQ
settings = {"epsilon": {"initial": 0.969, "final": 0.00559, "decay_steps": 759, "kind": "linear"}}
game = "coordination_grid"
game_settings: dict[str, object] = {}
plays_per_episode = 1
