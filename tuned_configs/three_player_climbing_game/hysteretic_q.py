"""Hysteretic-Q on the climbing game, three players.

Of 1000 trials 667 had converged after 200 episodes and 987 after 600: a share of 0.987, 95 %
interval [0.978, 0.992] (Wilson). Found by `benchmarks/tune_tabular.py --game
three_player_climbing_game`, with the same budget for every learner.
"""

from rommeo_rllib.tabular import HystereticQ

learner = HystereticQ
settings = {
    "learning_rate": 0.273,
    "initial_q": 12.0,
    "temperature": {"initial": 72.4, "final": 0.0654, "decay_steps": 35, "kind": "exponential"},
    "decrease_rate": 0.00175,
    "epsilon": 0.0,
}
game = "three_player_climbing_game"
game_settings: dict[str, object] = {}
plays_per_episode = 1
