"""Which policies an algorithm has gained and lost since it was built.

A checkpoint is to be restored with the policies that were there when it was saved, also by an
algorithm that was built before some of them came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from torch import nn

Shapes: TypeAlias = dict[str, tuple[int, ...]]
"""The shape of each parameter and buffer of a policy, by name."""

Made: TypeAlias = tuple[RLModuleSpec, dict[str, Any] | None]
"""How a policy is made again: its specification, and the settings of its own."""


@dataclass
class PolicyChanges:
    """The policies of one algorithm.

    Attributes:
        built_with: ids of the policies with which it was built, in order.
        added: those that came later.
        removed: those of `built_with` that are there no more, or by their id only.
    """

    built_with: list[str]
    added: dict[str, Made] = field(default_factory=dict)
    removed: dict[str, Made] = field(default_factory=dict)

    def add(self, policy: str, made: Made) -> None:
        """Notes that a policy was added."""
        self.added[policy] = made

    def remove(self, policy: str, made: Made) -> None:
        """Notes that a policy was removed."""
        if self.added.pop(policy, None) is None:
            self.removed[policy] = made

    def __bool__(self) -> bool:
        return bool(self.added or self.removed)


@dataclass
class StoredPolicies:
    """What a state says of its policies."""

    changes: PolicyChanges
    shapes: dict[str, Shapes]
    policy_mapping_fn: Callable[..., str]
    policies_to_train: Any


def shapes_of(modules: Iterable[tuple[str, Any]]) -> dict[str, Shapes]:
    """The shapes of each policy's parameters but optional ones; none of one that is no network."""
    found: dict[str, Shapes] = {}
    for policy, module in modules:
        module = module.unwrapped()
        state = module.state_dict() if isinstance(module, nn.Module) else {}
        optional = getattr(module, "OPTIONAL_PARAMETERS", ())
        found[policy] = {n: tuple(value.shape) for n, value in state.items() if n not in optional}
    return found


@dataclass
class Plan:
    """What has to be done before a state can be taken up: first removed, then added."""

    remove: list[str]
    add: dict[str, Made]


def plan(own: PolicyChanges, own_shapes: Mapping[str, Shapes], stored: StoredPolicies) -> Plan:
    """What makes an algorithm's policies those of a state.

    Raises:
        ValueError: if policies differ, and not by having been added or removed while it ran.
    """
    theirs = stored.changes
    remove, add = [], {}
    for policy, shapes in stored.shapes.items():
        if policy in own_shapes:
            difference = _difference(own_shapes[policy], shapes)
            if difference is None:
                continue
            made = theirs.added.get(policy) or own.removed.get(policy)
            if made is None:
                raise ValueError(
                    f"The stored policy {policy!r} does not fit this algorithm's: {difference}. "
                    "Build it with the networks and spaces with which it was saved."
                )
            remove.append(policy)
        else:
            made = theirs.added.get(policy) or own.removed.get(policy)
            if made is None:
                raise ValueError(
                    f"The stored state has the policy {policy!r}; this algorithm's are "
                    f"{sorted(own_shapes)}. Build it with the same policies, or let "
                    "Algorithm.from_checkpoint() make it."
                )
        add[policy] = made
    for policy in own_shapes.keys() - stored.shapes.keys():
        if policy not in own.added and policy not in theirs.built_with:
            raise ValueError(
                f"The stored state lacks the policy {policy!r}; it has {sorted(stored.shapes)}. "
                "Build the algorithm with these, or call remove_module() first."
            )
        remove.append(policy)
    return Plan(sorted(remove), add)


def _difference(own: Shapes, stored: Shapes) -> str | None:
    """What tells two networks apart, in words; None if nothing does."""
    for name in _ordered(own, stored):
        if own.get(name) != stored.get(name):
            here, there = (str(s.get(name, "missing")) for s in (own, stored))
            return f"`{name}` is {there} in the state and {here} here"
    return None


def _ordered(*states: Shapes) -> Sequence[str]:
    return list(dict.fromkeys(name for state in states for name in state))
