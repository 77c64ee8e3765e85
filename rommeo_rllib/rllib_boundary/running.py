"""What RLlib's algorithms, learners and groups of processes keep to themselves."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import gymnasium as gym
import ray
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core.learner.learner import Learner
from ray.rllib.core.learner.learner_group import LearnerGroup
from ray.rllib.core.models.catalog import Catalog
from ray.rllib.env.env_runner_group import EnvRunnerGroup
from torch import nn
from torch.optim import Optimizer

# Algorithms.


def set_environment(algorithm: Algorithm, config: AlgorithmConfig) -> None:
    """Has an algorithm make, at its next setup, the environment of another configuration."""
    made = algorithm._get_env_id_and_creator(config.env, config)
    algorithm._env_id, algorithm.env_creator = made


def is_asked_for(
    owner: Any,
    component: str,
    components: str | Collection[str] | None,
    not_components: str | Collection[str] | None,
) -> bool:
    """Whether a component is to be in a state, by the arguments of `get_state`."""
    return bool(owner._check_component(component, components, not_components))


# Learners.


def local_learner(learner_group: LearnerGroup) -> Any:
    """The learner in this very process; None where all are remote."""
    return learner_group._learner


def forget_optimizers(learner: Learner, module_id: str) -> list[Optimizer]:
    """Takes back what `register_optimizer` noted for a module; the optimizers."""
    forgotten = []
    for name in learner._module_optimizers.pop(module_id):
        optimizer = learner._named_optimizers.pop(name)
        for parameter in learner._optimizer_parameters.pop(optimizer):
            learner._params.pop(parameter, None)
        forgotten.append(optimizer)
    return forgotten


def count_update(learner: Learner) -> None:
    """Numbers the weights anew: env runners take up those of a higher number only."""
    learner._weights_seq_no += 1


def expect_any_weights(holder: Any) -> None:
    """Has a learner or an env runner take up whatever weights come next."""
    holder._weights_seq_no = 0


# Groups of env runners.


@contextmanager
def nothing_dropped(groups: Iterable[EnvRunnerGroup]) -> Iterator[None]:
    """Within it each env runner is told everything.

    RLlib tells it nothing while its answer to an earlier message is not read: weights and
    statistics of connectors that are handed out one after the other would be lost.
    """
    managers = [group._worker_manager for group in groups]
    limits = [manager._max_remote_requests_in_flight_per_actor for manager in managers]
    try:
        for manager in managers:
            manager._max_remote_requests_in_flight_per_actor = sys.maxsize
        yield
    finally:
        for manager, limit in zip(managers, limits, strict=True):
            manager._max_remote_requests_in_flight_per_actor = limit


def replace_env_runner(group: EnvRunnerGroup, worker_index: int) -> None:
    """Ends a remote env runner; Ray starts it again, and RLlib takes it back."""
    manager = group._worker_manager
    ray.kill(manager.actors()[worker_index], no_restart=False)
    manager.set_actor_state(worker_index, healthy=False)


# Networks.


def image_encoder(space: gym.spaces.Box, model_config: Mapping[str, Any]) -> nn.Module:
    """RLlib's convolutions for one image; `model_config` has all keys of `DefaultModelConfig`."""
    encoder: nn.Module = Catalog._get_encoder_config(space, model_config).build(framework="torch")
    return encoder
