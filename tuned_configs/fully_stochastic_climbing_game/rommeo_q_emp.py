"""ROMMEO-Q-EMP on the climbing game, fully stochastic.

Of 1000 trials 551 had converged after 200 episodes and 995 after 600: a share of 0.995, 95 %
interval [0.988, 0.998] (Wilson). Found by `benchmarks/tune_tabular.py --game
fully_stochastic_climbing_game`, with the same budget for every learner.
"""

from rommeo_rllib.tabular import ROMMEOQEMP

learner = ROMMEOQEMP
settings = {
    "learning_rate": 0.934,
    "initial_q": 12.0,
    "batch_size": None,
    "alpha": {"initial": 111.0, "final": 0.191, "decay_steps": 58, "kind": "exponential"},
    "prior_window": 50,
}
game = "stochastic_climbing_game"
game_settings: dict[str, object] = {"variant": "full"}
plays_per_episode = 1
