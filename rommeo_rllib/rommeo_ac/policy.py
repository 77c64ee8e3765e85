"""ROMMEO-AC's policy: Q-function, conditional policy, opponent model and opponent prior."""

from __future__ import annotations

import torch
from torch import Tensor

from rommeo_rllib.components import all_actions, num_parameters, squash
from rommeo_rllib.distributions import ProductDistribution
from rommeo_rllib.joint_action.modules.critic import MAX_ENUMERATED_ACTIONS
from rommeo_rllib.joint_action.modules.networks import Network
from rommeo_rllib.joint_action.stochastic import StochasticPolicy
from rommeo_rllib.rng import Rng


class ROMMEOPolicy(StochasticPolicy):
    """One agent's (or several like agents') networks.

    To act, it samples what the opponents will do from its opponent model, and answers that with its
    conditional policy (Algorithm 2). Greedy, it takes the mode of both.

    Attributes:
        all_opponent_actions: all joint actions of the opponents, (N, their action size), or None
            where they are continuous or too many.
    """

    LEARNS_OPPONENT_MODEL = True
    """Whether the opponent model leans towards the optimum; else it is the prior itself."""

    all_opponent_actions: Tensor | None

    def setup(self) -> None:
        """Builds the networks; on env runners only those that act."""
        super().setup()
        own = num_parameters(self.own_components)
        opponents = num_parameters(self.opponent_components)
        self.policy_network = self.build_network(
            self.observation_size + self.opponent_action_size, own
        )
        self.opponent_model_network = self.build_network(self.observation_size, opponents)
        # Expectations over the opponents' actions are exact where these are few.
        self.register_buffer(
            "all_opponent_actions",
            all_actions(self.opponent_components, MAX_ENUMERATED_ACTIONS),
            persistent=False,
        )
        if self.inference_only:
            return
        if self.LEARNS_OPPONENT_MODEL:
            self.opponent_prior_network = self.build_network(self.observation_size, opponents)
        self.build_critic()
        self.build_alpha()

    def get_non_inference_attributes(self) -> list[str]:
        """What an env runner does not need."""
        prior = ["opponent_prior_network"] if self.LEARNS_OPPONENT_MODEL else []
        return [*super().get_non_inference_attributes(), *prior]

    @property
    def fitted_network(self) -> Network:
        """The network that is fitted to what the opponents really did."""
        if self.LEARNS_OPPONENT_MODEL:
            return self.opponent_prior_network
        return self.opponent_model_network

    def policy(self, observations: Tensor, opponent_actions: Tensor) -> ProductDistribution:
        """The conditional policy pi(a | s, o).

        Args:
            observations: encoded, (B, observation size).
            opponent_actions: (B, action size of all opponents).
        """
        parameters = self.policy_network(torch.cat([observations, opponent_actions], dim=-1))
        return ProductDistribution(self.own_components, parameters)

    def opponent_model(self, observations: Tensor) -> ProductDistribution:
        """The opponent model rho(o | s), independent opponents."""
        parameters = self.opponent_model_network(observations)
        return ProductDistribution(self.opponent_components, parameters)

    def opponent_prior(
        self, observations: Tensor, uniform_weight: float = 0.0
    ) -> ProductDistribution:
        """The opponent prior P(o | s), each component mixed with `uniform_weight` of uniform."""
        parameters = self.fitted_network(observations)
        return ProductDistribution(self.opponent_components, parameters, uniform_weight)

    def take(
        self, observations: Tensor, explore: bool, rng: Rng, opponent_mask: Tensor | None
    ) -> tuple[Tensor, ProductDistribution, Tensor]:
        """What the agent does, answering what it thinks the others will do."""
        opponent_model = self.opponent_model(observations)
        latent = opponent_model.rsample(rng) if explore else opponent_model.mode()
        opponents = squash(self.opponent_components, latent)
        if opponent_mask is not None:
            opponents = opponents * self.opponents.action_mask(opponent_mask)
        parameters = self.policy_network(torch.cat([observations, opponents], dim=-1))
        policy = ProductDistribution(self.own_components, parameters)
        latent = policy.rsample(rng) if explore else policy.mode()
        return squash(self.own_components, latent), policy, parameters
