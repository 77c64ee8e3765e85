"""Convolutions for images, RLlib's own, wherever in an observation images are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import gymnasium as gym
import numpy as np
import torch
import tree
from ray.rllib.core.columns import Columns
from ray.rllib.core.models.base import ENCODER_OUT
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from ray.rllib.models.utils import get_filter_config
from torch import Tensor, nn

from rommeo_rllib.joint_action.spaces.encoding import observation_size
from rommeo_rllib.joint_action.spaces.packing import leaf_spaces, nest
from rommeo_rllib.rllib_boundary.running import image_encoder

_EXAMPLE = '.rl_module(model_config={"conv_filters": [[16, 4, 2], [32, 4, 2]]})'


def has_images(space: gym.Space, model_config: Mapping[str, Any]) -> bool:
    """Whether anything in an observation of `space` is to pass convolutions.

    These are Boxes of (height, width, channels), if they are of uint8, if `conv_filters` are given,
    or if RLlib has filters of its own for their size. They may stand in a Dict or Tuple.
    """
    return any(_is_image(leaf, model_config) for leaf in leaf_spaces(space))


def _is_image(leaf: gym.Space, model_config: Mapping[str, Any]) -> bool:
    if not isinstance(leaf, gym.spaces.Box) or len(leaf.shape) != 3:
        return False
    return leaf.dtype == np.uint8 or bool(model_config.get("conv_filters")) or _has_filters(leaf)


def _has_filters(leaf: gym.spaces.Box) -> bool:
    try:
        return bool(get_filter_config(leaf.shape))
    except ValueError:
        return False


class ImageEncoder(nn.Module):
    """RLlib's convolutions for each image in an observation; all else goes through as it is.

    Args:
        space: of the observation.
        model_config: of it, `conv_filters`, `conv_activation` and the other keys of RLlib's
            `DefaultModelConfig` that concern convolutions. All images share these settings; each
            has weights of its own.

    Raises:
        ValueError: if there are no `conv_filters` and RLlib has none for an image of this size, or
            they do not fit it; it names the image.
    """

    def __init__(self, space: gym.Space, model_config: Mapping[str, Any]):
        super().__init__()
        self._leaves = leaf_spaces(space)
        self._widths = [observation_size(leaf, "An observation") for leaf in self._leaves]
        paths = tree.flatten_with_path(nest(space, iter(range(len(self._leaves)))))
        self.convolutions = nn.ModuleDict(
            {
                str(number): _convolutions(self._leaves[number], path, model_config)
                for path, number in paths
                if _is_image(self._leaves[number], model_config)
            }
        )

    def forward(self, flat: Tensor) -> Tensor:
        """(rows, observation size) -> (rows, features of images and all else)."""
        if len(self._widths) == 1:
            return self._features(0, flat)
        parts = enumerate(flat.split(self._widths, dim=-1))
        return torch.cat([self._features(number, part) for number, part in parts], dim=-1)

    def _features(self, number: int, part: Tensor) -> Tensor:
        name = str(number)
        if name not in self.convolutions:
            return part
        images = part.unflatten(-1, self._leaves[number].shape)
        return self.convolutions[name]({Columns.OBS: images})[ENCODER_OUT]


def _convolutions(
    leaf: gym.spaces.Box, path: tuple[Any, ...], model_config: Mapping[str, Any]
) -> nn.Module:
    where = "".join(f"[{key!r}]" for key in path)
    image = f"The image observation{where} has the size {leaf.shape}"
    filters = model_config.get("conv_filters")
    if not filters and not _has_filters(leaf):
        raise ValueError(
            f"{image}, for which RLlib has no convolutions; give some, for example {_EXAMPLE}."
        )
    settings = asdict(DefaultModelConfig()) | dict(model_config) | {"use_lstm": False}
    try:
        encoder = image_encoder(leaf, settings)
        with torch.no_grad():
            encoder({Columns.OBS: torch.zeros(1, *leaf.shape)})
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(
            f"{image}, for which `conv_filters` {filters!r} do not work ({error}); allowed: "
            "[channels, kernel, stride] for each layer, the kernels within the image."
        ) from error
    return encoder
