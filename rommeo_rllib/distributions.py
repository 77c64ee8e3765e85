"""Distributions over actions: squashed Gaussian, categorical, and their product over opponents.

An action that the networks see is a flat vector: a continuous action as it is, in [-1, 1] per
dimension, a discrete one as a one-hot vector. Samples are handed on as *latent* actions: `u` with
`action = tanh(u)` for a continuous dimension, the one-hot vector itself for a discrete one. A
log-probability is always that of the action, but it is computed from the latent one, so that no
sampled action has to go through atanh, which loses all precision near the bounds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from rommeo_rllib.noise import GLOBAL_NOISE, Noise

MIN_STD = 0.01
"""Added to every standard deviation: a Gaussian that has collapsed has no gradient left."""

MAX_LOG_STD = 2.0
"""A wider Gaussian, squashed, has nearly all of its mass at the two bounds."""

MAX_REPLAYED_ACTION = 1.0 - 1e-6
"""Actions from elsewhere (replay, other policies) are moved inside the open interval by this."""


@dataclass(frozen=True)
class ActionComponent:
    """One part of an action: a continuous vector of `size` dimensions or a choice among `size`."""

    kind: Literal["continuous", "discrete"]
    size: int

    @property
    def num_parameters(self) -> int:
        """Outputs that a network needs to describe a distribution of this part."""
        return 2 * self.size if self.kind == "continuous" else self.size

    @property
    def log_uniform(self) -> float:
        """Log-density (or log-probability) of the uniform distribution of this part."""
        return -self.size * math.log(2.0) if self.kind == "continuous" else -math.log(self.size)


class ComponentDistribution(Protocol):
    """A distribution of one kind of component; the last axis of its tensors is the component's."""

    def rsample(self, noise: Noise = GLOBAL_NOISE) -> Tensor:
        """A latent sample that the parameters' gradient flows through."""
        ...

    def log_prob(self, latent: Tensor) -> Tensor:
        """Log-probability of the action that `latent` stands for; the last axis is summed."""
        ...

    def mode(self) -> Tensor:
        """The latent action of a greedy agent."""
        ...


class SquashedGaussian:
    """`tanh(u)` with `u` from a diagonal Gaussian.

    Args:
        parameters: (..., 2 * size); the means of u, then the logarithms of its standard deviations.
    """

    def __init__(self, parameters: Tensor):
        self.mean, log_std = parameters.chunk(2, dim=-1)
        self.std = log_std.clamp(max=MAX_LOG_STD).exp() + MIN_STD

    def rsample(self, noise: Noise = GLOBAL_NOISE) -> Tensor:
        """Reparameterised latent sample `u`, (..., size)."""
        return self.mean + self.std * noise.normal_like(self.mean)

    def log_prob(self, latent: Tensor) -> Tensor:
        """Log-density of `tanh(latent)` in [-1, 1]^size: (..., size) -> (...)."""
        standardised = (latent - self.mean) / self.std
        log_normal = -0.5 * standardised.square() - self.std.log() - 0.5 * math.log(2 * math.pi)
        return (log_normal - log_tanh_derivative(latent)).sum(-1)

    def mode(self) -> Tensor:
        """The latent mean, whose tanh is the action's median."""
        return self.mean


class OneHotCategorical:
    """A choice among n, as a one-hot vector; sampled by straight-through Gumbel-softmax.

    Args:
        parameters: (..., n) unnormalised log-probabilities.
    """

    def __init__(self, parameters: Tensor):
        self.log_probs = parameters.log_softmax(-1)

    def rsample(self, noise: Noise = GLOBAL_NOISE) -> Tensor:
        """One-hot forwards, the Gumbel-softmax's gradient backwards (Jang et al. 2017)."""
        exponential = -(-noise.uniform_like(self.log_probs)).log1p()
        tiny = torch.finfo(exponential.dtype).tiny
        relaxed = (self.log_probs - exponential.clamp_min(tiny).log()).softmax(-1)
        one_hot = F.one_hot(relaxed.argmax(-1), relaxed.shape[-1]).to(relaxed.dtype)
        return one_hot + relaxed - relaxed.detach()

    def log_prob(self, latent: Tensor) -> Tensor:
        """Log-probability of the chosen class: (..., n) one-hot -> (...)."""
        return (latent * self.log_probs).sum(-1)

    def mode(self) -> Tensor:
        """The likeliest class as a one-hot vector."""
        n = self.log_probs.shape[-1]
        return F.one_hot(self.log_probs.argmax(-1), n).to(self.log_probs.dtype)


def log_tanh_derivative(latent: Tensor) -> Tensor:
    """`log(1 - tanh(u)^2)`, exact for every u and with no epsilon; symmetric in u."""
    magnitude = latent.abs()
    return 2.0 * (math.log(2.0) - magnitude - F.softplus(-2.0 * magnitude))


_DISTRIBUTIONS: dict[str, type[SquashedGaussian] | type[OneHotCategorical]] = {
    "continuous": SquashedGaussian,
    "discrete": OneHotCategorical,
}


@dataclass(frozen=True)
class _Group:
    """Neighbouring components of the same kind and size, computed in one go."""

    component: ActionComponent
    count: int
    action: slice
    parameters: slice


class ProductDistribution:
    """Independent components: all opponents' actions, or all parts of one agent's own.

    Args:
        components: in the order of the flat action.
        parameters: (..., num_parameters(components)).
        uniform_weight: share of a uniform distribution mixed into each component's probabilities.
            It concerns `log_prob` and `kl_divergence` (as the second argument) only.
    """

    def __init__(
        self,
        components: Sequence[ActionComponent],
        parameters: Tensor,
        uniform_weight: float = 0.0,
    ):
        self.components = tuple(components)
        self.parameters = parameters
        self.uniform_weight = uniform_weight
        self._groups = _group(self.components)
        self._parts: list[ComponentDistribution] = [
            _DISTRIBUTIONS[g.component.kind](
                parameters[..., g.parameters].unflatten(-1, (g.count, g.component.num_parameters))
            )
            for g in self._groups
        ]

    def unsqueeze(self, dim: int) -> ProductDistribution:
        """The same with another axis of length 1 among the leading ones, to broadcast along."""
        return ProductDistribution(
            self.components, self.parameters.unsqueeze(dim), self.uniform_weight
        )

    def expand_rows(self, rows: int) -> ProductDistribution:
        """The same for each of `rows` rows, where there is one: (..., 1, n) -> (..., rows, n)."""
        shape = (*self.parameters.shape[:-2], rows, -1)
        return ProductDistribution(
            self.components, self.parameters.expand(shape), self.uniform_weight
        )

    def detach(self, uniform_weight: float) -> ProductDistribution:
        """The same without a gradient for the parameters, mixed with `uniform_weight`."""
        return ProductDistribution(self.components, self.parameters.detach(), uniform_weight)

    def rsample(self, noise: Noise = GLOBAL_NOISE) -> Tensor:
        """Latent sample that gradients flow through, (..., action size)."""
        return _join([part.rsample(noise).flatten(-2) for part in self._parts])

    def mode(self) -> Tensor:
        """Latent action of a greedy agent, (..., action size)."""
        return _join([part.mode().flatten(-2) for part in self._parts])

    def log_prob(self, latent: Tensor) -> Tensor:
        """Log-probability of each component's action: (..., action size) -> (..., components)."""
        return _join(
            [
                self._mixed(part.log_prob(_unflatten(latent, g)), g.component)
                for part, g in zip(self._parts, self._groups, strict=True)
            ]
        )

    def kl_divergence(self, prior: ProductDistribution, latent: Tensor) -> Tensor:
        """KL(self || prior) of each component, (..., components).

        Exact for discrete components; for continuous ones the usual estimate
        `log rho(a) - log P(a)` at `latent`, a sample of `self`, whose gradient flows through the
        sample.
        """
        terms = []
        for own, other, group in zip(self._parts, prior._parts, self._groups, strict=True):
            if isinstance(own, OneHotCategorical) and isinstance(other, OneHotCategorical):
                log_prior = prior._mixed(other.log_probs, group.component)
                terms.append((own.log_probs.exp() * (own.log_probs - log_prior)).sum(-1))
            else:
                part = _unflatten(latent, group)
                log_prior = prior._mixed(other.log_prob(part), group.component)
                terms.append(own.log_prob(part) - log_prior)
        return _join(terms)

    @property
    def class_log_probs(self) -> Tensor:
        """Log-probabilities of all classes, (..., n); for a single discrete component only."""
        (part,) = self._parts
        if not isinstance(part, OneHotCategorical) or part.log_probs.shape[-2] != 1:
            raise TypeError(f"{self.components} is not a single discrete component.")
        return part.log_probs.squeeze(-2)

    def _mixed(self, log_prob: Tensor, component: ActionComponent) -> Tensor:
        if self.uniform_weight == 0.0:
            return log_prob
        uniform = torch.full_like(log_prob, math.log(self.uniform_weight) + component.log_uniform)
        return torch.logaddexp(math.log1p(-self.uniform_weight) + log_prob, uniform)


def num_parameters(components: Sequence[ActionComponent]) -> int:
    """Outputs that a network needs to describe a product distribution of `components`."""
    return sum(component.num_parameters for component in components)


def all_actions(components: Sequence[ActionComponent], at_most: int) -> Tensor | None:
    """All joint choices as one-hot vectors, (N, action size).

    None if a component is continuous or there are more than `at_most` choices.
    """
    sizes = [component.size for component in components]
    if any(c.kind == "continuous" for c in components) or math.prod(sizes) > at_most:
        return None
    choices = torch.cartesian_prod(*map(torch.arange, sizes)).reshape(-1, len(sizes))
    one_hots = [F.one_hot(c, n) for c, n in zip(choices.unbind(-1), sizes, strict=True)]
    return torch.cat(one_hots, dim=-1).float()


def action_size(components: Sequence[ActionComponent]) -> int:
    """Length of the flat vector of an action of `components`."""
    return sum(component.size for component in components)


def squash(components: Sequence[ActionComponent], latent: Tensor) -> Tensor:
    """The actions that latent actions stand for, (..., action size) both."""
    return _join(
        [
            latent[..., g.action].tanh()
            if g.component.kind == "continuous"
            else latent[..., g.action]
            for g in _group(tuple(components))
        ]
    )


def unsquash(components: Sequence[ActionComponent], actions: Tensor) -> Tensor:
    """Latent actions of actions that were not sampled here (the replay's): `squash`'s inverse.

    A continuous action at a bound, which no squashed Gaussian can produce but an opponent may, is
    moved inside by 1e-6.
    """
    bound = MAX_REPLAYED_ACTION
    return _join(
        [
            part.clamp(-bound, bound).atanh() if g.component.kind == "continuous" else part
            for g in _group(tuple(components))
            for part in [actions[..., g.action]]
        ]
    )


def uniform_latent(
    components: Sequence[ActionComponent], like: Tensor, noise: Noise = GLOBAL_NOISE
) -> Tensor:
    """Latent actions of uniformly random actions, of the shape and type of `like`."""
    parts = []
    for g in _group(tuple(components)):
        uniform = noise.uniform_like(_unflatten(like, g))
        if g.component.kind == "continuous":
            # atanh of a uniform variable in (-1, 1), written with the logistic's inverse.
            parts.append((0.5 * uniform.logit(eps=1e-6)).flatten(-2))
        else:
            choice = uniform.argmax(-1)
            parts.append(F.one_hot(choice, g.component.size).to(like.dtype).flatten(-2))
    return _join(parts)


def _group(components: tuple[ActionComponent, ...]) -> list[_Group]:
    groups, action, parameter = [], 0, 0
    for component, run in groupby(components):
        count = len(list(run))
        action_end = action + count * component.size
        parameter_end = parameter + count * component.num_parameters
        groups.append(
            _Group(component, count, slice(action, action_end), slice(parameter, parameter_end))
        )
        action, parameter = action_end, parameter_end
    return groups


def _unflatten(flat: Tensor, group: _Group) -> Tensor:
    return flat[..., group.action].unflatten(-1, (group.count, group.component.size))


def _join(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)
