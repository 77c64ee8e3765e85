"""Makes algorithms and games known to Ray under their names."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from ray.tune.registry import register_env, register_trainable

from rommeo_rllib import envs
from rommeo_rllib.registry import REGISTRY
from rommeo_rllib.tabular.trainable import TRAINABLES

if TYPE_CHECKING:
    from rommeo_rllib.pettingzoo_env import PettingZooMultiAgentEnv

ALGORITHMS = {name: entry.load() for name, entry in REGISTRY.items()}


def register() -> None:
    """Registers all algorithms and games, in this process and for the cluster's."""
    for name, trainable in (ALGORITHMS | TRAINABLES).items():
        register_trainable(name, trainable)
    for name in envs.GAMES:
        register_env(name, partial(_make_game, name))


def _make_game(name: str, env_config: Any) -> PettingZooMultiAgentEnv:
    from rommeo_rllib.pettingzoo_env import PettingZooMultiAgentEnv

    # RLlib's context carries more than the user's settings; `dict` leaves the settings only.
    return PettingZooMultiAgentEnv(envs.make(name, **dict(env_config)))
