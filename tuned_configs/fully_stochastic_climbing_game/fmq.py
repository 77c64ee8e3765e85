"""FMQ-c10 on the climbing game, fully stochastic.

Of 1000 trials 0 had converged after 200 episodes and 305 after 600: a share of 0.305, 95 % interval
[0.277, 0.334] (Wilson). Found by `benchmarks/tune_tabular.py --game
fully_stochastic_climbing_game`, with the same budget for every learner.
"""

from rommeo_rllib.tabular import FMQ

learner = FMQ
settings = {
    "learning_rate": 0.159,
    "initial_q": 12.0,
    "temperature": {"initial": 333.0, "final": 1.35, "decay_steps": 374, "kind": "exponential"},
}
game = "stochastic_climbing_game"
game_settings: dict[str, object] = {"variant": "full"}
plays_per_episode = 1
