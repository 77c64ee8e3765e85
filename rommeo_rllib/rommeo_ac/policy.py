"""ROMMEO-AC's policy: Q-function, conditional policy, opponent model and opponent prior."""

from __future__ import annotations

from functools import cached_property

import torch
from ray.rllib.core.distribution.distribution import Distribution
from torch import Tensor, nn

from rommeo_rllib.components import all_actions, num_parameters, squash
from rommeo_rllib.distributions import ChoiceMixture, ProductDistribution
from rommeo_rllib.joint_action.modules.action_distribution import MixtureActions
from rommeo_rllib.joint_action.modules.critic import MAX_ENUMERATED_ACTIONS, listed_choices
from rommeo_rllib.joint_action.modules.networks import Network
from rommeo_rllib.joint_action.stochastic import StochasticPolicy
from rommeo_rllib.rng import GLOBAL_RNG, Rng

KEEPS_DIVERGENCE = "keeps_divergence"
"""Key of the model config: whether the KL weight is found in the course of training."""


class ROMMEOPolicy(StochasticPolicy):
    """One agent's (or several like agents') networks.

    To act, it samples what the opponents will do from its opponent model, and answers that with its
    conditional policy (Algorithm 2). Greedy, it does what is most likely so: the mode of the
    marginal policy of Algorithm 1, sum_o rho(o | s) pi(a | s, o). Where that cannot be counted it
    takes the conditional policy's mode, given the opponent model's.

    Attributes:
        all_opponent_actions: all joint actions of the opponents, (N, their action size), or None
            where they are continuous or too many.
        all_own_actions: where the own actions are made of several choices and not too many, all of
            them, (their number, own action size); else None.
        counts_marginal: whether the marginal policy is known: all actions are choices, and the
            opponents' not too many.
        log_kl_coeff: logarithm of a KL weight that is found in the course of training, in the
            critic's units, () or, stacked, (policies,).
    """

    LEARNS_OPPONENT_MODEL = True
    """Whether the opponent model leans towards the optimum; else it is the prior itself."""

    OPTIONAL_PARAMETERS = frozenset({"log_kl_coeff"})

    all_opponent_actions: Tensor | None
    all_own_actions: Tensor | None
    counts_marginal: bool
    log_kl_coeff: nn.Parameter

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
        self.register_buffer(
            "all_own_actions", listed_choices(self.own_components), persistent=False
        )
        own_choices = all(component.kind == "discrete" for component in self.own_components)
        self.counts_marginal = own_choices and self.all_opponent_actions is not None
        if self.inference_only:
            return
        if self.LEARNS_OPPONENT_MODEL:
            self.opponent_prior_network = self.build_network(self.observation_size, opponents)
        self.build_critic()
        self.build_alpha()
        if self.model_config.get(KEEPS_DIVERGENCE):
            self.log_kl_coeff = nn.Parameter(torch.tensor(0.0))

    @cached_property
    def opponent_dimensions(self) -> Tensor:
        """Of each component of the opponents' actions, (components,); a choice counts as one."""
        sizes = [1 if c.kind == "discrete" else c.size for c in self.opponent_components]
        return torch.tensor(sizes, dtype=torch.float32, device=self.log_alpha.device)

    def get_non_inference_attributes(self) -> list[str]:
        """What an env runner does not need."""
        own = ["opponent_prior_network"] if self.LEARNS_OPPONENT_MODEL else []
        if self.model_config.get(KEEPS_DIVERGENCE):
            own.append("log_kl_coeff")
        return [*super().get_non_inference_attributes(), *own]

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

    def marginal_policy(
        self, observations: Tensor, opponent_mask: Tensor | None
    ) -> tuple[ChoiceMixture, Tensor]:
        """Algorithm 1's policy, sum_o rho(o | s) pi(a | s, o), and its parameters.

        There is one where `counts_marginal`. Arguments are those of `act`.
        """
        every = self.all_opponent_actions
        assert every is not None
        log_weights = self.opponent_model(observations).unsqueeze(-2).log_prob(every).sum(-1)
        opponents = every.expand(*log_weights.shape, -1)
        if opponent_mask is not None:
            opponents = opponents * self.opponents.action_mask(opponent_mask).unsqueeze(-2)
        rows = observations.unsqueeze(-2).expand(*log_weights.shape, -1)
        answers = self.policy_network(torch.cat([rows, opponents], dim=-1))
        parameters = torch.cat([log_weights.unsqueeze(-1), answers], dim=-1).flatten(-2)
        mixture = ChoiceMixture(self.own_components, parameters, self.all_own_actions)
        return mixture, parameters

    def take(
        self, observations: Tensor, explore: bool, rng: Rng, opponent_mask: Tensor | None
    ) -> tuple[Tensor, ProductDistribution | ChoiceMixture, Tensor]:
        """What the agent does, answering what it thinks the others will do."""
        if self._acts_by_marginal and not explore:
            marginal, parameters = self.marginal_policy(observations, opponent_mask)
            return marginal.mode(), marginal, parameters
        opponent_model = self.opponent_model(observations)
        latent = opponent_model.rsample(rng) if explore else opponent_model.mode()
        opponents = squash(self.opponent_components, latent)
        if opponent_mask is not None:
            opponents = opponents * self.opponents.action_mask(opponent_mask)
        parameters = self.policy_network(torch.cat([observations, opponents], dim=-1))
        policy = ProductDistribution(self.own_components, parameters)
        latent = policy.rsample(rng) if explore else policy.mode()
        return squash(self.own_components, latent), policy, parameters

    def decide(
        self,
        observations: Tensor,
        explore: bool,
        rng: Rng = GLOBAL_RNG,
        opponent_mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Actions, and the parameters of the policy that they are taken from.

        See :meth:`JointActionPolicy.decide`.
        """
        if not (explore and self._tells_marginal):
            return super().decide(observations, explore, rng, opponent_mask)
        # An answer to a sample of the opponents' actions is a sample of the marginal policy.
        actions = self.act(observations, explore, rng, opponent_mask)
        return actions, self._inputs(*self.marginal_policy(observations, opponent_mask))

    def get_inference_action_dist_cls(self) -> type[Distribution]:
        """The marginal policy's distribution, where that is known; else the conditional one's."""
        if self._tells_marginal and not self._is_rllibs_choice:
            assert self.all_opponent_actions is not None
            products = len(self.all_opponent_actions)
            return MixtureActions.get_partial_dist_cls(space=self.action_space, products=products)
        return super().get_inference_action_dist_cls()

    @property
    def _acts_by_marginal(self) -> bool:
        """Whether it does; a subclass that takes its actions otherwise has a policy of its own."""
        return self.counts_marginal and type(self).take is ROMMEOPolicy.take

    @property
    def _tells_marginal(self) -> bool:
        return self._acts_by_marginal and self._acts_as_built
