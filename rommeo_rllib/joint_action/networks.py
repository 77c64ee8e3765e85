"""The networks of all algorithms here: plain stacks of layers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "elu": nn.ELU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
}


def mlp(
    inputs: int,
    hiddens: Sequence[int],
    outputs: int,
    activation: str,
    *,
    layer_norm: bool = False,
) -> nn.Sequential:
    """A multi-layer perceptron, with torch's own initialisation.

    Args:
        inputs: length of the input vector.
        hiddens: widths of the hidden layers.
        outputs: length of the output vector.
        activation: a key of `ACTIVATIONS`.
        layer_norm: normalise each hidden layer before its activation.

    Raises:
        ValueError: if the activation is unknown.
    """
    if activation not in ACTIVATIONS:
        raise ValueError(
            f"`fcnet_activation` is {activation!r}; allowed: {', '.join(sorted(ACTIVATIONS))}."
        )
    layers: list[nn.Module] = []
    for width_in, width_out in pairwise([inputs, *hiddens]):
        layers.append(nn.Linear(width_in, width_out))
        if layer_norm:
            layers.append(nn.LayerNorm(width_out))
        layers.append(ACTIVATIONS[activation]())
    last_width = hiddens[-1] if hiddens else inputs
    return nn.Sequential(*layers, nn.Linear(last_width, outputs))
