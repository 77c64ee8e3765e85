"""Convolutions for images, RLlib's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import gymnasium as gym
import numpy as np
from ray.rllib.core.columns import Columns
from ray.rllib.core.models.base import ENCODER_OUT
from ray.rllib.core.models.catalog import Catalog
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from torch import Tensor, nn


def is_image(space: gym.Space, model_config: Mapping[str, Any]) -> bool:
    """Whether observations are to pass convolutions.

    These are Boxes of (height, width, channels), if they are of uint8 or `conv_filters` are given.
    """
    is_box = isinstance(space, gym.spaces.Box) and len(space.shape) == 3
    return is_box and (space.dtype == np.uint8 or bool(model_config.get("conv_filters")))


class ImageEncoder(nn.Module):
    """RLlib's convolutional encoder, from flat images to features.

    Args:
        space: the images' Box, (height, width, channels).
        model_config: of it, `conv_filters`, `conv_activation` and the other keys of RLlib's
            `DefaultModelConfig` that concern convolutions.

    Raises:
        ValueError: if there are no `conv_filters` and RLlib has none for images of this size.
    """

    def __init__(self, space: gym.spaces.Box, model_config: Mapping[str, Any]):
        super().__init__()
        settings = asdict(DefaultModelConfig()) | dict(model_config) | {"use_lstm": False}
        try:
            config = Catalog._get_encoder_config(space, settings)
        except ValueError as error:
            raise ValueError(
                f"RLlib has no convolutions for images of the size {space.shape}; give some, for "
                'example .rl_module(model_config={"conv_filters": [[16, 4, 2], [32, 4, 2]]}).'
            ) from error
        self.shape = space.shape
        self.convolutions = config.build(framework="torch")

    def forward(self, flat: Tensor) -> Tensor:
        """(rows, height * width * channels) -> (rows, features)."""
        images = flat.unflatten(-1, self.shape)
        return self.convolutions({Columns.OBS: images})[ENCODER_OUT]
