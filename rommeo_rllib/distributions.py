"""Distributions over actions: Gaussian, squashed Gaussian, categorical, and their product.

They work on *latent* actions (see `rommeo_rllib.components`). A log-probability is always that of
the action, but it is computed from the latent one, so that no sampled action has to go through
atanh, which loses all precision near the bounds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor
from typing_extensions import Self

from rommeo_rllib.components import (
    WIDE_STD,
    ActionComponent,
    group,
    join,
    num_parameters,
    total,
)
from rommeo_rllib.rng import GLOBAL_RNG, Rng

MIN_STD = 0.01
"""Added to every standard deviation: a Gaussian that has collapsed has no gradient left."""

MAX_LOG_STD = 2.0
"""A wider Gaussian, squashed, has nearly all of its mass at the two bounds."""


_LEAST_STD = math.exp(-20.0)
"""Below it a standard deviation's logarithm is not penalised any further."""


class ComponentDistribution(Protocol):
    """A distribution of one kind of component; the last axis of its tensors is the component's."""

    def rsample(self, rng: Rng = GLOBAL_RNG) -> Tensor:
        """A latent sample that the parameters' gradient flows through."""
        ...

    def log_prob(self, latent: Tensor) -> Tensor:
        """Log-probability of the action that `latent` stands for; the last axis is summed."""
        ...

    def rsample_and_log_prob(self, rng: Rng = GLOBAL_RNG) -> tuple[Tensor, Tensor]:
        """A sample as of `rsample`, and its `log_prob`."""
        ...

    def map(self, change: Callable[[Tensor], Tensor]) -> Self:
        """The same with another view of all tensors."""
        ...

    def mode(self) -> Tensor:
        """The latent action of a greedy agent."""
        ...

    def entropy(self) -> Tensor:
        """Entropy of the action, in nats; the last axis is summed."""
        ...

    def exact_kl_divergence(self, other: Self) -> Tensor:
        """KL(self || other), in nats; the last axis is summed."""
        ...

    def randomness(self, actions: Tensor) -> Tensor:
        """See :meth:`ProductDistribution.randomness`: (..., K, components, size) -> (..., n)."""
        ...


class Gaussian:
    """A diagonal Gaussian, for actions without bounds.

    Args:
        parameters: (..., 2 * size); the means, then the logarithms of the standard deviations.
    """

    def __init__(self, parameters: Tensor):
        self.mean, log_std = parameters.chunk(2, dim=-1)
        self.std = log_std.clamp(max=MAX_LOG_STD).exp() + MIN_STD

    def rsample(self, rng: Rng = GLOBAL_RNG) -> Tensor:
        """Reparameterised sample, (..., size)."""
        return torch.addcmul(self.mean, self.std, rng.normal_like(self.mean))

    def log_prob(self, latent: Tensor) -> Tensor:
        """Log-density of `latent`: (..., size) -> (...)."""
        return total(self._log_density(latent, (latent - self.mean) / self.std))

    def rsample_and_log_prob(self, rng: Rng = GLOBAL_RNG) -> tuple[Tensor, Tensor]:
        """A sample and its log-density, (..., size) and (...).

        What was drawn *is* the standardised sample, on which no parameter has an influence: half of
        the arithmetic, and of its gradient, is saved.
        """
        standardised = rng.normal_like(self.mean)
        latent = torch.addcmul(self.mean, self.std, standardised)
        return latent, total(self._log_density(latent, standardised))

    def map(self, change: Callable[[Tensor], Tensor]) -> Self:
        """The same with another view of mean and standard deviation."""
        changed = object.__new__(type(self))
        changed.mean, changed.std = change(self.mean), change(self.std)
        return changed

    def mode(self) -> Tensor:
        """The mean."""
        return self.mean

    def entropy(self) -> Tensor:
        """0.5 log(2 pi e std^2), summed over dimensions: (...)."""
        return total(self.std.log() + 0.5 * math.log(2.0 * math.pi * math.e))

    def half_squares(self) -> Tensor:
        """Half the squares of mean and logarithm of the standard deviation, added: (..., size)."""
        log_std = (self.std - MIN_STD).clamp_min(_LEAST_STD).log()
        return 0.5 * (self.mean.square() + log_std.square())

    def exact_kl_divergence(self, other: Self) -> Tensor:
        """Of two Gaussians; squashing both alike changes nothing: (...)."""
        ratio, distance = self.std / other.std, (self.mean - other.mean) / other.std
        return total(0.5 * (ratio.square() + distance.square() - 1.0) - ratio.log())

    def randomness(self, actions: Tensor) -> Tensor:
        """Spread of K actions in units of the broadest distribution's, (..., dimensions)."""
        return actions.std(-3).flatten(-2) / self._BROADEST_STD

    _BROADEST_STD = WIDE_STD

    _LOG_NORMALISER = -0.5 * math.log(2 * math.pi)

    def _log_density(self, latent: Tensor, standardised: Tensor) -> Tensor:
        """Of each dimension; `standardised` is the latent action in units of its own Gaussian."""
        return self._LOG_NORMALISER - self._energy(latent, standardised)

    def _energy(self, latent: Tensor, standardised: Tensor) -> Tensor:
        return torch.add(self.std.log(), standardised.square(), alpha=0.5)


class SquashedGaussian(Gaussian):
    """`tanh(u)` with `u` from a diagonal Gaussian, whose latent mean gives the action's median.

    Log-densities are those of `tanh(latent)` in [-1, 1]^size.
    """

    # Of the uniform distribution in [-1, 1].
    _BROADEST_STD = 1.0 / math.sqrt(3.0)

    _LOG_NORMALISER = Gaussian._LOG_NORMALISER - 2.0 * math.log(2.0)

    def entropy(self) -> Tensor:
        """The Gaussian's and the mean of log(1 - tanh(u)^2), summed up over a fine grid: (...)."""
        grid = torch.linspace(-7.0, 7.0, 225).to(self.mean)
        weights = (-0.5 * grid.square()).softmax(-1)
        latent = self.mean.unsqueeze(-1) + self.std.unsqueeze(-1) * grid
        return super().entropy() + total((log_tanh_derivative(latent) * weights).sum(-1))

    def _energy(self, latent: Tensor, standardised: Tensor) -> Tensor:
        energy = super()._energy(latent, standardised)
        return torch.add(energy, _quarter_log_tanh_derivative(latent), alpha=4.0)


class OneHotCategorical:
    """A choice among n, as a one-hot vector; sampled by straight-through Gumbel-softmax.

    Args:
        parameters: (..., n) unnormalised log-probabilities.
    """

    def __init__(self, parameters: Tensor):
        self.log_probs = parameters.log_softmax(-1)

    def rsample(self, rng: Rng = GLOBAL_RNG) -> Tensor:
        """One-hot forwards, the Gumbel-softmax's gradient backwards (Jang et al. 2017)."""
        exponential = -(-rng.uniform_like(self.log_probs)).log1p()
        tiny = torch.finfo(exponential.dtype).tiny
        relaxed = (self.log_probs - exponential.clamp_min(tiny).log()).softmax(-1)
        one_hot = F.one_hot(relaxed.argmax(-1), relaxed.shape[-1]).to(relaxed.dtype)
        return one_hot + relaxed - relaxed.detach()

    def log_prob(self, latent: Tensor) -> Tensor:
        """Log-probability of the chosen class: (..., n) one-hot -> (...)."""
        return (latent * self.log_probs).sum(-1)

    def rsample_and_log_prob(self, rng: Rng = GLOBAL_RNG) -> tuple[Tensor, Tensor]:
        """A sample as of `rsample`, and its `log_prob`."""
        latent = self.rsample(rng)
        return latent, self.log_prob(latent)

    def map(self, change: Callable[[Tensor], Tensor]) -> Self:
        """The same with another view of the log-probabilities."""
        changed = object.__new__(type(self))
        changed.log_probs = change(self.log_probs)
        return changed

    def entropy(self) -> Tensor:
        """Of the choice: (...)."""
        return -(self.log_probs.exp() * self.log_probs).sum(-1)

    def exact_kl_divergence(self, other: Self) -> Tensor:
        """Of two choices among the same: (...)."""
        return (self.log_probs.exp() * (self.log_probs - other.log_probs)).sum(-1)

    def randomness(self, actions: Tensor) -> Tensor:
        """Entropy of the mixture of K choices in units of the greatest, (..., components)."""
        options = self.log_probs.shape[-1]
        if options == 1:  # Nothing to choose.
            return self.log_probs[..., 0, :0, 0]
        probabilities = self.log_probs.exp().mean(-3)
        return torch.special.entr(probabilities).sum(-1) / math.log(options)

    def mode(self) -> Tensor:
        """The likeliest class as a one-hot vector."""
        n = self.log_probs.shape[-1]
        return F.one_hot(self.log_probs.argmax(-1), n).to(self.log_probs.dtype)


def log_tanh_derivative(latent: Tensor) -> Tensor:
    """`log(1 - tanh(u)^2)` with no epsilon, for every u."""
    return 2.0 * math.log(2.0) + 4.0 * _quarter_log_tanh_derivative(latent)


def _quarter_log_tanh_derivative(latent: Tensor) -> Tensor:
    """A quarter of it but for the constant: few calls for what every update computes often."""
    # With beta -2 this is -softplus(-2u) / 2.
    return torch.sub(F.softplus(latent, beta=-2.0), latent, alpha=0.5)


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
        self.uniform_weight = uniform_weight
        self._groups = group(self.components)
        self._parts: list[ComponentDistribution] = [
            _DISTRIBUTIONS[g.component.kind](g.parameters_in(parameters)) for g in self._groups
        ]

    def unsqueeze(self, dim: int) -> ProductDistribution:
        """The same with another axis of length 1 among the leading ones, to broadcast along."""
        # The parts have an axis of components besides.
        part_dim = dim - 1 if dim < 0 else dim
        return self._map(lambda tensor: tensor.unsqueeze(part_dim), self.uniform_weight)

    def expand_rows(self, rows: int) -> ProductDistribution:
        """The same for each of `rows` rows, where there is one: (..., 1, n) -> (..., rows, n)."""
        return self._map(
            lambda tensor: tensor.expand(*tensor.shape[:-3], rows, -1, -1), self.uniform_weight
        )

    def detach(self, uniform_weight: float) -> ProductDistribution:
        """The same without a gradient for the parameters, mixed with `uniform_weight`."""
        return self._map(Tensor.detach, uniform_weight)

    def _map(
        self, change: Callable[[Tensor], Tensor], uniform_weight: float
    ) -> ProductDistribution:
        """Changes the parts, whose tensors are (..., components, size)."""
        changed = object.__new__(ProductDistribution)
        changed.components, changed._groups = self.components, self._groups
        changed.uniform_weight = uniform_weight
        changed._parts = [part.map(change) for part in self._parts]
        return changed

    def rsample(self, rng: Rng = GLOBAL_RNG) -> Tensor:
        """Latent sample that gradients flow through, (..., action size)."""
        return join([part.rsample(rng).flatten(-2) for part in self._parts])

    def rsample_and_log_prob(self, rng: Rng = GLOBAL_RNG) -> tuple[Tensor, Tensor]:
        """A sample as of `rsample`, and its `log_prob`, cheaper than one after the other."""
        latents, log_probs = [], []
        for part, g in zip(self._parts, self._groups, strict=True):
            latent, log_prob = part.rsample_and_log_prob(rng)
            latents.append(latent.flatten(-2))
            log_probs.append(self._mixed(log_prob, g.component, latent))
        return join(latents), join(log_probs)

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

    def kl_divergence(
        self, prior: ProductDistribution, latent: Tensor, log_prob: Tensor | None = None
    ) -> Tensor:
        """KL(self || prior) of each component, (..., components).

        Exact for discrete components; for continuous ones the usual estimate
        `log rho(a) - log P(a)` at `latent`, a sample of `self`, whose gradient flows through the
        sample.

        Args:
            prior: of the same components.
            latent: a sample, (..., action size).
            log_prob: this one's of the sample, (..., components), if it is known already.
        """
        terms, first = [], 0
        for own, other, g in zip(self._parts, prior._parts, self._groups, strict=True):
            own_places = slice(first, first := first + g.count)
            if isinstance(own, OneHotCategorical) and isinstance(other, OneHotCategorical):
                log_prior = prior._mixed(other.log_probs, g.component)
                terms.append((own.log_probs.exp() * (own.log_probs - log_prior)).sum(-1))
            else:
                part = g.unflatten(latent)
                log_prior = prior._mixed(other.log_prob(part), g.component, part)
                known = own.log_prob(part) if log_prob is None else log_prob[..., own_places]
                terms.append(known - log_prior)
        return join(terms)

    def entropy(self) -> Tensor:
        """Entropy of each component, in nats, (..., components); without the uniform mixture."""
        return join([part.entropy() for part in self._parts])

    def half_mean_squares(self) -> Tensor:
        """A penalty on Gaussian components: the mean over all of their dimensions, (...).

        Half of the squares of latent means and of the logarithms of standard deviations.
        """
        gaussians = [part for part in self._parts if isinstance(part, Gaussian)]
        return join([part.half_squares().flatten(-2) for part in gaussians]).mean(-1)

    def sampled_entropy(self, log_prob: Tensor) -> Tensor:
        """Entropy of each component, exact for choices, (..., components).

        Args:
            log_prob: of a sample, (..., components); for continuous components it is the estimate.
        """
        terms, first = [], 0
        for part, g in zip(self._parts, self._groups, strict=True):
            places = slice(first, first := first + g.count)
            is_choice = isinstance(part, OneHotCategorical)
            terms.append(part.entropy() if is_choice else -log_prob[..., places])
        return join(terms)

    def exact_kl_divergence(self, other: ProductDistribution) -> Tensor:
        """KL(self || other) of each component, without the uniform mixtures, (..., components).

        Args:
            other: of the same components.
        """
        pairs = zip(self._parts, other._parts, strict=True)
        return join([own.exact_kl_divergence(theirs) for own, theirs in pairs])

    def randomness(self, actions: Tensor) -> Tensor:
        """How random the mixture of K distributions is, (..., n) for n dimensions of the action.

        The unit is what the broadest distribution has: of a choice the entropy, of a continuous
        dimension the standard deviation, which is that of K samples. A choice counts as one
        dimension, and one without alternatives not at all.

        Args:
            actions: a sample of each of the K distributions, squashed, (..., K, action size).
        """
        return join(
            [
                part.randomness(g.unflatten(actions))
                for part, g in zip(self._parts, self._groups, strict=True)
            ]
        )

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

    def class_probs(self) -> Tensor:
        """Each option's probability at its place in the flat action, (..., action size).

        0 at the places of continuous components; without the uniform mixture.
        """
        parts = []
        for part in self._parts:
            if isinstance(part, OneHotCategorical):
                parts.append(part.log_probs.exp().flatten(-2))
            else:
                parts.append(torch.zeros_like(part.mode().flatten(-2)))
        return join(parts)

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


class ChoiceMixture:
    """A mixture of N product distributions of choices; in it the components are not independent.

    It has a product's methods; where that gives a number for each component, this gives one for
    all of them, (..., 1).

    Args:
        components: discrete ones, in the order of the flat action.
        parameters: (..., N * (1 + num_parameters(components))); of each product the logarithm of
            its weight, not normalised, then its parameters.
        choices: all joint choices of several components, of :func:`all_actions`, if they are few.
    """

    def __init__(
        self,
        components: Sequence[ActionComponent],
        parameters: Tensor,
        choices: Tensor | None = None,
    ):
        self._choices = choices
        rows = parameters.unflatten(-1, (-1, 1 + num_parameters(components)))
        self._log_weights = rows[..., 0].log_softmax(-1)
        self._products = ProductDistribution(components, rows[..., 1:])

    def rsample(self, rng: Rng = GLOBAL_RNG) -> Tensor:
        """A sample, (..., action size); no gradient flows through it."""
        chosen = OneHotCategorical(self._log_weights).rsample(rng)
        return (chosen.unsqueeze(-1) * self._products.rsample(rng)).sum(-2).detach().round()

    def rsample_and_log_prob(self, rng: Rng = GLOBAL_RNG) -> tuple[Tensor, Tensor]:
        """A sample as of `rsample`, and its `log_prob`."""
        latent = self.rsample(rng)
        return latent, self.log_prob(latent)

    def log_prob(self, latent: Tensor) -> Tensor:
        """Log-probability of a joint choice: (..., action size) -> (..., 1)."""
        log_probs = self._products.log_prob(latent.unsqueeze(-2)).sum(-1)
        return (self._log_weights + log_probs).logsumexp(-1, keepdim=True)

    def class_log_probs(self) -> Tensor:
        """Log-probabilities of all joint choices, (..., their number).

        Raises:
            TypeError: if they are too many to be listed.
        """
        if not self.is_counted:
            raise TypeError(
                f"{self._products.components} have too many joint choices for their entropy or "
                "divergence to be computed; allowed: log_prob, mode and samples."
            )
        log_probs = self._products.class_log_probs(self._choices)
        return (self._log_weights.unsqueeze(-1) + log_probs).logsumexp(-2)

    def mode(self) -> Tensor:
        """The likeliest joint choice, (..., action size).

        Of too many to be listed, the likeliest of N + 1: what each product's mode is, and each
        component's likeliest choice by itself.
        """
        if self.is_counted:
            log_probs = self.class_log_probs()
            best = log_probs.argmax(-1)
            if self._choices is not None:
                return self._choices[best]
            return F.one_hot(best, log_probs.shape[-1]).to(log_probs.dtype)
        candidates = torch.cat([self._products.mode(), self._modes_by_component()], dim=-2)
        log_probs = self._products.unsqueeze(-2).log_prob(candidates.unsqueeze(-3)).sum(-1)
        log_probs = (self._log_weights.unsqueeze(-1) + log_probs).logsumexp(-2)
        best = log_probs.argmax(-1)[..., None, None].expand_as(candidates[..., :1, :])
        return candidates.gather(-2, best).squeeze(-2)

    @property
    def is_counted(self) -> bool:
        """Whether all joint choices are listed."""
        return self._choices is not None or len(self._products.components) == 1

    def _modes_by_component(self) -> Tensor:
        """(..., 1, action size)."""
        weights = self._log_weights[..., None, None]
        modes = []
        for part in self._products._parts:
            assert isinstance(part, OneHotCategorical)
            log_probs = (weights + part.log_probs).logsumexp(-3, keepdim=True)
            modes.append(OneHotCategorical(log_probs).mode().flatten(-2))
        return join(modes)

    def entropy(self) -> Tensor:
        """Entropy of the joint choice, in nats, (..., 1); a TypeError as `class_log_probs`."""
        log_probs = self.class_log_probs()
        return -(log_probs.exp() * log_probs).sum(-1, keepdim=True)

    def exact_kl_divergence(self, other: ChoiceMixture) -> Tensor:
        """KL(self || other), in nats, (..., 1); a TypeError as `class_log_probs`."""
        log_probs = self.class_log_probs()
        return (log_probs.exp() * (log_probs - other.class_log_probs())).sum(-1, keepdim=True)
