"""FMQ-c10 on the penalty game, k = -100.

Of 1000 trials 466 had converged after 100 episodes and 824 after 300: a share of 0.824, 95 %
interval [0.799, 0.846] (Wilson). Found by `benchmarks/tune_tabular.py --game penalty_game`, with
the same budget for every learner.
"""

from rommeo_rllib.tabular import FMQ

learner = FMQ
settings = {
    "learning_rate": 0.0538,
    "initial_q": 12.0,
    "temperature": {"initial": 359.0, "final": 18.2, "decay_steps": 68, "kind": "linear"},
}
game = "penalty_game"
game_settings: dict[str, object] = {"k": -100.0}
plays_per_episode = 1
