# %% [markdown]
# # From the climbing game to a game of your own
#
# This page is a script, `docs/tutorial.py`; a test runs it. It takes under a minute.
#
# ## A game in which trial and error fails
#
# Two players choose A, B or C at once, and both are paid what the table says. The best joint
# action is (A, A), but whoever tries A alone loses 30.

# %%
import numpy as np

from rommeo_rllib.envs import ClimbingGame

game = ClimbingGame()
actions = np.array([[own, other] for own in range(3) for other in range(3)])
print(game.payoff(actions)[:, 0].reshape(3, 3))

# %% [markdown]
# ## In tables
#
# ROMMEO-Q keeps a table for each agent: exact, and thousands of independent trials at once.
# Joint-action learning (JAL) expects the other player to go on as it did before; ROMMEO-Q's
# opponent model leans towards what would be best.

# %%
from rommeo_rllib.tabular import JAL, ROMMEOQ, PayoffPlay, make_learners

settings = {"trials": 200, "seed": 0}
rommeo = make_learners(ROMMEOQ, [3, 3], initial_q=12.0, alpha=1.0, **settings)
jal = make_learners(JAL, [3, 3], **settings)
for name, learners in {"ROMMEO-Q": rommeo, "JAL": jal}.items():
    history = PayoffPlay(game.payoff, learners).run(episodes=200)
    print(f"{name}: probability of (A, A) after 200 plays {history.p_optimum[-1].mean():.2f}")

# %% [markdown]
# ## With networks, in RLlib
#
# ROMMEO-AC is configured like every algorithm of RLlib's. A play is a game of its own here, so
# that `gamma` is 0; networks and learning rates are those of a toy.

# %%
from rommeo_rllib import ROMMEOACConfig

TOY = {
    "q_lr": 0.01,
    "policy_lr": 0.01,
    "opponent_model_lr": 0.01,
    "opponent_prior_lr": 0.01,
    "train_batch_size_per_learner": 64,
    "num_steps_sampled_before_learning_starts": 25,
}
config = (
    ROMMEOACConfig()
    .environment("climbing_game", env_config={"plays_per_episode": 25})
    .multi_agent(
        policies={"player_0", "player_1"},
        policy_mapping_fn=lambda agent_id, *args, **kwargs: agent_id,
    )
    .training(
        gamma=0.0,
        alpha={"initial": 20.0, "final": 0.1, "decay_steps": 250},
        kl_coeff={"initial": 10.0, "final": 1.0, "decay_steps": 250},
        **TOY,
    )
    .rl_module(model_config={"fcnet_hiddens": [32, 32]})
    .reporting(min_sample_timesteps_per_iteration=25, metrics_num_episodes_for_smoothing=3)
    .debugging(seed=0)
)
algorithm = config.build_algo()
for iteration in range(20):
    result = algorithm.train()
    if iteration % 5 == 4:
        both = result["env_runners"]["episode_return_mean"]
        print(f"{iteration + 1} episodes: {both / 2 / 25:.1f} a play")  # Two agents, 25 plays.

# %% [markdown]
# At first they lose, exploring, while alpha is high; as it falls they meet at (A, A), which pays
# 11.
#
# The trained policies act without the algorithm, from a checkpoint:

# %%
from rommeo_rllib.deployment.player import Player

checkpoint = algorithm.save_to_path()
algorithm.stop()
players = {name: Player.from_checkpoint(checkpoint, name) for name in game.possible_agents}
observations, _ = game.reset(seed=0)
greedy = {name: players[name].act([observations[name]], explore=False)[0] for name in players}
print({name: "ABC"[int(action)] for name, action in greedy.items()})

# %% [markdown]
# ## A game of your own
#
# Any PettingZoo parallel environment will do. In this one two carriers stand on either side of a
# table; each lifts with a force between 0 and 1. Lifting alone tips the table over, lifting
# together pays.

# %%
import gymnasium as gym
from pettingzoo import ParallelEnv


class Carriers(ParallelEnv):
    metadata = {"name": "carriers"}
    possible_agents = ["left", "right"]

    def observation_space(self, agent):
        return gym.spaces.Discrete(1)

    def action_space(self, agent):
        return gym.spaces.Box(0.0, 1.0, (1,), np.float32)

    def reset(self, seed=None, options=None):
        self.agents = self.possible_agents.copy()
        return dict.fromkeys(self.agents, 0), {agent: {} for agent in self.agents}

    def step(self, actions):
        left, right = (float(actions[agent][0]) for agent in self.possible_agents)
        reward = min(left, right) - 2.0 * abs(left - right)
        ended, self.agents = self.agents, []  # One step, and it is over.
        return (
            dict.fromkeys(ended, 0),
            dict.fromkeys(ended, reward),
            dict.fromkeys(ended, True),
            dict.fromkeys(ended, False),
            {agent: {} for agent in ended},
        )


# %% [markdown]
# Wrap it, register it under a name, and use that name. Rewards here span about 1, so alpha falls
# from 2 to 0.01: [twice the range to a hundredth of it](choosing_alpha.md).

# %%
from ray.tune.registry import register_env

from rommeo_rllib import PettingZooMultiAgentEnv

register_env("carriers", lambda env_config: PettingZooMultiAgentEnv(Carriers()))
config = (
    ROMMEOACConfig()
    .environment("carriers")
    .multi_agent(
        policies={"left", "right"},
        policy_mapping_fn=lambda agent_id, *args, **kwargs: agent_id,
    )
    .training(
        gamma=0.0,
        alpha={"initial": 2.0, "final": 0.01, "decay_steps": 150},
        kl_coeff={"initial": 2.0, "final": 0.1, "decay_steps": 150},
        **TOY,
    )
    .rl_module(model_config={"fcnet_hiddens": [32, 32]})
    .reporting(min_sample_timesteps_per_iteration=100)
    .debugging(seed=0)
)
algorithm = config.build_algo()
for _ in range(4):
    algorithm.train()
checkpoint = algorithm.save_to_path()
algorithm.stop()
lifted = {
    name: float(Player.from_checkpoint(checkpoint, name).act([0], explore=False)[0][0])
    for name in Carriers.possible_agents
}
print(lifted)

# %% [markdown]
# One seed proves nothing. Sweep alpha over many with Ray Tune or `rommeo sweep` ([choosing
# alpha](choosing_alpha.md)), watch a game with `rommeo evaluate --gif`, and see [what else RLlib
# users have](guides/swap_into_your_project.md) and what happens to it.
