"""ROMMEO-AC's policy: Q-function, conditional policy, opponent model and opponent prior."""

from __future__ import annotations

import math

import gymnasium as gym
import torch
from ray.rllib.core.distribution.distribution import Distribution
from ray.rllib.core.distribution.torch.torch_distribution import TorchCategorical
from torch import Tensor, nn

from rommeo_rllib.components import action_size, all_actions, num_parameters, squash
from rommeo_rllib.distributions import ProductDistribution
from rommeo_rllib.joint_action.action_distribution import ActionDistribution
from rommeo_rllib.joint_action.critic import MAX_COUNTED_ACTIONS
from rommeo_rllib.joint_action.joint_q import JointQPolicy
from rommeo_rllib.joint_action.networks import Network
from rommeo_rllib.noise import GLOBAL_NOISE, Noise
from rommeo_rllib.schedules import Auto

INITIAL_ALPHA = "initial_alpha"
"""Key of the model config: alpha before the first update, where it is learned."""


class ROMMEOPolicy(JointQPolicy):
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
            all_actions(self.opponent_components, MAX_COUNTED_ACTIONS),
            persistent=False,
        )
        if self.inference_only:
            return
        if self.LEARNS_OPPONENT_MODEL:
            self.opponent_prior_network = self.build_network(self.observation_size, opponents)
        self.build_critic()
        # A parameter of the module, so that it is saved with it and equal on all learners.
        self.log_alpha = nn.Parameter(torch.tensor(math.log(self.model_config[INITIAL_ALPHA])))

    def get_non_inference_attributes(self) -> list[str]:
        """What an env runner does not need."""
        prior = ["opponent_prior_network"] if self.LEARNS_OPPONENT_MODEL else []
        return [*super().get_non_inference_attributes(), *prior, "log_alpha"]

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

    def target_entropy(self, alpha: Auto) -> float:
        """Nats that a learned alpha aims for: the sum over the action's dimensions.

        Without a choice of the user's, -1 a continuous dimension (Haarnoja et al. 2018b) and half
        of the greatest possible entropy for a discrete action.
        """
        if alpha.total_target_entropy is not None:
            return alpha.total_target_entropy
        per_dimension = alpha.target_entropy
        choices = [c.size for c in self.own_components if c.kind == "discrete"]
        dimensions = action_size([c for c in self.own_components if c.kind != "discrete"])
        if per_dimension is not None:
            return per_dimension * (dimensions + len(choices))
        return sum(0.5 * math.log(options) for options in choices) - dimensions

    def act(
        self,
        observations: Tensor,
        explore: bool,
        noise: Noise = GLOBAL_NOISE,
        opponent_mask: Tensor | None = None,
    ) -> Tensor:
        """What the agent does, answering what it thinks the others will do."""
        return self._act(observations, explore, noise, opponent_mask)[0]

    def decide(
        self,
        observations: Tensor,
        explore: bool,
        noise: Noise = GLOBAL_NOISE,
        opponent_mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Actions, and the conditional policy's parameters given what it thinks the others will do.

        See :meth:`JointActionPolicy.decide`.
        """
        if not self._acts_as_built:
            return super().decide(observations, explore, noise, opponent_mask)
        actions, policy, parameters = self._act(observations, explore, noise, opponent_mask)
        # RLlib's own class finds the greatest input, here the very numbers compared in `act`.
        return actions, policy.class_log_probs() if self._is_rllibs_choice else parameters

    def get_inference_action_dist_cls(self) -> type[Distribution]:
        """The conditional policy's distribution; RLlib's own for Discrete that begins at 0."""
        if not self._acts_as_built:
            return super().get_inference_action_dist_cls()
        if self._is_rllibs_choice:
            return TorchCategorical
        return ActionDistribution.get_partial_dist_cls(space=self.action_space)

    @property
    def _acts_as_built(self) -> bool:
        """Whether no subclass acts otherwise, which no distribution here would tell of."""
        return type(self).act is ROMMEOPolicy.act

    @property
    def _is_rllibs_choice(self) -> bool:
        return isinstance(self.action_space, gym.spaces.Discrete) and self.action_space.start == 0

    def _act(
        self, observations: Tensor, explore: bool, noise: Noise, opponent_mask: Tensor | None
    ) -> tuple[Tensor, ProductDistribution, Tensor]:
        """Actions, the policy that they are taken from, and its parameters."""
        opponent_model = self.opponent_model(observations)
        latent = opponent_model.rsample(noise) if explore else opponent_model.mode()
        opponents = squash(self.opponent_components, latent)
        if opponent_mask is not None:
            opponents = opponents * self.opponents.action_mask(opponent_mask)
        parameters = self.policy_network(torch.cat([observations, opponents], dim=-1))
        policy = ProductDistribution(self.own_components, parameters)
        latent = policy.rsample(noise) if explore else policy.mode()
        return squash(self.own_components, latent), policy, parameters
