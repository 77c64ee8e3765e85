"""What a configuration of RLlib's may say and these algorithms would pass over in silence."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields
from typing import Any

import gymnasium as gym
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from ray.rllib.policy.policy import PolicySpec

from rommeo_rllib.joint_action.env_runner import JointActionEnvRunner
from rommeo_rllib.naming import did_you_mean, reject_unknown_keys

INSTEAD = {
    "lr": "Each network has a learning rate of its own, such as `q_lr` and `policy_lr`.",
    "train_batch_size": "Give `train_batch_size_per_learner`.",
    "minibatch_size": "Give `train_batch_size_per_learner`.",
    "num_epochs": "Give `updates_per_env_step`.",
    "shuffle_batch_per_epoch": "Batches are drawn at random from the replay.",
    "model": "Give `.rl_module(model_config={...})`.",
    "optimizer": "All networks are trained by Adam.",
    "observation_filter": "Give `env_to_module_connector` RLlib's connector MeanStdFilter.",
    "preprocessor_pref": "An env-to-module connector may rewrite observations.",
    "num_gpus": "Give `num_gpus_per_learner`.",
    "remote_worker_envs": "Give `num_env_runners`.",
    "observation_fn": "An env-to-module connector may rewrite observations.",
    "input_": "Learning from recorded data is not supported: joint steps come from an environment.",
    "enable_rl_module_and_learner": "RLlib's old API stack is not supported.",
    "enable_env_runner_and_connector_v2": "RLlib's old API stack is not supported.",
}
"""Settings of `AlgorithmConfig` that would have no effect, and what to do about each."""

_INSTEAD_OF_POLICY_SPEC = {
    "config": "`.multi_agent(algorithm_config_overrides_per_module={...})`",
    "policy_class": "`.rl_module(rl_module_spec=MultiRLModuleSpec(...))`",
}

ACTION_MASK = "action_mask"
"""The key under which RLlib's examples and PettingZoo's games hold a mask in an observation."""


def refuse_what_has_no_effect(config: AlgorithmConfig) -> None:
    """Raises a ValueError for a setting that was changed in vain; it says what to do instead."""
    default = type(config)()
    for name, instead in INSTEAD.items():
        value, usual = getattr(config, name, None), getattr(default, name, None)
        if value != usual:
            raise ValueError(f"`{name}` is {value!r}; allowed: {usual!r} only. {instead}")
    _refuse_policy_specs(config.policies)
    runner = config.env_runner_cls
    if runner is not None and not issubclass(runner, JointActionEnvRunner):
        raise ValueError(
            f"`env_runner_cls` is {runner.__name__}; allowed: subclasses of "
            f"{JointActionEnvRunner.__module__}.{JointActionEnvRunner.__name__}."
        )


def _refuse_policy_specs(policies: Collection[str] | Mapping[str, Any]) -> None:
    for policy, spec in policies.items() if isinstance(policies, Mapping) else ():
        if isinstance(spec, tuple):  # RLlib's own form of them once an algorithm is built.
            spec = PolicySpec(*spec)
        for name, instead in _INSTEAD_OF_POLICY_SPEC.items():
            value = getattr(spec, name, None)
            if value:
                raise ValueError(
                    f"`policies` gives {policy!r} the {name} {value!r}, which would have no "
                    f"effect; allowed: none. Give {instead}."
                )


def refuse_unknown_model_settings(given: Iterable[str], own: Iterable[str]) -> None:
    """Raises a ValueError for a key of `model_config` that is neither RLlib's nor in `own`."""
    rllibs = {field.name for field in fields(DefaultModelConfig)}
    reject_unknown_keys(given, rllibs.union(own), "model_config")


def refuse_unknown_policy(agent: Any, policy: str | None, policies: Collection[str]) -> None:
    """Raises a ValueError if an agent is mapped to a policy that there is not.

    Args:
        agent: its id.
        policy: what the user's mapping says; None if it could not be asked.
        policies: the ids of all policies.
    """
    if policy is not None and policy not in policies:
        raise ValueError(
            f"`policy_mapping_fn` maps the agent {agent!r} to {policy!r}; allowed: "
            f"{sorted(policies)}.{did_you_mean(policy, policies)}"
        )


def warn_of_action_masks(observation_spaces: Mapping[Any, gym.Space]) -> None:
    """Warns that a mask among an agent's observations is not applied."""
    for agent, space in observation_spaces.items():
        if isinstance(space, gym.spaces.Dict) and ACTION_MASK in space.spaces:
            warnings.warn(
                f"Agent {agent!r} observes an {ACTION_MASK!r}, which is an observation like any "
                "other here: its environment must refuse or replace what is not allowed.",
                stacklevel=2,
            )
