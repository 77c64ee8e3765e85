"""Distributions over actions: Gaussian, squashed Gaussian, categorical, and their product.

They work on *latent* actions (see `rommeo_rllib.components`). A log-probability is always that of
the action, but it is computed from the latent one, so that no sampled action has to go through
atanh, which loses all precision near the bounds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from rommeo_rllib.components import ActionComponent, group, join
from rommeo_rllib.noise import GLOBAL_NOISE, Noise

MIN_STD = 0.01
"""Added to every standard deviation: a Gaussian that has collapsed has no gradient left."""

MAX_LOG_STD = 2.0
"""A wider Gaussian, squashed, has nearly all of its mass at the two bounds."""


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


class Gaussian:
    """A diagonal Gaussian, for actions without bounds.

    Args:
        parameters: (..., 2 * size); the means, then the logarithms of the standard deviations.
    """

    def __init__(self, parameters: Tensor):
        self.mean, log_std = parameters.chunk(2, dim=-1)
        self.std = log_std.clamp(max=MAX_LOG_STD).exp() + MIN_STD

    def rsample(self, noise: Noise = GLOBAL_NOISE) -> Tensor:
        """Reparameterised sample, (..., size)."""
        return self.mean + self.std * noise.normal_like(self.mean)

    def log_prob(self, latent: Tensor) -> Tensor:
        """Log-density of `latent`: (..., size) -> (...)."""
        return self._log_normal(latent).sum(-1)

    def mode(self) -> Tensor:
        """The mean."""
        return self.mean

    def _log_normal(self, latent: Tensor) -> Tensor:
        standardised = (latent - self.mean) / self.std
        return -0.5 * standardised.square() - self.std.log() - 0.5 * math.log(2 * math.pi)


class SquashedGaussian(Gaussian):
    """`tanh(u)` with `u` from a diagonal Gaussian, whose latent mean gives the action's median."""

    def log_prob(self, latent: Tensor) -> Tensor:
        """Log-density of `tanh(latent)` in [-1, 1]^size: (..., size) -> (...)."""
        return (self._log_normal(latent) - log_tanh_derivative(latent)).sum(-1)


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


_DISTRIBUTIONS: dict[str, type[Gaussian] | type[OneHotCategorical]] = {
    "continuous": SquashedGaussian,
    "unbounded": Gaussian,
    "discrete": OneHotCategorical,
}


class ProductDistribution:
    """Independent components: all opponents' actions, or all parts of one agent's own.

    Args:
        components: in the order of the flat action.
        parameters: (..., num_parameters(components)).
        uniform_weight: share of a uniform distribution (a wide one where there are no bounds, see
            `ActionComponent.log_broad`) mixed into each component's probabilities. It concerns
            `log_prob` and `kl_divergence` (as the second argument) only.
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
        self._groups = group(self.components)
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
        return join([part.rsample(noise).flatten(-2) for part in self._parts])

    def mode(self) -> Tensor:
        """Latent action of a greedy agent, (..., action size)."""
        return join([part.mode().flatten(-2) for part in self._parts])

    def log_prob(self, latent: Tensor) -> Tensor:
        """Log-probability of each component's action: (..., action size) -> (..., components)."""
        return join(
            [
                self._mixed(part.log_prob(own), g.component, own)
                for part, g in zip(self._parts, self._groups, strict=True)
                for own in [g.unflatten(latent)]
            ]
        )

    def kl_divergence(self, prior: ProductDistribution, latent: Tensor) -> Tensor:
        """KL(self || prior) of each component, (..., components).

        Exact for discrete components; for continuous ones the usual estimate
        `log rho(a) - log P(a)` at `latent`, a sample of `self`, whose gradient flows through the
        sample.
        """
        terms = []
        for own, other, g in zip(self._parts, prior._parts, self._groups, strict=True):
            if isinstance(own, OneHotCategorical) and isinstance(other, OneHotCategorical):
                log_prior = prior._mixed(other.log_probs, g.component)
                terms.append((own.log_probs.exp() * (own.log_probs - log_prior)).sum(-1))
            else:
                part = g.unflatten(latent)
                log_prior = prior._mixed(other.log_prob(part), g.component, part)
                terms.append(own.log_prob(part) - log_prior)
        return join(terms)

    def class_log_probs(self, choices: Tensor | None = None) -> Tensor:
        """Log-probabilities of all joint choices, for discrete components only.

        Args:
            choices: of :func:`all_actions`, (N, action size); needed for several components only.

        Returns:
            (..., N).

        Raises:
            TypeError: if a component is not discrete, or there are several and no `choices`.
        """
        parts = [part for part in self._parts if isinstance(part, OneHotCategorical)]
        if len(parts) < len(self._parts):
            raise TypeError(f"{self.components} are not all discrete.")
        log_probs = join([part.log_probs.flatten(-2) for part in parts])
        if len(self.components) == 1:
            return log_probs
        if choices is None:
            raise TypeError(f"{self.components} are several; `choices` must list their actions.")
        # A joint choice is as likely as its parts together: the sum of their logarithms.
        return log_probs @ choices.mT

    def _mixed(
        self, log_prob: Tensor, component: ActionComponent, latent: Tensor | None = None
    ) -> Tensor:
        """`log_prob` of latent actions, or of each class of a choice, mixed with the broadest."""
        weight = self.uniform_weight
        if weight == 0.0:
            return log_prob
        if latent is None:
            log_broad = torch.full_like(log_prob, component.log_uniform)
        else:
            log_broad = component.log_broad(latent)
        return torch.logaddexp(math.log1p(-weight) + log_prob, math.log(weight) + log_broad)
