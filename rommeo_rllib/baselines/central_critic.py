"""Critics that see what all agents observe: what MADDPG and MASAC have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import gymnasium as gym
import torch
from ray.rllib.core.columns import Columns
from torch import Tensor, nn

from rommeo_rllib.joint_action.modules.image_encoder import ImageEncoder, has_images
from rommeo_rllib.joint_action.modules.joint_q import JointQPolicy
from rommeo_rllib.joint_action.replay.columns import opponent_column
from rommeo_rllib.joint_action.spaces.encoding import observation_size
from rommeo_rllib.joint_action.spaces.opponent_mask import NEXT_OPPONENT_MASK, OPPONENT_MASK
from rommeo_rllib.joint_action.update import Update

_OPPONENTS = "opponent_encoder"


class CentralCriticPolicy(JointQPolicy):
    """A policy with Q(x, a, o), x being what all agents observe.

    Attributes:
        opponent_encoder: where opponents observe images, what the Q-function sees them through;
            else None.
    """

    TRAINS_CENTRALLY = True

    opponent_encoder: nn.Module | None

    def build_critic(self) -> None:
        """Builds the critic, and an encoder of what the opponents observe."""
        self.opponent_encoder = None
        seen = gym.spaces.Tuple(self.opponents.observation_spaces)
        size = observation_size(seen, "An opponent")
        if has_images(seen, self.model_config):
            self.opponent_encoder = ImageEncoder(seen, self.model_config)
            with torch.no_grad():
                size = self.opponent_encoder(torch.zeros(1, size)).shape[-1]
        self._opponents_observation_size = size
        super().build_critic()

    def get_non_inference_attributes(self) -> list[str]:
        """What an env runner does not need."""
        return [*super().get_non_inference_attributes(), "opponent_encoder"]

    @property
    def critic_observation_size(self) -> int:
        """The Q-function sees all agents' observations."""
        return self.observation_size + self._opponents_observation_size

    @property
    def critic_encoders(self) -> dict[str, nn.Module]:
        """The encoder of the opponents' observations besides."""
        encoder = self.opponent_encoder
        return super().critic_encoders | ({} if encoder is None else {_OPPONENTS: encoder})

    def joint_observations(
        self,
        observations: Tensor,
        others: Sequence[Tensor],
        opponent_mask: Tensor,
        *,
        target: bool = False,
    ) -> Tensor:
        """All agents' observations as the Q-function sees them; zeros for absent agents.

        Args:
            observations: the agent's own, encoded, (B, observation size).
            others: each opponent's, as they are stored, (B, ...) each.
            opponent_mask: (B, opponents).
            target: as the target Q-function sees them.

        Returns:
            (B, critic observation size).
        """
        encoded = self.opponents.encode(others)
        masked = [
            one * present.unsqueeze(-1)
            for one, present in zip(encoded, opponent_mask.unbind(-1), strict=True)
        ]
        if self.opponent_encoder is not None:
            encoder = self.critic.target_encoders[_OPPONENTS] if target else self.opponent_encoder
            masked = [encoder(torch.cat(masked, dim=-1))]
        return torch.cat([observations, *masked], dim=-1)


def seen_by_critic(update: Update, observations: Tensor, name: str) -> Tensor:
    """What all agents observe, of those who act, (B, critic observation size).

    Args:
        update: the batch.
        observations: the agent's own, encoded, (B, observation size).
        name: of their column, obs or new_obs; the target critic sees the latter.
    """
    is_next = name == Columns.NEXT_OBS
    mask = update.columns[NEXT_OPPONENT_MASK if is_next else OPPONENT_MASK]
    policy = cast(CentralCriticPolicy, update.policy)
    others = opponents_observed(update, name)
    return policy.joint_observations(observations, others, mask, target=is_next)


def opponents_observed(update: Update, name: str) -> list[Tensor]:
    """Each opponent's observations as they are stored; `name` is obs or new_obs."""
    numbers = range(len(update.policy.opponents.action_spaces))
    return [update.columns[opponent_column(name, number)] for number in numbers]
