"""Policies of equal shape, computed together.

Small networks cost mostly calls, not arithmetic. Where several policies have networks of equal
shape (the agents of a symmetric game, the replicas of a run), their parameters are laid into common
tensors with a leading axis, one entry a policy, and each call serves all of them. Every policy
keeps its own parameters as views of the common ones, so that saving, loading and handing them on
works as for any RLlib module.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from rommeo_rllib.joint_action.modules.networks import STACKABLE
from rommeo_rllib.joint_action.modules.policy import JointActionPolicy
from rommeo_rllib.joint_action.spaces.encoding import layout
from rommeo_rllib.joint_action.spaces.replicas import replica_order


class PolicyGroup:
    """One or more policies of equal shape.

    Args:
        policies: by id, in the order of the leading axis. Several must be stackable.

    Attributes:
        ids: their ids.
        members: the policies by id.
        stacked: whether tensors have the leading axis; a group of one goes without.
        policy: what to compute with: the one policy, or all of them stacked.
    """

    def __init__(self, policies: Mapping[str, JointActionPolicy]):
        self.ids = list(policies)
        self.members = dict(policies)
        self.stacked = len(policies) > 1
        self.policy = _stack(list(policies.values())) if self.stacked else policies[self.ids[0]]

    def __len__(self) -> int:
        return len(self.ids)

    def parts(self, together: bool) -> list[tuple[list[str], JointActionPolicy, bool]]:
        """(ids, what to compute with, whether it is stacked), all at once or one by one."""
        if together:
            return [(self.ids, self.policy, self.stacked)]
        return [([policy_id], policy, False) for policy_id, policy in self.members.items()]

    def join(self, columns: Sequence[np.ndarray]) -> np.ndarray:
        """One array a policy -> one for the group."""
        return np.stack(columns) if self.stacked else columns[0]

    def split(self, value: Tensor) -> dict[str, Tensor]:
        """The group's tensor -> one a policy."""
        return dict(zip(self.ids, value.unbind(0) if self.stacked else (value,), strict=True))


def group_policies(
    policies: Mapping[str, JointActionPolicy], keys: Mapping[str, object] | None = None
) -> list[PolicyGroup]:
    """Groups policies of equal shape (and equal key, if keys are given), in sorted order."""
    groups: dict[object, dict[str, JointActionPolicy]] = {}
    for policy_id in sorted(policies, key=replica_order):
        policy = policies[policy_id]
        signature: object = policy_id
        if is_stackable(policy):
            signature = (_signature(policy), keys[policy_id] if keys is not None else None)
        groups.setdefault(signature, {})[policy_id] = policy
    return [PolicyGroup(members) for members in groups.values()]


def is_stackable(policy: JointActionPolicy) -> bool:
    """Whether all parameters belong to layers that take a leading axis, or to the policy itself.

    An encoder may be anything, and have a state of its own.
    """
    return policy.encoder is None and all(
        isinstance(module, STACKABLE) or module is policy
        for module in policy.modules()
        if next(module.parameters(recurse=False), None) is not None
    )


@contextmanager
def kept_as_is(tensors: Sequence[Tensor], rows: Sequence[int]) -> Iterator[None]:
    """Restores, after the block, the given rows of tensors with a leading axis."""
    saved = [tensor.detach()[list(rows)].clone() for tensor in tensors] if rows else []
    yield
    with torch.no_grad():
        for tensor, before in zip(tensors, saved, strict=False):
            tensor[list(rows)] = before


def _signature(policy: JointActionPolicy) -> object:
    shapes = tuple((name, tuple(p.shape)) for name, p in policy.named_parameters())
    activations = tuple(type(m).__name__ for m in policy.modules())
    spaces = (policy.observation_space, policy.action_space, *policy.opponents.action_spaces)
    return (type(policy), tuple(map(layout, spaces)), shapes, activations)


def _stack(policies: Sequence[JointActionPolicy]) -> JointActionPolicy:
    stacked = copy.deepcopy(policies[0])
    modules = dict(stacked.named_modules())
    members = [dict(policy.named_parameters()) for policy in policies]
    for name, parameter in policies[0].named_parameters():
        common = nn.Parameter(
            torch.stack([member[name].detach() for member in members]),
            requires_grad=parameter.requires_grad,
        )
        owner, _, attribute = name.rpartition(".")
        setattr(modules[owner], attribute, common)
        for index, member in enumerate(members):
            member[name].data = common.data[index]
    return stacked
