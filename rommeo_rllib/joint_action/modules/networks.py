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

FIRST_WEIGHTS = frozenset(INITIALIZERS) | {f"{key}_kwargs" for key in INITIALIZERS}
"""All keys of the model config that concern first weights."""


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


class TargetScale(nn.Module):
    """Mean and standard deviation of what a Q-function is to be, by which its targets are scaled.

    They are running ones: of all targets at first, then of the latest few hundred batches.

    Attributes:
        statistics: (3,) or, stacked, (policies, 3): mean, variance, and the number of batches so
            far. Parameters, so that they are stored, stacked and handed on as those are.
    """

    LEAST_SHARE = 0.005
    """Of a batch in both statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.statistics = nn.Parameter(torch.zeros(3), requires_grad=False)

    @property
    def mean(self) -> Tensor:
        """() or (policies,)."""
        return self.statistics[..., 0]

    @property
    def std(self) -> Tensor:
        """The same; 1 while all targets have been equal."""
        return _std(self.statistics[..., 1])

    @torch.no_grad()
    def observe(self, sums: Tensor) -> tuple[Tensor, Tensor]:
        """Takes up a batch.

        Args:
            sums: number of targets, their sum and that of their squares, in double precision,
                (3,) or (policies, 3). Without any targets nothing changes.

        Returns:
            What scaled values have to be multiplied by, and what is added then, in order to stand
            for the same as before: () or (policies,) both.
        """
        before = self.statistics.double()
        mean, variance, batches = before.unbind(-1)
        rows, total, squares = sums.unbind(-1)
        batch_mean = total / rows.clamp_min(1.0)
        batch_variance = squares / rows.clamp_min(1.0) - batch_mean.square()
        # What rounding leaves of equal targets is no variance.
        is_real = batch_variance > 1e-12 * batch_mean.square()
        batch_variance = torch.where(is_real, batch_variance, torch.zeros_like(batch_variance))
        share = (1.0 / (batches + 1.0)).clamp_min(self.LEAST_SHARE)
        moved = batch_mean - mean
        now = torch.stack(
            [
                mean + share * moved,
                (1.0 - share) * (variance + share * moved.square()) + share * batch_variance,
                batches + 1.0,
            ],
            -1,
        )
        now = torch.where((rows > 0).unsqueeze(-1), now, before)
        self.statistics.copy_(now)
        std, new_std = _std(variance), _std(now[..., 1])
        # Before anything has varied there is nothing to keep.
        keeps = variance > 0
        factor = torch.where(keeps, std / new_std, torch.ones_like(std))
        shift = torch.where(keeps, (mean - now[..., 0]) / new_std, torch.zeros_like(std))
        return factor.float(), shift.float()


def _std(variance: Tensor) -> Tensor:
    return torch.where(variance > 0, variance, torch.ones_like(variance)).sqrt()


STACKABLE = (Dense, LayerNorm, TargetScale)
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
