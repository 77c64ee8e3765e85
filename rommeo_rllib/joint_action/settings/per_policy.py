"""Settings in which policies differ: `algorithm_config_overrides_per_module`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rommeo_rllib.checks import MOST_COPIES, is_integer
from rommeo_rllib.joint_action.settings import ledger, other_algorithms
from rommeo_rllib.joint_action.spaces.replicas import SEPARATOR, replica_id, split_id
from rommeo_rllib.naming import did_you_mean, shown
from rommeo_rllib.rllib_boundary.configs import thawed_copy

NAME = "algorithm_config_overrides_per_module"


def overrides_of(config: Any, module_id: str) -> dict[str, Any]:
    """What a policy, or one of its replicas, has of its own; a replica's own wins."""
    if not getattr(config, NAME):
        return {}
    given = by_module(config)
    policy = split_id(module_id, config.policies)[0] if SEPARATOR in module_id else module_id
    return as_dict(given.get(policy, {}), policy) | as_dict(given.get(module_id, {}), module_id)


def by_module(config: Any) -> dict[str, Any]:
    """All that was given, by policy or replica."""
    return as_dict(getattr(config, NAME))


def as_dict(given: Any, policy: str | None = None) -> dict[str, Any]:
    """A mapping or pairs as a dict; raises a ValueError for anything else."""
    if given is None:
        return {}
    try:
        if isinstance(given, str | bytes):  # An empty one would count as no pairs.
            raise TypeError
        return dict(given)
    except (TypeError, ValueError):
        where = NAME if policy is None else f"{NAME}[{policy!r}]"
        raise ValueError(
            f"`{where}` is {shown(given)}; allowed: a dict, or pairs of a key and a value."
        ) from None


def sentences(config: Any) -> Iterator[str]:
    """One for each policy that there is not, and each key in which policies may not differ."""
    given = by_module(config)
    policies = _modules(config) if given else []
    for module_id, overrides in given.items():
        if module_id not in policies:
            yield (
                f"`{NAME}` names {shown(module_id)}; allowed: {shown(sorted(policies))}."
                f"{did_you_mean(module_id, policies)}"
            )
        yield from sentences_about(config, module_id, as_dict(overrides, module_id))


def sentences_about(config: Any, module_id: str, overrides: Iterable[str]) -> Iterator[str]:
    """One if there is a key in which a policy may not differ from the others."""
    allowed = config.PER_POLICY_KEYS
    wrong = [f"`{key}` ({_instead(config, key)})" for key in overrides if key not in allowed]
    if wrong:
        yield (
            f"`{NAME}[{module_id!r}]` has {', '.join(wrong)}; allowed: "
            f"{', '.join(sorted(allowed))}."
        )


def _instead(config: Any, key: str) -> str:
    renamed = other_algorithms.RENAMED.get(key)
    if renamed in config.PER_POLICY_KEYS:
        return f"give `{renamed}`"
    if key in ledger.REFUSED:
        return ledger.REFUSED[key].rstrip(".")
    if key in vars(config) or hasattr(type(config), key):
        return "it applies to all policies: set it for the whole configuration"
    return f"no such setting.{did_you_mean(key, config.PER_POLICY_KEYS)}"


def check_values(config: Any) -> None:
    """Raises a ValueError for a value that would be refused for all policies, too."""
    for module_id in by_module(config):
        try:
            configuration_of(config, overrides_of(config, module_id)).check_values()
        except ValueError as error:
            raise ValueError(f"{NAME}[{module_id!r}]: {error}") from None


def _modules(config: Any) -> list[str]:
    """All ids that may be named: policies, and replicas of them."""
    policies = list(config.policies)
    if is_integer(config.replicas) and 1 < config.replicas <= MOST_COPIES:
        policies += [replica_id(p, r) for r in range(config.replicas) for p in config.policies]
    return policies


def check_added(config: Any, module_id: str, overrides: Any) -> None:
    """Raises a ValueError for what a policy that is added may not have of its own."""
    own = as_dict(overrides, module_id)
    for sentence in sentences_about(config, module_id, own):
        raise ValueError(sentence)
    with_own = configuration_of(config, own)
    # Policies come one by one: those that learn need not all be there yet.
    with_own.policies_to_train = None
    with_own.check_values()


def configuration_of(config: Any, overrides: Mapping[str, Any]) -> Any:
    """A configuration of which some settings are a policy's own."""
    own = thawed_copy(config)
    setattr(own, NAME, {})
    for key, value in overrides.items():
        setattr(own, key, value)
    return own
