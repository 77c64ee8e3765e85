"""ROMMEO-AC on the climbing game.

Of 100 seeds, all (1.00 [0.96, 1.00], 95 % Wilson) end at (A, A) greedily and 97 (0.97 [0.92, 0.99])
have a sampled return per play above 9, median from episode 15 on; 750 env steps each.
`rommeo train climbing_game/rommeo_ac --num-samples 100`.
"""

from rommeo_rllib import ROMMEOACConfig

PLAYS_PER_EPISODE = 25
ANNEALING_STEPS = 250

config = (
    ROMMEOACConfig()
    .environment("climbing_game", env_config={"plays_per_episode": PLAYS_PER_EPISODE})
    .multi_agent(
        policies={"player_0", "player_1"},
        policy_mapping_fn=lambda agent_id, *args, **kwargs: agent_id,
    )
    .training(
        gamma=0.0,  # Every play is a game of its own.
        alpha={"initial": 20.0, "final": 0.1, "decay_steps": ANNEALING_STEPS},
        kl_coeff={"initial": 10.0, "final": 1.0, "decay_steps": ANNEALING_STEPS},
        q_lr=0.01,
        policy_lr=0.01,
        opponent_model_lr=0.01,
        opponent_prior_lr=0.01,
        train_batch_size_per_learner=64,
        updates_per_env_step=1.0,
        num_steps_sampled_before_learning_starts=PLAYS_PER_EPISODE,
        replay_capacity=10_000,
    )
    .rl_module(model_config={"fcnet_hiddens": [64, 64]})
    .evaluation(
        evaluation_interval=1,
        evaluation_duration=1,
        evaluation_config={"explore": False, "env_config": {"plays_per_episode": 1}},
    )
    .reporting(
        min_sample_timesteps_per_iteration=PLAYS_PER_EPISODE,
        metrics_num_episodes_for_smoothing=3,
    )
    .debugging(seed=0)
)

stop = {"num_env_steps_sampled_lifetime": 30 * PLAYS_PER_EPISODE}
