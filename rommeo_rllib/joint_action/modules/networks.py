"""The networks of all algorithms here: plain stacks of layers.

Parameters may have a leading axis, one entry a policy: then a network computes for all of these
policies at once, its inputs having the same leading axis (see `joint_action.stacking`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rommeo_rllib.naming import shown

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "celu": nn.CELU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "leakyrelu": nn.LeakyReLU,
    "linear": nn.Identity,
    "mish": nn.Mish,
    "relu": partial(nn.ReLU, inplace=True),
    "selu": nn.SELU,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "swish": nn.SiLU,
    "tanh": nn.Tanh,
}
"""By RLlib's and torch's names, in small letters and without underscores."""


def activation_named(name: str | type[nn.Module] | None) -> Callable[[], nn.Module]:
    """Makes the activation that RLlib's `fcnet_activation` names.

    Args:
        name: a key of `ACTIVATIONS` in any spelling ("swish", "ReLU", "leaky_relu"), torch's class,
            or None, which is "linear".

    Raises:
        ValueError: if there is no such activation.
    """
    said = "linear" if name is None else getattr(name, "__name__", name)
    key = str(said).lower().replace("_", "")
    if key not in ACTIVATIONS:
        raise ValueError(
            f"`fcnet_activation` is {shown(name)}; allowed: {', '.join(sorted(ACTIVATIONS))}."
        )
    return ACTIVATIONS[key]


class Dense(nn.Module):
    """A linear layer, initialised as torch's own.

    Its weight is (inputs, outputs) or, stacked, (policies, inputs, outputs), its bias one row of
    (1, outputs) or (policies, 1, outputs).
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        bound = 1.0 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(1, outputs).uniform_(-bound, bound))

    def forward(self, inputs: Tensor) -> Tensor:
        """(rows, inputs) or, stacked, (policies, rows, inputs) -> the same with outputs."""
        if self.weight.ndim == 2:
            return torch.addmm(self.bias, inputs, self.weight)
        return torch.baddbmm(self.bias, inputs, self.weight)


INITIALIZERS = tuple(
    f"{layers}_{part}_initializer"
    for layers in ("fcnet", "head_fcnet")
    for part in ("kernel", "bias")
)
"""Keys of the model config that name how first weights are drawn: of hidden layers, then of the
layer that puts out. Each may be followed by "_kwargs"."""


def initializer_of(model_config: Mapping[str, Any], key: str) -> Callable[[Tensor], Any] | None:
    """What draws first weights in place, by a function of `torch.nn.init` or its name, or None.

    Args:
        model_config: names it, and its keyword arguments.
        key: one of `INITIALIZERS`.

    Raises:
        ValueError: if there is no such function, or it does not take those arguments.
    """
    name, kwargs = model_config.get(key), model_config.get(f"{key}_kwargs")
    if name is None:
        if kwargs:
            raise ValueError(f"`{key}_kwargs` is {shown(kwargs)}; allowed with `{key}` only.")
        return None
    found = getattr(nn.init, name.lower(), None) if isinstance(name, str) else name
    if not callable(found) or (isinstance(name, str) and not name.endswith("_")):
        raise ValueError(
            f"`{key}` is {shown(name)}; allowed: a function of torch.nn.init that works in place, "
            'or its name, such as "xavier_uniform_".'
        )
    draw = partial(found, **(kwargs or {}))
    try:
        with torch.random.fork_rng(devices=[]):
            draw(torch.empty((2, 2) if "kernel" in key else 2))
    except Exception as error:
        raise ValueError(
            f"`{key}` is {shown(name)} with {shown(kwargs or {})}, which fails: {error}."
        ) from error
    return draw


def initialise(network: Network, model_config: Mapping[str, Any]) -> None:
    """Draws the first weights anew where `model_config` says how."""
    *hidden, last = [layer for layer in network if isinstance(layer, Dense)]
    for key in INITIALIZERS:
        draw = initializer_of(model_config, key)
        if draw is None:
            continue
        for layer in [last] if key.startswith("head") else hidden:
            # The functions expect torch's own form: outputs first, and biases of one axis.
            if "kernel" in key:
                drawn = torch.empty(layer.weight.shape[::-1])
                draw(drawn)
                layer.weight.data.copy_(drawn.mT)
            else:
                draw(layer.bias.data[0])


class LayerNorm(nn.Module):
    """Layer normalisation with a learned scale and shift, rows of (1, width), stacked or not."""

    def __init__(self, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, width))
        self.bias = nn.Parameter(torch.zeros(1, width))

    def forward(self, inputs: Tensor) -> Tensor:
        """(rows, width) or, stacked, (policies, rows, width), the shape kept."""
        return torch.addcmul(self.bias, F.layer_norm(inputs, inputs.shape[-1:]), self.weight)


class Network(nn.Sequential):
    """A stack of layers that takes any number of axes before the last one."""

    def forward(self, inputs: Tensor) -> Tensor:
        """(..., inputs) or, stacked, (policies, ..., inputs) -> the same with outputs."""
        stacked = self[-1].weight.ndim == 3
        rows = inputs.flatten(1 if stacked else 0, -2) if inputs.ndim > 2 + stacked else inputs
        outputs = super().forward(rows)
        return outputs if rows is inputs else outputs.unflatten(-2, inputs.shape[stacked:-1])


STACKABLE = (Dense, LayerNorm)
"""Layers whose parameters may have a leading axis."""


def mlp(
    inputs: int,
    hiddens: Sequence[int],
    outputs: int,
    activation: str | type[nn.Module] | None,
    *,
    layer_norm: bool = False,
) -> Network:
    """A multi-layer perceptron.

    Args:
        inputs: length of the input vector.
        hiddens: widths of the hidden layers.
        outputs: length of the output vector.
        activation: see :func:`activation_named`.
        layer_norm: normalise each hidden layer before its activation.

    Raises:
        ValueError: if the activation is unknown.
    """
    make_activation = activation_named(activation)
    layers: list[nn.Module] = []
    for width_in, width_out in pairwise([inputs, *hiddens]):
        layers.append(Dense(width_in, width_out))
        if layer_norm:
            layers.append(LayerNorm(width_out))
        layers.append(make_activation())
    return Network(*layers, Dense(hiddens[-1] if hiddens else inputs, outputs))
