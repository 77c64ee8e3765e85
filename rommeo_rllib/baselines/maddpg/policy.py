"""The policies of DDPG's family. They differ in what their Q-function sees of the others."""

from __future__ import annotations

from collections.abc import Sequence

import gymnasium as gym
import torch
from torch import Tensor, nn

from rommeo_rllib.components import squash
from rommeo_rllib.joint_action.deterministic import DeterministicPolicy
from rommeo_rllib.joint_action.encoding import observation_size
from rommeo_rllib.joint_action.image_encoder import ImageEncoder, has_images

_OPPONENTS = "opponent_encoder"


class DDPGPolicy(DeterministicPolicy):
    """mu(s) and Q(s, a): the others are part of the environment."""

    @property
    def critic_opponent_size(self) -> int:
        """The Q-function sees nothing of the opponents' actions."""
        return 0


class MADDPGPolicy(DeterministicPolicy):
    """mu(s) and Q(x, a, o), x being what all agents observe.

    Attributes:
        opponent_encoder: where opponents observe images, what the Q-function sees them through;
            else None.
    """

    TRAINS_CENTRALLY = True

    opponent_encoder: nn.Module | None

    def build_critic(self) -> None:
        """Builds the Q-network, and encoders of what the opponents observe."""
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


class DDPGOMPolicy(DeterministicPolicy):
    """mu(s, o) and Q(s, a, o), with o from a model of what the opponents do at s."""

    def setup(self) -> None:
        """Builds the networks; the model acts, too."""
        super().setup()
        self.opponent_model_network = self.build_network(
            self.observation_size, self.opponent_action_size
        )

    @property
    def policy_input_size(self) -> int:
        """The policy sees the prediction beside its observation."""
        return self.observation_size + self.opponent_action_size

    def policy_inputs(self, observations: Tensor, opponent_mask: Tensor | None = None) -> Tensor:
        """Observations and predictions; the policy's loss does not train the model."""
        predicted = self.opponent_model(observations).detach()
        if opponent_mask is not None:
            predicted = predicted * self.opponents.action_mask(opponent_mask)
        return torch.cat([observations, predicted], dim=-1)

    def answer(self, observations: Tensor, opponents: Tensor, *, target: bool = False) -> Tensor:
        """The action, given the opponents' actions, (B, own action size).

        Args:
            observations: encoded, (B, observation size).
            opponents: (B, their action size).
            target: use the target network.
        """
        network = self.target_policy_network if target else self.policy_network
        return squash(self.own_components, network(torch.cat([observations, opponents], dim=-1)))

    def opponent_model(self, observations: Tensor) -> Tensor:
        """The opponents' predicted actions: (B, observation size) -> (B, their action size)."""
        return squash(self.opponent_components, self.opponent_model_network(observations))
