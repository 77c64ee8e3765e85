"""Policy and opponent model fitted to resampled actions (Eq. 10 and 11 taken at their word).

The opponent model of Eq. 11 may have several modes, of which a Gaussian that follows the gradient
of Eq. 19 keeps the nearest. Here candidates for the opponents' actions are drawn from the opponent
model, the prior and the broadest distribution there is, weighed by Eq. 11, and the opponent model
is fitted to them by weighted likelihood; the policy likewise by Eq. 10. Where actions can be
counted, nothing is drawn: all of them are weighed, and both equations are exact.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rommeo_rllib import objective
from rommeo_rllib.components import ActionComponent, broad_latent, has_choices, log_broad, squash
from rommeo_rllib.distributions import ProductDistribution
from rommeo_rllib.local_expectations import log_density_of_neighbours, with_neighbours
from rommeo_rllib.rng import Rng
from rommeo_rllib.rommeo_ac.policy import ROMMEOPolicy

REPARAMETERISED, IMPORTANCE_SAMPLING = OPPONENT_MODELS = (
    "reparameterised",
    "importance_sampling",
)
"""How policy and opponent model are fitted, see :meth:`ROMMEOACConfig.training`."""

CANDIDATES = 24
"""Opponents' actions drawn for each observation: a third each from rho, P and at random."""

SAMPLES = 12
"""The same where opponents have choices that are too many to count; each with its neighbours."""

OWN_ACTIONS = 12
"""Own actions drawn for each of these: half from the policy, half at random."""

MAX_ROWS = 4
"""Of a batch, so many observations are used: each of them costs hundreds of values of Q."""


@dataclass(frozen=True)
class Resampling:
    """What the losses need, for B observations; see :meth:`losses`.

    All tensors may have a leading axis of policies, which the shapes given here leave out.

    Attributes:
        policy: the networks.
        observations: encoded, (B, observation size).
        component_mask: which opponents' components are there, (B, components).
        action_mask: the same for their flat actions, (B, action size of all opponents).
        alpha: () or (policies,).
        kl_coeff: the same.
        prior_uniform_weight: share of a uniform distribution in the prior.
        rng: random numbers.
    """

    policy: ROMMEOPolicy
    observations: Tensor
    component_mask: Tensor
    action_mask: Tensor
    alpha: Tensor
    kl_coeff: Tensor
    prior_uniform_weight: float
    rng: Rng

    def losses(self) -> tuple[Tensor, Tensor, Tensor]:
        """The policy's loss, the opponent model's, and the policy's mean entropy, (rows,).

        The losses are cross-entropies from the weighed actions. Half of the policy's weight is
        spread evenly over the candidates, so that it knows an answer to each.
        """
        policy = self.policy
        observations = self.observations[..., :MAX_ROWS, :]
        mask = self.component_mask[..., :MAX_ROWS, :].unsqueeze(-2)
        rho = policy.opponent_model(observations).unsqueeze(-2)
        prior = policy.opponent_prior(observations, self.prior_uniform_weight).unsqueeze(-2)
        with torch.no_grad():
            latent, log_proposal = self._candidates(rho, prior, mask)
            opponents = squash(policy.opponent_components, latent)
            opponents = opponents * self.action_mask[..., :MAX_ROWS, :].unsqueeze(-2)
            log_prior = (prior.log_prob(latent) * mask).sum(-1)
        observations = observations.unsqueeze(-2).expand(*opponents.shape[:-1], -1)
        conditional = policy.policy(observations, opponents)
        q, log_own_proposal, log_policy = self._answers(conditional, observations, opponents)
        # To go with (rows, candidates, own actions) and (rows, candidates).
        alpha = self.alpha.reshape(*self.alpha.shape, 1, 1, 1)
        own_weights, weights = objective.resampling_weights(
            q, log_own_proposal, log_prior, log_proposal, alpha, self.kl_coeff[..., None, None]
        )
        opponent_model_loss = objective.weighted_likelihood_loss(
            weights, (rho.log_prob(latent) * mask).sum(-1)
        )
        policy_losses = objective.weighted_likelihood_loss(own_weights, log_policy)
        answered = 0.5 * (weights + 1.0 / weights.shape[-1])
        policy_loss = (answered * policy_losses).sum(-1)
        entropy = (answered * self._entropy(log_policy)).sum(-1)
        return policy_loss.mean(-1), opponent_model_loss.mean(-1), entropy.detach()

    def _candidates(
        self, rho: ProductDistribution, prior: ProductDistribution, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Latent actions of the opponents and their log-density, (rows, candidates, ...) both."""
        components = self.policy.opponent_components
        every = self.policy.all_opponent_actions
        if every is not None:
            latent = every.expand(*mask.shape[:-2], *every.shape)
            return latent, torch.zeros_like(latent[..., 0])
        if not has_choices(components):
            return _draw([rho, prior], components, CANDIDATES // 3, self.rng, mask)
        drawn = _samples([rho, prior], components, SAMPLES // 3, self.rng)
        latent = with_neighbours(components, drawn)
        densities = [rho.log_prob(latent), prior.log_prob(latent), log_broad(components, latent)]
        covered = [
            log_density_of_neighbours(components, density, mask, drawn.shape[-2])
            for density in densities
        ]
        return latent, torch.stack(covered).logsumexp(0)

    def _answers(
        self, conditional: ProductDistribution, observations: Tensor, opponents: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Q of own actions, the log-density they were drawn from, and the policy's log-density.

        (rows, candidates, own actions) each.
        """
        policy = self.policy
        if policy.critic.enumerates_own_actions:
            log_policy = conditional.class_log_probs(policy.critic.own_actions)
            with torch.no_grad():
                q = policy.critic(observations, None, opponents)
            return q, torch.zeros_like(q), log_policy
        conditional = conditional.unsqueeze(-2)
        with torch.no_grad():
            latent, log_proposal = _draw(
                [conditional], policy.own_components, OWN_ACTIONS // 2, self.rng
            )
            own = squash(policy.own_components, latent)
            observations = observations.unsqueeze(-2).expand(*own.shape[:-1], -1)
            opponents = opponents.unsqueeze(-2).expand(*own.shape[:-1], -1)
            q = policy.critic(observations, own, opponents)
        return q, log_proposal, conditional.log_prob(latent).sum(-1)

    def _entropy(self, log_policy: Tensor) -> Tensor:
        """The policy's entropy, given each candidate: (..., own actions) -> (...)."""
        if self.policy.critic.enumerates_own_actions:
            return -(log_policy.exp() * log_policy).sum(-1)
        # The first half was drawn from the policy itself.
        return -log_policy[..., : OWN_ACTIONS // 2].mean(-1)


def _draw(
    distributions: Sequence[ProductDistribution],
    components: Sequence[ActionComponent],
    share: int,
    rng: Rng,
    mask: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """`share` latent actions from each distribution and from the broadest, and their log-density.

    The density is that of the whole mixture, whichever part an action came from.
    """
    latent = _samples(distributions, components, share, rng)
    densities = [*(d.log_prob(latent) for d in distributions), log_broad(components, latent)]
    present = densities if mask is None else [density * mask for density in densities]
    mixture = torch.stack([density.sum(-1) for density in present]).logsumexp(0)
    return latent, mixture - math.log(len(densities))


def _samples(
    distributions: Sequence[ProductDistribution],
    components: Sequence[ActionComponent],
    share: int,
    rng: Rng,
) -> Tensor:
    """`share` latent actions from each distribution and from the broadest."""
    drawn = [d.expand_rows(share).rsample(rng) for d in distributions]
    return torch.cat([*drawn, broad_latent(components, drawn[0], rng)], dim=-2)
