"""Distributed-Q on the climbing game, partially stochastic.

Of 1000 trials 338 had converged after 200 episodes and 338 after 600: a share of 0.338, 95 %
interval [0.309, 0.368] (Wilson). Found by `benchmarks/tune_tabular.py --game
partially_stochastic_climbing_game`, with the same budget for every learner.
"""

from rommeo_rllib.tabular import DistributedQ

learner = DistributedQ
settings = {
    "epsilon": {"initial": 0.858, "final": 0.00482, "decay_steps": 69, "kind": "exponential"}
}
game = "stochastic_climbing_game"
game_settings: dict[str, object] = {"variant": "partial"}
plays_per_episode = 1
