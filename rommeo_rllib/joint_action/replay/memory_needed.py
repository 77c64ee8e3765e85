"""How much memory a replay takes, and whether that is there."""

from __future__ import annotations

from collections.abc import Mapping

import gymnasium as gym
import numpy as np

from rommeo_rllib.joint_action.spaces.agents import AgentID
from rommeo_rllib.joint_action.spaces.encoding import is_supported
from rommeo_rllib.joint_action.spaces.packing import packed_dtype, packed_shape
from rommeo_rllib.process_memory import available_memory

# A row's reward and whether it terminated, both float32, and its policy's number, int16.
_BYTES_BESIDE_SPACES = 10
_SHARE_OF_MEMORY = 0.8


def bytes_per_env_step(
    observation_spaces: Mapping[AgentID, gym.Space],
    action_spaces: Mapping[AgentID, gym.Space],
    beside: int = 0,
) -> int:
    """Bytes of one row of the replay: the transitions of all agents at one env step.

    Args:
        observation_spaces: what is stored of each agent's observations.
        action_spaces: the action space of each agent.
        beside: bytes that an agent's transition takes besides: links, priorities.
    """
    observed = sum(_bytes(space) for space in observation_spaces.values() if is_supported(space))
    done = sum(_bytes(space, is_action=True) for space in action_spaces.values())
    return 2 * observed + done + (_BYTES_BESIDE_SPACES + beside) * len(action_spaces)


def check_replay_fits(
    capacity: int,
    replicas: int,
    observation_spaces: Mapping[AgentID, gym.Space],
    action_spaces: Mapping[AgentID, gym.Space],
    beside: int = 0,
) -> None:
    """Checks that a full replay would fit into the memory that is available now.

    Raises:
        ValueError: if not; it names `replay_capacity` and a capacity that would fit.
    """
    row = replicas * bytes_per_env_step(observation_spaces, action_spaces, beside)
    available = available_memory()
    if row * capacity <= available:
        return
    of_replicas = f" of each of {replicas} replicas" if replicas > 1 else ""
    raise ValueError(
        f"`replay_capacity` is {capacity} env steps{of_replicas}, which would take "
        f"{row * capacity / 1e9:.1f} GB ({row / 1e6:.3g} MB an env step); there are "
        f"{available / 1e9:.1f} GB available. Allowed here: at most "
        f"{int(_SHARE_OF_MEMORY * available / row)}."
    )


def _bytes(space: gym.Space, *, is_action: bool = False) -> int:
    size = int(np.prod(packed_shape(space), dtype=np.int64))
    return size * packed_dtype(space, is_action=is_action).itemsize
