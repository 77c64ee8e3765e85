"""FMQ-c10 on the climbing game, three players.

Of 1000 trials 7 had converged after 200 episodes and 546 after 600: a share of 0.546, 95 % interval
[0.515, 0.577] (Wilson). Found by `benchmarks/tune_tabular.py --game three_player_climbing_game`,
with the same budget for every learner.
"""

from rommeo_rllib.tabular import FMQ

learner = FMQ
settings = {
    "learning_rate": 0.744,
    "initial_q": [0.0, 1.0],
    "temperature": {"initial": 316.0, "final": 2.34, "decay_steps": 337, "kind": "exponential"},
}
game = "three_player_climbing_game"
game_settings: dict[str, object] = {}
plays_per_episode = 1
