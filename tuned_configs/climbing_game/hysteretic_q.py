"""Hysteretic-Q on the climbing game.

Of 1000 trials 0 had converged after 100 episodes and 996 after 300: a share of 0.996, 95 % interval
[0.990, 0.998] (Wilson). Found by `benchmarks/tune_tabular.py --game climbing_game`, with the same
budget for every learner.
"""

from rommeo_rllib.tabular import HystereticQ

learner = HystereticQ
settings = {
    "learning_rate": 0.67,
    "initial_q": [0.0, 1.0],
    "temperature": {"initial": 126.0, "final": 0.537, "decay_steps": 153, "kind": "exponential"},
    "decrease_rate": 0.0027,
    "epsilon": 0.0,
}
game = "climbing_game"
game_settings: dict[str, object] = {}
plays_per_episode = 1
