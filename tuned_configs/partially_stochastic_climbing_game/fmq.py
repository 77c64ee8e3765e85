"""FMQ-c10 on the climbing game, partially stochastic.

Of 1000 trials 0 had converged after 200 episodes and 932 after 600: a share of 0.932, 95 % interval
[0.915, 0.946] (Wilson). Found by `benchmarks/tune_tabular.py --game
partially_stochastic_climbing_game`, with the same budget for every learner.
"""

from rommeo_rllib.tabular import FMQ

learner = FMQ
settings = {
    "learning_rate": 0.665,
    "initial_q": [0.0, 1.0],
    "temperature": {"initial": 170.0, "final": 0.635, "decay_steps": 450, "kind": "linear"},
}
game = "stochastic_climbing_game"
game_settings: dict[str, object] = {"variant": "partial"}
plays_per_episode = 1
