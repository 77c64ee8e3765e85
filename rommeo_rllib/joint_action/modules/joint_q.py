"""Policies that learn a Q-function of the joint action."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from rommeo_rllib.joint_action.modules.critic import Critic
from rommeo_rllib.joint_action.modules.gradients import evaluated
from rommeo_rllib.joint_action.modules.policy import JointActionPolicy
from rommeo_rllib.joint_action.spaces.encoding import encode_observations

_ENCODER = "encoder"


class JointQPolicy(JointActionPolicy):
    """A policy with a critic.

    Subclasses call `build_critic()` in `setup()`.

    Attributes:
        critic: Q(s, a, o), of its own and its opponents' actions, and a target of it.
    """

    critic: Critic

    @property
    def critic_observation_size(self) -> int:
        """Length of what the critic sees of the state."""
        return self.observation_size

    @property
    def critic_opponent_size(self) -> int:
        """Length of what the critic sees of the opponents' actions."""
        return self.opponent_action_size

    @property
    def critic_encoders(self) -> dict[str, nn.Module]:
        """What the critic sees the state through, and trains, by name."""
        return {} if self.encoder is None else {_ENCODER: self.encoder}

    @property
    def target_encoder(self) -> nn.Module | None:
        """The encoder's target, where there is an encoder."""
        return None if self.encoder is None else self.critic.target_encoders[_ENCODER]

    def get_non_inference_attributes(self) -> list[str]:
        """What an env runner does not need."""
        return ["critic"]

    def build_critic(self) -> None:
        """Builds the critic."""
        self.critic = Critic(
            self.critic_observation_size,
            self.own_components,
            self.critic_opponent_size,
            self.build_network,
            self.critic_encoders,
            self.model_config,
            inference_only=self.inference_only,
        )

    def encode_for_target(self, observations: Any, encoded: Tensor | None = None) -> Tensor:
        """Observations as target networks see them, (B, observation size).

        Args:
            observations: as for `encode`.
            encoded: what `encode` said of them, if it has been asked.
        """
        target = self.target_encoder
        if target is None:
            return self.encode(observations) if encoded is None else encoded
        flat = encode_observations(self.observation_space, observations)
        with evaluated(target):
            return target(flat.flatten(0, -2)).unflatten(0, flat.shape[:-1])
