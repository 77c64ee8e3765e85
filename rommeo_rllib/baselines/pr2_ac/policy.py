"""PR2-AC's policy: mu(s), the opponents' conditional response rho(o | s, a), and Q(s, a, o)."""

from __future__ import annotations

import torch
from torch import Tensor

from rommeo_rllib.components import num_parameters
from rommeo_rllib.distributions import ProductDistribution
from rommeo_rllib.joint_action.deterministic import DeterministicPolicy


class PR2Policy(DeterministicPolicy):
    """Acts on the state alone; how the others would answer is reasoned about in training only."""

    def setup(self) -> None:
        """Builds the networks; on env runners only the policy."""
        super().setup()
        if not self.inference_only:
            self.opponent_model_network = self.build_network(
                self.observation_size + self.own_action_size,
                num_parameters(self.opponent_components),
            )

    def get_non_inference_attributes(self) -> list[str]:
        """What an env runner does not need."""
        return [*super().get_non_inference_attributes(), "opponent_model_network"]

    def opponent_model(self, observations: Tensor, own_actions: Tensor) -> ProductDistribution:
        """How the opponents would answer, rho(o | s, a), independent opponents.

        Args:
            observations: encoded, (B, observation size).
            own_actions: (B, own action size).
        """
        parameters = self.opponent_model_network(torch.cat([observations, own_actions], dim=-1))
        return ProductDistribution(self.opponent_components, parameters)
