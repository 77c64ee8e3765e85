"""What a configuration may say and these algorithms would pass over in silence.

All that is found is told at once, with what to do instead.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import gymnasium as gym
from ray.rllib.policy.policy import PolicySpec

from rommeo_rllib.joint_action.sampling.env_runner import JointActionEnvRunner
from rommeo_rllib.joint_action.settings import ledger, model_settings, other_algorithms, per_policy
from rommeo_rllib.naming import did_you_mean, shown
from rommeo_rllib.rllib_boundary.configs import given_learner_class

_INSTEAD_OF_POLICY_SPEC = {
    "config": "`.multi_agent(algorithm_config_overrides_per_module={...})`",
    "policy_class": "`.rl_module(rl_module_spec=MultiRLModuleSpec(...))`",
}

ACTION_MASK = "action_mask"
"""The key under which RLlib's examples and PettingZoo's games hold a mask in an observation."""


def refuse_what_has_no_effect(config: Any, given: Mapping[str, Any]) -> None:
    """Raises one ValueError for all settings that were given in vain.

    Args:
        config: that of one of our algorithms.
        given: what `.training()` was given that has no place in it.
    """
    found = [
        *ledger.refused_settings(config, given),
        *other_algorithms.sentences(config, given),
        *_about_policies(config),
        *_about_classes(config),
        *model_settings.sentences(config),
        *per_policy.sentences(config),
        *_about_evaluation(config),
        *config.settings_in_vain(),
    ]
    if len(found) == 1:
        raise ValueError(found[0])
    if found:
        listed = "".join(f"\n- {sentence}" for sentence in found)
        raise ValueError(f"{len(found)} settings cannot be used here:{listed}")


def _about_policies(config: Any) -> Iterator[str]:
    if not config.is_multi_agent:
        yield (
            f"{config.algo_class.__name__} is a multi-agent algorithm, but the configuration names "
            "no policies; call `.multi_agent(policies={...}, policy_mapping_fn=...)`."
        )
    policies = config.policies
    for policy, spec in policies.items() if isinstance(policies, Mapping) else ():
        if isinstance(spec, tuple):  # RLlib's own form of them once an algorithm is built.
            spec = PolicySpec(*spec)
        for name, instead in _INSTEAD_OF_POLICY_SPEC.items():
            value = getattr(spec, name, None)
            if value:
                yield (
                    f"`policies` gives {policy!r} the {name} {shown(value)}, which would have no "
                    f"effect; give {instead}."
                )


def _about_classes(config: Any) -> Iterator[str]:
    runner = config.env_runner_cls
    if runner is not None and not _is_subclass(runner, JointActionEnvRunner):
        yield f"`env_runner_cls` is {_name(runner)}; {_subclasses_of(JointActionEnvRunner)}"
    learner, own = given_learner_class(config), config.get_default_learner_class()
    if learner is not None and not _is_subclass(learner, own):
        yield f"`learner_class` is {_name(learner)}; {_subclasses_of(own)}"
    if config.learner_config_dict and learner is None:
        yield (
            f"`learner_config_dict` is {shown(config.learner_config_dict)}; only a `learner_class` "
            "of your own would read it."
        )


def _subclasses_of(own: type) -> str:
    return f"allowed: subclasses of {own.__module__}.{own.__name__}."


def _is_subclass(given: Any, own: type) -> bool:
    return inspect.isclass(given) and issubclass(given, own)


def _name(given: Any) -> str:
    return given.__name__ if inspect.isclass(given) else shown(given)


_SAMPLING = ("env_time_limit_s", "fast_sampling")
"""What of `.training()` an evaluation may have otherwise."""


def _about_evaluation(config: Any) -> Iterator[str]:
    given = config.evaluation_config
    for key in given if isinstance(given, Mapping) else ():
        if key in config.training_keys() and key not in _SAMPLING and key not in ledger.REFUSED:
            yield (
                f"`evaluation_config` gives `{key}`, which has no effect on an evaluation: leave "
                "it out."
            )


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
