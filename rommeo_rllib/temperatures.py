"""Temperatures: alpha, the weight of the policy's entropy, and the weight of the KL term.

Each is a number, a schedule, or what it is to bring about, from which the weight is found as the
multiplier of a constraint: how random the policy is to play, how far the opponent model may lean
away from the prior. These have no unit, so that neither the reward's scale nor the horizon matters.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rommeo_rllib.checks import is_finite_number
from rommeo_rllib.naming import reject_unknown_keys, shown
from rommeo_rllib.schedules import Schedule, ScheduleSpec, make_schedule, number

RANDOMNESS, DIVERGENCE = "randomness", "divergence"
"""Keys of what a user writes instead of a weight, of alpha and of the KL weight."""

_TARGETS = ("target_entropy", "total_target_entropy")


@dataclass(frozen=True)
class Auto:
    """Alpha is learned, so that the policy keeps a target entropy (Haarnoja et al. 2018b).

    Attributes:
        initial: alpha before the first update.
        target_entropy: nats per dimension of the agent's action, measured on actions in [-1, 1]
            for continuous ones; None leaves the choice to the policy (-1 a continuous dimension,
            half of the greatest possible entropy for a discrete one).
        total_target_entropy: the same for the whole action, in nats, as RLlib's SAC counts it; it
            stands instead of `target_entropy`.
    """

    initial: float = 1.0
    target_entropy: float | None = None
    total_target_entropy: float | None = None


@dataclass(frozen=True)
class Kept:
    """The weight is what keeps something at a target.

    Attributes:
        target: how random the policy plays, in (0, 1] (see :func:`randomness`), or nats above 0.
    """

    target: Schedule


def make_alpha(spec: ScheduleSpec, name: str = "alpha") -> Schedule | Auto | Kept:
    """Like :func:`make_schedule`, and also what is found in the course of training.

    That is "auto", or a dict of "initial" and one of "target_entropy" and "total_target_entropy",
    see :class:`Auto`; "auto" there leaves the target to the policy. Or `{"randomness": schedule}`.
    """
    if is_kept(spec, RANDOMNESS):
        return Kept(kept_randomness(spec, name))
    if not is_learned(spec):
        return make_schedule(spec, name)
    spec = spec if isinstance(spec, Mapping) else {}
    reject_unknown_keys(spec, (*_TARGETS, "initial"), name)
    targets = {key: _target(spec[key], f"{name}[{key!r}]") for key in _TARGETS if key in spec}
    if len(targets) == len(_TARGETS):
        raise ValueError(f"`{name}` is {shown(dict(spec))}; allowed: one of its targets.")
    return Auto(number(spec.get("initial", 1.0), f"{name}['initial']"), **targets)


def make_kl_coeff(spec: ScheduleSpec, name: str = "kl_coeff") -> Schedule | Kept:
    """Like :func:`make_schedule`, 0 allowed; and also `{"divergence": schedule}`."""
    if is_kept(spec, DIVERGENCE):
        return Kept(kept_divergence(spec, name))
    return make_schedule(spec, name, allow_zero=True)


def is_learned(spec: ScheduleSpec) -> bool:
    """Whether this is an alpha that is learned for a target entropy."""
    if isinstance(spec, Mapping):
        return any(key in spec for key in _TARGETS)
    return isinstance(spec, str) and spec == "auto"


def is_kept(spec: ScheduleSpec, key: str) -> bool:
    """Whether this says what a weight is to bring about, under that key."""
    return isinstance(spec, Mapping) and key in spec


def kept_randomness(spec: ScheduleSpec, name: str = "alpha") -> Schedule:
    """The target of an alpha that :func:`is_kept`, fractions."""
    return _kept_at(spec, RANDOMNESS, name, at_most=1.0)


def kept_divergence(spec: ScheduleSpec, name: str = "kl_coeff") -> Schedule:
    """The target of a KL weight that :func:`is_kept`, nats."""
    return _kept_at(spec, DIVERGENCE, name)


def learned_alpha(spec: ScheduleSpec, **changes: Any) -> dict[str, Any]:
    """The `spec` of a learned alpha with another `initial` or another target."""
    kept = dict(spec) if isinstance(spec, Mapping) else {"target_entropy": "auto"}
    if not changes.keys().isdisjoint(_TARGETS):
        kept = {key: value for key, value in kept.items() if key not in _TARGETS}
    return kept | changes


INTEGRAL, PROPORTIONAL = 0.1, 2.0
"""How fast the logarithm of a multiplier moves with what is missing, and how far it leans."""

MOST_LOG = 7.0
"""Bounds the logarithm of a multiplier, up and down: where a target is out of reach, it would go on
for ever, and it has to come back."""


def missing(target: Tensor, found: Tensor) -> Tensor:
    """What is missing from a target, as a share of the greater of the two: in [-1, 1], (...).

    Args:
        target: above 0.
        found: at least 0.
    """
    return (target - found) / torch.maximum(target, found)


def weight(log_multiplier: Tensor, wanting: Tensor) -> Tensor:
    """The weight by now, (...): the multiplier, and at once an answer to what is wanting.

    Args:
        log_multiplier: its logarithm, (...).
        wanting: more of the weight, in [-1, 1], (...).
    """
    return (log_multiplier + PROPORTIONAL * wanting).exp()


def follow(log_multiplier: Tensor, wanting: Tensor) -> Tensor:
    """The logarithm of the multiplier after an update, (...); arguments are those of `weight`."""
    return (log_multiplier + INTEGRAL * wanting).clamp(-MOST_LOG, MOST_LOG)


def _kept_at(spec: ScheduleSpec, key: str, name: str, at_most: float = math.inf) -> Schedule:
    assert isinstance(spec, Mapping)
    reject_unknown_keys(spec, (key,), name)
    return make_schedule(spec[key], f"{name}[{key!r}]", at_most=at_most)


def _target(value: Any, name: str) -> float | None:
    if value is None or (isinstance(value, str) and value == "auto"):
        return None
    if not is_finite_number(value):
        raise ValueError(
            f'`{name}` is {shown(value)}; allowed: a finite number of nats, or "auto".'
        )
    return float(value)
