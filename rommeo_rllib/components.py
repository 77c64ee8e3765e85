"""The parts of an action: what networks see, what distributions are made of.

An action that the networks see is a flat vector of components: a bounded continuous one in [-1, 1]
per dimension, an unbounded one as it is, a choice as a one-hot vector. Samples are handed on as
*latent* actions: `u` with `action = tanh(u)` for a bounded dimension, the action itself for all
others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from rommeo_rllib.rng import GLOBAL_RNG, Rng

MAX_REPLAYED_ACTION = 1.0 - 1e-6
"""Actions from elsewhere (replay, other policies) are moved inside the open interval by this."""

WIDE_STD = 3.0
"""Standard deviation of the normal distribution that stands for "anything" where an action has no
bounds, and with them no uniform distribution."""


@dataclass(frozen=True)
class ActionComponent:
    """One part of an action.

    "continuous" and "unbounded" are vectors of `size` dimensions, in [-1, 1] or anywhere;
    "discrete" is a choice among `size`.
    """

    kind: Literal["continuous", "unbounded", "discrete"]
    size: int

    @property
    def num_parameters(self) -> int:
        """Outputs that a network needs to describe a distribution of this part."""
        return self.size if self.kind == "discrete" else 2 * self.size

    def log_broad(self, latent: Tensor) -> Tensor:
        """Log-probability of a latent action by the broadest distribution: (..., size) -> (...).

        That is the uniform one, or a normal one with `WIDE_STD` where there are no bounds.
        """
        if self.kind == "unbounded":
            standardised = latent / WIDE_STD
            normal = -0.5 * standardised.square() - math.log(WIDE_STD * math.sqrt(2 * math.pi))
            return normal.sum(-1)
        return torch.full_like(latent[..., 0], self.log_uniform)

    @property
    def log_uniform(self) -> float:
        """Log-density (or log-probability) of the uniform distribution of a bounded part."""
        return -math.log(self.size) if self.kind == "discrete" else -self.size * math.log(2.0)


@dataclass(frozen=True)
class ComponentGroup:
    """`count` neighbouring components of the same kind and size, computed in one go.

    `action` and `parameters` say where they stand in the flat action and in the parameters.
    """

    component: ActionComponent
    count: int
    action: slice
    parameters: slice

    def actions_in(self, flat: Tensor) -> Tensor:
        """Their part of flat actions: (..., action size) -> (..., count * size)."""
        return _part(flat, self.action)

    def unflatten(self, flat: Tensor) -> Tensor:
        """The same, one component after the other: (..., action size) -> (..., count, size)."""
        return self._unflattened(self.actions_in(flat))

    def parameters_in(self, flat: Tensor) -> Tensor:
        """Their part of all parameters: (..., parameters) -> (..., count, parameters of one)."""
        return self._unflattened(_part(flat, self.parameters))

    def _unflattened(self, part: Tensor) -> Tensor:
        return part.unsqueeze(-2) if self.count == 1 else part.unflatten(-1, (self.count, -1))


def num_parameters(components: Sequence[ActionComponent]) -> int:
    """Outputs that a network needs to describe a product distribution of `components`."""
    return sum(component.num_parameters for component in components)


def action_size(components: Sequence[ActionComponent]) -> int:
    """Length of the flat vector of an action of `components`."""
    return sum(component.size for component in components)


def has_choices(components: Sequence[ActionComponent]) -> bool:
    """Whether one of `components` is a choice."""
    return any(component.kind == "discrete" for component in components)


def all_actions(components: Sequence[ActionComponent], at_most: int) -> Tensor | None:
    """All joint choices as one-hot vectors, (N, action size).

    None if a component is continuous or there are more than `at_most` choices.
    """
    sizes = [component.size for component in components]
    if any(c.kind != "discrete" for c in components) or math.prod(sizes) > at_most:
        return None
    # Here, also where networks are only outlined: `torch.device("meta")` takes seconds to begin.
    options = [torch.arange(size, device="cpu") for size in sizes]
    choices = torch.cartesian_prod(*options).reshape(-1, len(sizes))
    one_hots = [F.one_hot(c, n) for c, n in zip(choices.unbind(-1), sizes, strict=True)]
    return torch.cat(one_hots, dim=-1).float()


def squash(components: Sequence[ActionComponent], latent: Tensor) -> Tensor:
    """The actions that latent actions stand for, (..., action size) both."""
    return join(
        [
            part.tanh() if g.component.kind == "continuous" else part
            for g in group(components)
            for part in [g.actions_in(latent)]
        ]
    )


def unsquash(components: Sequence[ActionComponent], actions: Tensor) -> Tensor:
    """Latent actions of actions that were not sampled here (the replay's): `squash`'s inverse.

    A continuous action at a bound, which no squashed Gaussian can produce but an opponent may, is
    moved inside by 1e-6.
    """
    bound = MAX_REPLAYED_ACTION
    return join(
        [
            part.clamp(-bound, bound).atanh() if g.component.kind == "continuous" else part
            for g in group(components)
            for part in [g.actions_in(actions)]
        ]
    )


def broad_latent(
    components: Sequence[ActionComponent], like: Tensor, rng: Rng = GLOBAL_RNG
) -> Tensor:
    """Latent actions of uniformly random actions, of the shape and type of `like`.

    Where there are no bounds they are normal with `WIDE_STD`.
    """
    parts = []
    for g in group(components):
        part = g.unflatten(like)
        if g.component.kind == "unbounded":
            parts.append((WIDE_STD * rng.normal_like(part)).flatten(-2))
        elif g.component.kind == "continuous":
            # atanh of a uniform variable in (-1, 1), written with the logistic's inverse.
            parts.append((0.5 * rng.uniform_like(part).logit(eps=1e-6)).flatten(-2))
        else:
            choice = rng.uniform_like(part).argmax(-1)
            parts.append(F.one_hot(choice, g.component.size).to(like.dtype).flatten(-2))
    return join(parts)


def log_broad(components: Sequence[ActionComponent], latent: Tensor) -> Tensor:
    """Log-density that :func:`broad_latent` draws with: (..., action size) -> (..., components)."""
    return join([g.component.log_broad(g.unflatten(latent)) for g in group(components)])


def group(components: Sequence[ActionComponent]) -> Sequence[ComponentGroup]:
    """Neighbouring components of the same kind and size, put together."""
    return _grouped(tuple(components))


@lru_cache
def _grouped(components: tuple[ActionComponent, ...]) -> list[ComponentGroup]:
    groups, action, parameter = [], 0, 0
    for component, run in groupby(components):
        count = len(list(run))
        action_end = action + count * component.size
        parameter_end = parameter + count * component.num_parameters
        groups.append(
            ComponentGroup(
                component, count, slice(action, action_end), slice(parameter, parameter_end)
            )
        )
        action, parameter = action_end, parameter_end
    return groups


def _part(flat: Tensor, place: slice) -> Tensor:
    # Slices cost, with their gradients, as much as what is computed from them.
    return flat if place.stop - place.start == flat.shape[-1] else flat[..., place]


def total(values: Tensor) -> Tensor:
    """The sum over the last axis: (..., n) -> (...); for nothing where n is 1."""
    return values.squeeze(-1) if values.shape[-1] == 1 else values.sum(-1)


def join(parts: list[Tensor]) -> Tensor:
    """Flat vectors, one after the other."""
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)
