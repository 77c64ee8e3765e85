"""Expectations over many independent choices, at the cost of the sum of their options.

Counted one by one, joint choices are as many as the *product* of the numbers of options. Here one
joint action is drawn, and each choice in turn runs through its options while all others stay as
they were drawn: "local expectation gradients" (Titsias and Lazaro-Gredilla, 2015), the
counterfactuals of COMA (Foerster et al., 2018).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from rommeo_rllib.components import ActionComponent, action_size


def neighbours(
    components: Sequence[ActionComponent], class_probs: Tensor, sample: Tensor
) -> tuple[Tensor, Tensor]:
    """A joint action and all that differ from it in one choice, N of them for each row.

    `(weights * f(latent)).sum(-1)` has the mean E[f], and its gradient has the mean of the gradient
    of E[f], whatever f is: it flows through `weights` for choices, through `latent` for continuous
    components. N is 1 more than the number of options that were not taken.

    Args:
        components: of the joint action, with at least one choice among them.
        class_probs: of :meth:`ProductDistribution.class_probs`, (..., action size).
        sample: latent, drawn from that distribution, (..., action size).

    Returns:
        latent: (..., N, action size), the sample first. No gradient flows back to its choices.
        weights: (..., N), which sum to 1. Their gradient is that of the sum of the choices' own
            expectations, their value that of the mean.
    """
    around = _around(tuple(components), sample.device)
    fixed = sample.detach()
    latent = near = fixed[..., around.order]
    if around.are_choices is not None:
        latent = sample.where(~around.are_choices, fixed)[..., around.order]
    constant = class_probs.detach()
    # Of the same value, with the gradient of a sum.
    summed = constant + around.choices * (class_probs - constant)
    return latent, ((near * around.counted) @ summed.unsqueeze(-1)).squeeze(-1)


def with_neighbours(components: Sequence[ActionComponent], samples: Tensor) -> Tensor:
    """Those joint actions alone: (..., samples, action size) -> (..., samples * N, action size)."""
    return samples[..., _around(tuple(components), samples.device).order].flatten(-3, -2)


def log_density_of_neighbours(
    components: Sequence[ActionComponent], log_probs: Tensor, mask: Tensor, samples: int
) -> Tensor:
    """How densely :func:`with_neighbours` of samples covers joint actions, (..., samples * N).

    A joint action comes from any sample that agrees with it in all but one choice: with the
    probability of its other components, summed over the choices. A sample itself is a neighbour
    for each of the choices.

    Args:
        components: of the joint action, with at least one choice among them.
        log_probs: of the distribution that samples were drawn from, at all neighbours,
            (..., samples * N, components).
        mask: which components count, of a shape that broadcasts to that; others have one option.
        samples: their number.
    """
    choices = [i for i, component in enumerate(components) if component.kind == "discrete"]
    uniform = log_probs.new_tensor([components[i].log_uniform for i in choices])
    own = torch.where(mask[..., choices] > 0.0, log_probs[..., choices], uniform)
    total = (log_probs * mask).sum(-1, keepdim=True)
    density = (total - own).logsumexp(-1).unflatten(-1, (samples, -1))
    once = torch.zeros_like(density[..., :1, :])
    once[..., 0] = math.log(len(choices))
    return (density - once).flatten(-2)


class _Around(NamedTuple):
    """How to make all neighbours of a flat action.

    Attributes:
        order: for each, the places that its own entries come from, (N, action size).
        counted: the places of the choices that they stand for, divided by the number of all
            choices, (N, action size).
        are_choices: which places are choices, (action size,); None if all are.
        choices: their number.
    """

    order: Tensor
    counted: Tensor
    are_choices: Tensor | None
    choices: int


@lru_cache
def _around(components: tuple[ActionComponent, ...], device: torch.device) -> _Around:
    size = action_size(components)
    places = [torch.arange(size)]
    counted = [torch.zeros(size)]
    choices = start = 0
    for component in components:
        own = slice(start, start := start + component.size)
        if component.kind != "discrete":
            continue
        choices += 1
        counted[0][own] = 1.0
        for shift in range(1, component.size):
            places.append(places[0].clone())
            places[-1][own] = places[0][own].roll(shift)
            counted.append(torch.zeros(size))
            counted[-1][own] = 1.0
    are_choices = counted[0].bool()
    return _Around(
        torch.stack(places).to(device),
        torch.stack(counted).to(device) / choices,
        None if are_choices.all() else are_choices.to(device),
        choices,
    )
