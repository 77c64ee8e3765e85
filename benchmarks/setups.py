"""What the benchmarks run: a game for any number of agents, our configuration, and stock SAC's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.sac import SACConfig

from rommeo_rllib import ROMMEOACConfig
from rommeo_rllib.envs.two_hills import NARROW_SLOPE, HillsPayoff

GAME = "two_hills"
REPLAY_CAPACITY = 100_000


def two_hills_payoff(actions: NDArray[Any], /) -> NDArray[np.float64]:
    """The game's payoff for any number of players, (..., n) both; it leaves nothing to chance."""
    return HillsPayoff(5.0, NARROW_SLOPE, noise=0.0)(actions, np.random.default_rng())


def rommeo_config(
    agents: int, hiddens: Sequence[int], batch: int, gamma: float, iteration: int
) -> ROMMEOACConfig:
    """ROMMEO-AC, one update of every agent for each env step, without evaluation."""
    config = ROMMEOACConfig().training(
        alpha=1.0,
        gamma=gamma,
        replay_capacity=REPLAY_CAPACITY,
        num_steps_sampled_before_learning_starts=1,
        train_batch_size_per_learner=batch,
        updates_per_env_step=1.0,
    )
    config.rl_module(model_config={"fcnet_hiddens": list(hiddens)})
    return on_game(config, agents, iteration)


def stock_sac_config(
    agents: int,
    hiddens: Sequence[int],
    batch: int,
    gamma: float,
    iteration: int,
    fusion: Sequence[int] = (),
) -> SACConfig:
    """RLlib's SAC, each agent for itself, with the same pace.

    It has a Q-function and a policy where ROMMEO-AC has an opponent model and a prior besides. Its
    Q-function encodes observation and action apart (`hiddens` each), joins them in the layers
    `fusion` (RLlib's default is [256, 256], ours of here none) and one more.
    """
    config = SACConfig().training(
        twin_q=False,
        gamma=gamma,
        replay_buffer_config={
            "type": "MultiAgentEpisodeReplayBuffer",
            "capacity": REPLAY_CAPACITY,
        },
        num_steps_sampled_before_learning_starts=1,
        train_batch_size_per_learner=batch,
        training_intensity=None,  # One update for each round of sampling, here one env step.
    )
    config.rl_module(
        model_config={
            "fcnet_hiddens": list(hiddens),
            "fcnet_activation": "relu",
            "fusionnet_hiddens": list(fusion),
            "head_fcnet_hiddens": [],
        }
    )
    return on_game(config, agents, iteration)


def on_game(config: Any, agents: int, iteration: int) -> Any:
    """`config` with the game, a policy for each agent, and iterations of that many env steps."""
    policies = {f"player_{index}" for index in range(agents)}
    return (
        config.environment(GAME, env_config={"agents": agents})
        .multi_agent(policies=policies, policy_mapping_fn=lambda agent_id, *args, **kw: agent_id)
        .env_runners(num_env_runners=0, rollout_fragment_length=1)
        .learners(num_learners=0)
        .reporting(min_time_s_per_iteration=0, min_sample_timesteps_per_iteration=iteration)
        .debugging(seed=0, log_level="ERROR")
    )


def env_steps(result: dict[str, Any]) -> int:
    """Env steps that an algorithm has taken so far, from a result of its."""
    return int(result["env_runners"]["num_env_steps_sampled_lifetime"])


def chunk_length(chunk: Any) -> int:
    """Env steps in what an env runner returns: RLlib's episodes, or our own joint steps."""
    return chunk.length if hasattr(chunk, "length") else len(chunk)


def without_evaluation(config: AlgorithmConfig) -> Any:
    """A copy of `config` that only trains."""
    return config.copy(copy_frozen=False).evaluation(evaluation_interval=None)
