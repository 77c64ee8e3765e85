"""Distributed-Q on the climbing game, three players.

Of 1000 trials 0 had converged after 200 episodes and 969 after 600: a share of 0.969, 95 % interval
[0.956, 0.978] (Wilson). Found by `benchmarks/tune_tabular.py --game three_player_climbing_game`,
with the same budget for every learner.
"""

from rommeo_rllib.tabular import DistributedQ

learner = DistributedQ
settings = {"epsilon": {"initial": 0.969, "final": 0.00559, "decay_steps": 455, "kind": "linear"}}
game = "three_player_climbing_game"
game_settings: dict[str, object] = {}
plays_per_episode = 1
