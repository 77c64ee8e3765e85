"""Hysteretic-Q on the coordination grid.

Of 200 trials 28 had converged after 100 episodes and 163 after 300: a share of 0.815, 95 % interval
[0.755, 0.863] (Wilson). Found by `benchmarks/tune_tabular.py --game coordination_grid`, with the
same budget for every learner.
"""

from rommeo_rllib.tabular import HystereticQ

learner = HystereticQ
settings = {
    "learning_rate": 0.421,
    "initial_q": [0.0, 1.0],
    "temperature": {"initial": 351.0, "final": 0.787, "decay_steps": 370, "kind": "exponential"},
    "decrease_rate": 0.0716,
    "epsilon": 0.0,
}
game = "coordination_grid"
game_settings: dict[str, object] = {}
plays_per_episode = 1
