"""What optimizers remember, by policy and network.

Which policies are computed together, and which of their networks are trained, depends on the
configuration, and a run may be restored with another one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.optim import Optimizer

POLICIES = "policies"
"""Key of an optimizer's parameter group: the policies, in order, whose network it trains."""

ParameterState: TypeAlias = dict[str, Tensor]
"""What Adam remembers of a parameter of one policy; "step" is a number."""

NetworkStates: TypeAlias = dict[tuple[str, str], list[ParameterState | None]]
"""By policy and network's name the states of its parameters; None before the first step."""

_STEP = "step"


def network_states(stored: Mapping[str, Any]) -> NetworkStates:
    """Takes apart what `Learner.get_state` says of all optimizers.

    Raises:
        ValueError: if an optimizer's state does not say whose it is.
    """
    found: NetworkStates = {}
    for optimizer in stored.values():
        states = optimizer["state"]["state"]
        for network in optimizer["state"]["param_groups"]:
            if POLICIES not in network:
                raise ValueError(
                    "The state of an optimizer does not say which policies it trains; allowed: "
                    "states and checkpoints that this version of rommeo-rllib has saved."
                )
            policies = network[POLICIES]
            of_parameters = [states.get(number) for number in network["params"]]
            for row, policy in enumerate(policies):
                found[policy, network["name"]] = [
                    None if state is None else _row(state, row, stacked=len(policies) > 1)
                    for state in of_parameters
                ]
    return found


def groups_in(stored: Mapping[str, Any]) -> list[list[str]]:
    """The policies of each optimizer: those that were computed together."""
    groups = [optimizer["state"]["param_groups"] for optimizer in stored.values()]
    return [list(networks[0][POLICIES]) for networks in groups if networks]


def take_up(optimizer: Optimizer, states: NetworkStates) -> None:
    """Gives an optimizer the states of its policies' networks; one without begins afresh.

    Policies that are computed together count their steps together: the greatest number counts.

    Raises:
        ValueError: if a state is of a network of another shape, before anything is changed.
    """
    own = optimizer.state_dict()
    loaded = {}
    for network, held in zip(own["param_groups"], optimizer.param_groups, strict=True):
        policies = network[POLICIES]
        of_policies = [states.get((policy, network["name"])) for policy in policies]
        for policy, one in zip(policies, of_policies, strict=True):
            _check_shapes(policy, network["name"], one, held["params"], len(policies) > 1)
        for place, number in enumerate(network["params"]):
            rows = [None if one is None else one[place] for one in of_policies]
            if any(row is not None for row in rows):
                loaded[number] = _joined(rows)
    optimizer.load_state_dict({**own, "state": loaded})


def _check_shapes(
    policy: str,
    name: str,
    states: Sequence[ParameterState | None] | None,
    parameters: Sequence[Tensor],
    stacked: bool,
) -> None:
    """An optimizer that is fused would read and write past the ends of tensors of other shapes."""
    if states is None:
        return
    own = [tuple(p.shape[1:] if stacked else p.shape) for p in parameters]
    stored = [
        {tuple(value.shape) for key, value in (state or {}).items() if key != _STEP}
        for state in states
    ]
    fits = len(own) == len(stored) and all(
        shapes <= {shape} for shape, shapes in zip(own, stored, strict=True)
    )
    if not fits:
        raise ValueError(
            f"The stored state of the optimizer of {policy!r}'s network {name!r} is of another "
            f"network: here its parameters are {own}. Build it as it was when it was saved."
        )


def _row(state: Mapping[str, Any], row: int, *, stacked: bool) -> ParameterState:
    tensors = {name: torch.as_tensor(value) for name, value in state.items()}
    return {n: value[row] if stacked and n != _STEP else value for n, value in tensors.items()}


def _joined(rows: Sequence[ParameterState | None]) -> ParameterState:
    known = [row for row in rows if row is not None]
    if len(rows) == 1:
        return known[0]
    joined = {
        name: torch.stack([torch.zeros_like(like) if row is None else row[name] for row in rows])
        for name, like in known[0].items()
        if name != _STEP
    }
    return {_STEP: torch.stack([row[_STEP] for row in known]).max(), **joined}
