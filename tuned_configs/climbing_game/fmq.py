"""FMQ-c10 on the climbing game.

Of 1000 trials 109 had converged after 100 episodes and 833 after 300: a share of 0.833, 95 %
interval [0.809, 0.855] (Wilson). Found by `benchmarks/tune_tabular.py --game climbing_game`, with
the same budget for every learner.
"""

from rommeo_rllib.tabular import FMQ

learner = FMQ
settings = {
    "learning_rate": 0.0538,
    "initial_q": 12.0,
    "temperature": {"initial": 359.0, "final": 18.2, "decay_steps": 68, "kind": "linear"},
}
game = "climbing_game"
game_settings: dict[str, object] = {}
plays_per_episode = 1
