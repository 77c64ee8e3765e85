"""What values RLlib's own settings may have.

RLlib checks few of them: a text or None in a number's place fails somewhere in mid-training, and a
number in a flag's place counts as True. What kind a setting is of, its default tells.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.policy.policy import PolicySpec

from rommeo_rllib.checks import (
    FLAG,
    MOST_COPIES,
    NOT_NEGATIVE,
    POSITIVE,
    check,
    count,
    is_finite_number,
    is_integer,
    one_of,
)
from rommeo_rllib.joint_action.settings import ledger, per_policy
from rommeo_rllib.rllib_boundary import KEPT_AS

GREATEST_SEED = 2**32 - 1
"""Environments take no greater one."""

_PROCESSES = ("evaluation_num_env_runners", "num_env_runners", "num_learners")
_AT_LEAST_1 = (
    "episode_lookback_horizon",
    "metrics_num_episodes_for_smoothing",
    "train_batch_size_per_learner",
)
_OR_NONE = (
    "evaluation_error_after_n_consecutive_skips",
    "evaluation_interval",
    "min_sample_timesteps_per_iteration",
    "min_train_timesteps_per_iteration",
)
_RESOURCES = (
    "num_cpus_for_main_process",
    "num_cpus_per_env_runner",
    "num_gpus_per_env_runner",
    "num_gpus_per_learner",
)
# None stands for no limit.
_LIMITS = (
    "env_runner_health_probe_timeout_s",
    "env_runner_restore_timeout_s",
    "evaluation_sample_timeout_s",
    "evaluation_unhealthy_workers_timeout_s",
    "min_time_s_per_iteration",
    "sample_timeout_s",
    "sync_filters_on_rollout_workers_timeout_s",
)
_SECONDS = ("delay_between_env_runner_restarts_s",)
_CHOICES = {
    "batch_mode": ("truncate_episodes", "complete_episodes"),
    "evaluation_duration_unit": ("episodes", "timesteps"),
    "grad_clip_by": ("value", "norm", "global_norm"),
    "log_level": ("DEBUG", "INFO", "WARN", "ERROR"),
    "merge_env_runner_states": (True, False, "training_only"),
    "placement_strategy": ("PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD"),
}
_OF_MODELS = {
    "model_config": (Mapping, DefaultModelConfig),
    "rl_module_spec": (RLModuleSpec, MultiRLModuleSpec),
    "evaluation_config": (Mapping, AlgorithmConfig),
}
_TABLES = ("env_config", "learner_config_dict", "stats_cls_lookup")
_CHECKED_APART = frozenset(
    {*_PROCESSES, *_AT_LEAST_1, *_OR_NONE, *_RESOURCES, *_LIMITS, *_SECONDS, *_CHOICES, *_TABLES}
    | {"evaluation_duration", "gamma", "num_envs_per_env_runner", "rollout_fragment_length"}
)


def check_containers(config: Any) -> None:
    """Raises a ValueError for a container that other checks could not look into; call it first."""
    algorithm = config.algo_class
    is_right = inspect.isclass(algorithm) and issubclass(algorithm, Algorithm)
    check("algo_class", algorithm, is_right, "an algorithm's class")
    for name in _TABLES:
        value = getattr(config, name)
        check(name, value, isinstance(value, Mapping), "a dict")
    for name, kinds in _OF_MODELS.items():
        value = getattr(config, KEPT_AS.get(name, name))
        named = " or ".join("a dict" if k is Mapping else f"a {k.__name__}" for k in kinds)
        check(name, value, value is None or isinstance(value, kinds), f"{named}, or None")
    for name in _names_that_begin_with("custom_resources"):
        value = getattr(config, name)
        is_right = isinstance(value, Mapping) and all(
            isinstance(key, str) and is_finite_number(amount) and amount >= 0
            for key, amount in value.items()
        )
        check(name, value, is_right, "a dict from names of resources to numbers of at least 0")
    _check_policies(config)
    per_policy.by_module(config)


def check_values(config: Any) -> None:
    """Raises a ValueError that names the first setting of RLlib's with a value it cannot have."""
    check_containers(config)
    defaults = ledger.rllibs_defaults()
    gamma = config.gamma
    check("gamma", gamma, is_finite_number(gamma) and 0 <= gamma <= 1, "a number in [0, 1]")
    POSITIVE.or_none()("grad_clip", config.grad_clip)
    for name, allowed in _CHOICES.items():
        one_of(allowed).of(config, name)
    count().of(config, *_AT_LEAST_1)
    count(most=MOST_COPIES).of(config, "num_envs_per_env_runner")
    count(least=0, most=MOST_COPIES).of(config, *_PROCESSES)
    count(least=0).or_none().of(config, *_OR_NONE)
    count(least=0, most=GREATEST_SEED).or_none().of(config, "seed")
    NOT_NEGATIVE.of(config, *_RESOURCES, *_SECONDS)
    NOT_NEGATIVE.or_none().of(config, *_LIMITS)
    if config.num_cpus_per_learner != "auto":
        NOT_NEGATIVE.of(config, "num_cpus_per_learner")
    _check_that_processes_have_resources(config)
    _check_count_or_auto(config, "rollout_fragment_length")
    _check_count_or_auto(config, "evaluation_duration")
    for name in sorted(ledger.HONOURED & defaults.keys() - _CHECKED_APART):
        if isinstance(defaults[name], bool):
            FLAG.of(config, name)
        elif is_integer(defaults[name]):
            # An actor that Ray is to restart -1 times, it restarts for ever.
            count(least=-1 if name.endswith("_restarts") else 0).of(config, name)
    _check_stats(config.stats_cls_lookup, defaults["stats_cls_lookup"])
    _check_functions(config)


def _check_policies(config: Any) -> None:
    policies = config.policies
    names = isinstance(policies, Mapping | list | tuple | set | frozenset) and all(
        isinstance(policy, str) and policy for policy in policies
    )
    allowed = "a dict or a set with the policies' names"
    check("policies", policies, bool(names and policies), allowed)
    for policy, spec in policies.items() if isinstance(policies, Mapping) else ():
        # RLlib's own form of them once an algorithm is built is a tuple.
        is_right = spec is None or isinstance(spec, PolicySpec | RLModuleSpec | tuple)
        check(f"policies[{policy!r}]", spec, is_right, "a PolicySpec, or None")
    trained = config.policies_to_train
    if trained is not None and not callable(trained):
        is_right = isinstance(trained, list | tuple | set | frozenset) and all(
            isinstance(policy, str) and policy in policies for policy in trained
        )
        names_there = ", ".join(sorted(policies))
        check(
            "policies_to_train", trained, is_right, f"a list of policies ({names_there}), or None"
        )


def _check_that_processes_have_resources(config: Any) -> None:
    for kind, counts in (
        ("env_runner", ("num_env_runners", "evaluation_num_env_runners")),
        ("learner", ("num_learners",)),
    ):
        name = f"num_cpus_per_{kind}"
        given = (
            getattr(config, name),
            getattr(config, f"num_gpus_per_{kind}"),
            *getattr(config, f"custom_resources_per_{kind}").values(),
        )
        started = [name for name in counts if getattr(config, name)]
        if started and not any(given):
            check(
                name,
                given[0],
                False,
                f"a number above 0, such as 0.01, since `{started[0]}` is "
                f"{getattr(config, started[0])} and Ray Tune starts no process without a resource",
            )


def _check_stats(given: Mapping[str, Any], usual: Mapping[str, Any]) -> None:
    is_right = usual.keys() <= given.keys() and all(map(inspect.isclass, given.values()))
    allowed = f"a dict of Stats classes with at least the keys {', '.join(sorted(usual))}"
    check("stats_cls_lookup", given, is_right, allowed)


def _check_functions(config: Any) -> None:
    env, mapping = config.env, config.policy_mapping_fn
    is_env = env is None or callable(env) or (isinstance(env, str) and env != "")
    check("env", env, is_env, "a name, a class or a function that makes an environment")
    check("policy_mapping_fn", mapping, callable(mapping), "a function from agents to policies")
    check(
        "callbacks_class",
        config.callbacks_class,
        _are_callable(config.callbacks_class),
        "a subclass of RLlibCallback, or a list of them",
    )
    evaluation = config.custom_evaluation_function
    is_right = evaluation is None or callable(evaluation)
    check("custom_evaluation_function", evaluation, is_right, "a function, or None")
    for name in _names_that_begin_with("callbacks_on_"):
        value = getattr(config, name)
        is_right = value is None or _are_callable(value)
        check(name, value, is_right, "a function, a list of functions, or None")


def _are_callable(value: Any) -> bool:
    return all(map(callable, value)) if isinstance(value, list | tuple) else callable(value)


def _check_count_or_auto(config: Any, name: str) -> None:
    value = getattr(config, name)
    is_right = value == "auto" or (is_integer(value) and value > 0)
    check(name, value, is_right, 'an integer of at least 1, or "auto"')


def _names_that_begin_with(beginning: str) -> list[str]:
    return sorted(
        name
        for name in ledger.HONOURED & ledger.rllibs_defaults().keys()
        if name.startswith(beginning)
    )
