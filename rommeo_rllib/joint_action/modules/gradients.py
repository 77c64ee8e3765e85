"""Helpers around the backward pass: freezing, clipping, and what an optimizer holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def frozen(*networks: nn.Module) -> Iterator[None]:
    """Within it gradients flow through the networks to their inputs, not to their parameters."""
    parameters = [p for network in networks for p in network.parameters() if p.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


@contextmanager
def evaluated(network: nn.Module) -> Iterator[None]:
    """Within it the network computes as in evaluation: its state (running means) stays as it is."""
    training = [module for module in network.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


def scale_gradient(tensor: Tensor, factor: float) -> Tensor:
    """The same numbers; what flows back through them is multiplied by `factor`."""
    if factor == 1.0 or not tensor.requires_grad:
        return tensor
    scaled = tensor.view_as(tensor)  # What flows back to the tensor on other ways stays as it is.
    scaled.register_hook(lambda gradient: factor * gradient)
    return scaled


def clipped(
    gradients: Sequence[Tensor], limit: float, by: str, *, stacked: bool = False
) -> list[Tensor]:
    """Gradients, of any shapes and layouts in memory, clipped as RLlib's `grad_clip_by` says.

    Args:
        gradients: of one network; stacked, with an axis of policies, clipped one by one. They stay
            as they are: autograd may give one tensor to several parameters.
        limit: the greatest magnitude.
        by: "value", "norm" (of each tensor) or "global_norm" (of all together).
        stacked: whether there is an axis of policies.
    """
    if by == "value":
        return [gradient.clamp(-limit, limit) for gradient in gradients]
    rows = [g.reshape(len(g), -1) if stacked else g.reshape(1, -1) for g in gradients]
    norms = torch.stack([row.norm(dim=1) for row in rows])
    if by == "global_norm":
        norms = norms.norm(dim=0, keepdim=True).expand(len(rows), -1)
    factors = (limit / (norms + 1e-6)).clamp(max=1.0).unsqueeze(-1)
    parts = zip(rows, factors, gradients, strict=True)
    return [(row * factor).reshape(gradient.shape) for row, factor, gradient in parts]


def parameters_of(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """All that it trains, in order."""
    return [p for group in optimizer.param_groups for p in group["params"]]


def tensors_of(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """All parameters and moments, each of which has the axis of policies."""
    moments = [m for state in optimizer.state.values() for m in state.values() if m.ndim]
    return [*parameters_of(optimizer), *moments]
