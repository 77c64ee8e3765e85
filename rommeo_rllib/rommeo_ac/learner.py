"""ROMMEO-AC's losses: Eq. 14, 15, 18 and 19 on the networks of :class:`ROMMEOPolicy`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import torch
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core.columns import Columns
from torch import Tensor, nn

from rommeo_rllib import objective
from rommeo_rllib.checks import check
from rommeo_rllib.components import broad_latent, has_choices, squash, total, unsquash
from rommeo_rllib.distributions import ProductDistribution
from rommeo_rllib.joint_action.modules.gradients import scale_gradient
from rommeo_rllib.joint_action.modules.policy import JointActionPolicy
from rommeo_rllib.joint_action.replay.columns import OPPONENT_ACTIONS, RECENT
from rommeo_rllib.joint_action.spaces.encoding import to_env_units
from rommeo_rllib.joint_action.spaces.opponent_mask import NEXT_OPPONENT_MASK, OPPONENT_MASK
from rommeo_rllib.joint_action.stochastic import (
    POLICY_RANDOMNESS,
    StochasticLearner,
    StochasticPolicy,
    alpha_loss,
    in_critics_units,
    in_reward_units,
    later_alpha,
    played_randomness,
    present_alpha,
    soft_value,
)
from rommeo_rllib.joint_action.update import (
    ALPHA,
    MARGINAL_POLICY_MEAN,
    OPPONENT_MODEL_LOSS,
    OPPONENT_MODEL_MEAN,
    POLICY_ENTROPY,
    POLICY_LOSS,
    POLICY_MEAN,
    Q_LOSS,
    Losses,
    Metrics,
    TrainedParameters,
    Update,
    mean_per_dimension,
    opponent_model_parameters,
)
from rommeo_rllib.local_expectations import neighbours
from rommeo_rllib.rommeo_ac.policy import ROMMEOPolicy
from rommeo_rllib.rommeo_ac.resampling import IMPORTANCE_SAMPLING, Resampling
from rommeo_rllib.temperatures import (
    DIVERGENCE,
    RANDOMNESS,
    is_kept,
    kept_divergence,
    missing,
    weight,
)

PRIOR_LOSS = "prior_loss"
KL_COEFF = "kl_coeff"
KL_TO_PRIOR = "opponent_model_kl"
LOG_LIKELIHOOD_MODEL = "opponent_model_log_likelihood"
LOG_LIKELIHOOD_PRIOR = "opponent_prior_log_likelihood"
MARGINAL_ENTROPY = "marginal_policy_entropy"
MARGINAL_LOG_LIKELIHOOD = "marginal_policy_log_likelihood"


class ROMMEOACLearner(StochasticLearner):
    """Q by Eq. 14, the policy by Eq. 18, the opponent model by Eq. 19, the prior from the past."""

    def trained_parameters(
        self, policy: JointActionPolicy, config: AlgorithmConfig
    ) -> dict[str, TrainedParameters]:
        """The four networks, each with a learning rate of its own, and alpha if it is learned."""
        policy = cast(ROMMEOPolicy, policy)
        refuse_penalties_of_choices(policy, config)
        trained = super().trained_parameters(policy, config)
        if policy.LEARNS_OPPONENT_MODEL:
            trained |= opponent_model_parameters(policy, config)
        trained["opponent_prior"] = TrainedParameters(
            list(policy.fitted_network.parameters()), config.opponent_prior_lr
        )
        return trained

    def group_key(self, config: AlgorithmConfig, module_id: str) -> object:
        """KL weights that are found and scheduled ones are not computed together."""
        own = config.get_config_for_module(module_id)
        return super().group_key(config, module_id), is_kept(own.kl_coeff, DIVERGENCE)

    def multipliers(self, policy: StochasticPolicy, config: Any) -> dict[str, nn.Parameter]:
        """Logarithms of weights that are what keeps something at its target, by their names."""
        own = cast(ROMMEOPolicy, policy)
        kl = {KL_COEFF: own.log_kl_coeff} if is_kept(config.kl_coeff, DIVERGENCE) else {}
        return super().multipliers(policy, config) | kl

    def losses(self, update: Update) -> Losses:
        """The losses of all policies of a group."""
        return _ROMMEOUpdate(update).losses()

    def policy_metrics(self, update: Update) -> Metrics:
        """Alpha, entropy, divergence, means and likelihoods."""
        return _ROMMEOUpdate(update).metrics()


def refuse_penalties_of_choices(policy: ROMMEOPolicy, config: AlgorithmConfig) -> None:
    """Raises a ValueError if Gaussians are to be penalised, and there are none."""
    for name, components in (
        ("gaussian_l2", (policy.own_components, policy.opponent_components)),
        ("prior_gaussian_l2", (policy.opponent_components,)),
    ):
        is_in_vain = any(all(one.kind == "discrete" for one in parts) for parts in components)
        check(
            name,
            getattr(config, name),
            not (getattr(config, name) and is_in_vain),
            "0 where an agent's or its opponents' actions are all discrete",
        )


@dataclass(frozen=True)
class _Proposal:
    """Joint actions of the opponents for each of B rows: N that are weighted, or a sample.

    Attributes:
        latent: (B, N, action size of all opponents) or, a sample, (B, action size).
        weights: the opponent model's probabilities of N joint actions, (B, N).
        log_prob: of a sample's components by the opponent model, (B, components).
    """

    latent: Tensor
    weights: Tensor | None = None
    log_prob: Tensor | None = None

    def expectation(self, values: Tensor) -> Tensor:
        """Under the opponent model: (B, N) or, of a sample, (B,) -> (B,)."""
        return values if self.weights is None else (self.weights * values).sum(-1)


@dataclass(frozen=True)
class _State:
    """What B rows are about: the env steps at which actions were taken, or each agent's next one.

    Attributes:
        observations: as policy and opponent model see them, (B, observation size).
        critic_observations: as the Q-function in use sees them, of the same shape.
        component_mask: which opponents' components are there, (B, components).
        action_mask: the same for their flat actions, (B, action size of all opponents).
        is_next: whether these are the next steps, for which the target Q-function speaks.
    """

    observations: Tensor
    critic_observations: Tensor
    component_mask: Tensor
    action_mask: Tensor
    is_next: bool = False

    def repeated(self, rows: int, times: int) -> _State:
        """Each of the first `rows` so many times, then the others once."""
        there = self.observations.shape[-2]
        index = torch.arange(there, device=self.observations.device)
        index = torch.cat([index[:rows].repeat_interleave(times), index[rows:]])
        return _State(
            self.observations[..., index, :],
            self.critic_observations[..., index, :],
            self.component_mask[..., index, :],
            self.action_mask[..., index, :],
            self.is_next,
        )


class _ROMMEOUpdate:
    """One batch of B rows at one time: networks, alpha and KL weight.

    All tensors may have a leading axis of policies, which the shapes given below leave out.
    """

    def __init__(self, update: Update):
        self.update = update
        self.policy = policy = cast(ROMMEOPolicy, update.policy)
        self.config = update.configs[0]
        self.batch = batch = update.columns
        self.rng = update.rng
        self.encoded = policy.encode(batch[Columns.OBS])
        # An encoder learns from the Q-function's loss alone.
        self.observations = self.encoded.detach()
        self.opponent_actions = batch[OPPONENT_ACTIONS]
        self.present = _State(
            self.observations,
            self.observations,
            policy.opponents.component_mask(batch[OPPONENT_MASK]),
            policy.opponents.action_mask(batch[OPPONENT_MASK]),
        )

    @property
    def alpha(self) -> Tensor:
        """In the critic's units, () or (policies,)."""
        return present_alpha(self.update)

    @property
    def kl_coeff(self) -> Tensor:
        """The same."""
        if is_kept(self.config.kl_coeff, DIVERGENCE):
            wanting = self._wanted_restraint()
            return weight(self.policy.log_kl_coeff.detach(), wanting)
        return in_critics_units(self.update, self.update.scheduled(KL_COEFF))

    @property
    def row_kl_coeff(self) -> Tensor:
        """The same, to go with (B,)."""
        return self.kl_coeff.unsqueeze(-1)

    @torch.no_grad()
    def _wanted_restraint(self) -> Tensor:
        """How much more the opponent model is to be held back, in [-1, 1], () or (policies,).

        Measured once an update, over the dimensions of those opponents' actions who are there.
        """
        found = self.update.wanting
        if KL_COEFF not in found:
            kl = self._kl(self.present, self.opponent_model, self.prior, self.proposal).sum(-1)
            dimensions = self.policy.opponent_dimensions * self.present.component_mask
            dimensions = dimensions.sum((-2, -1))
            target = self.update.scheduled(KL_COEFF, kept_divergence)
            mean = kl.clamp_min(0.0) / dimensions.clamp_min(1.0)
            is_somebody = dimensions > 0
            wanting = -missing(target, mean)
            found[KL_COEFF] = torch.where(is_somebody, wanting, torch.zeros_like(wanting))
        return found[KL_COEFF]

    def losses(self) -> Losses:
        """All losses; their sum has for each network the gradient of its own loss.

        Policy and opponent model share one pass through policy and Q, at the same samples: the
        policy's parameters and the opponents' actions are different inputs of Q - alpha log pi, and
        what flows back to each is just what that network's own loss calls for.
        """
        if self.policy.critic.scale is not None:
            self.q_target  # noqa: B018  # Q's units change with it, and gradients need theirs.
        # First, since it needs the gradient through what others may use without.
        prior_loss = self._prior_loss()
        if self.config.opponent_model == IMPORTANCE_SAMPLING:
            policy_loss, opponent_model_loss, entropy = self._resampling().losses()
        else:
            opponent_model = self.opponent_model
            if not self.policy.LEARNS_OPPONENT_MODEL:
                # It is the prior, and trained as such alone.
                opponent_model = opponent_model.detach(0.0)
            with self.policy.critic.frozen():
                policy_loss, opponent_model_loss, entropy = self._actors_losses(opponent_model)
        losses = {
            Q_LOSS: self._q_loss(),
            POLICY_LOSS: policy_loss,
            PRIOR_LOSS: prior_loss,
        }
        if self.policy.LEARNS_OPPONENT_MODEL:
            losses[OPPONENT_MODEL_LOSS] = opponent_model_loss
        for name, penalty in self._penalties().items():
            losses[name] = losses[name] + penalty
        return losses | alpha_loss(self.update, entropy)

    def _penalties(self) -> Losses:
        """What `gaussian_l2` and `prior_gaussian_l2` add to the losses of that name."""
        penalties: Losses = {}
        if coeff := self.config.gaussian_l2:
            opponent_model = self.opponent_model
            latent = opponent_model.rsample(self.rng).detach()
            conditional, _, _ = self._conditional(self.present, latent)
            penalties[POLICY_LOSS] = coeff * conditional.half_mean_squares().mean(-1)
            if self.policy.LEARNS_OPPONENT_MODEL:
                squares = opponent_model.half_mean_squares()
                penalties[OPPONENT_MODEL_LOSS] = coeff * squares.mean(-1)
        if coeff := self.config.prior_gaussian_l2:
            penalties[PRIOR_LOSS] = coeff * self.fitted_prior.half_mean_squares().mean(-1)
        return penalties

    @cached_property
    def opponent_model(self) -> ProductDistribution:
        """rho at this batch's observations."""
        return _given(self.observations, self.policy.opponent_model)

    @cached_property
    def proposal(self) -> _Proposal:
        """What it proposes."""
        return self._propose(self.opponent_model)

    @cached_property
    def fitted_prior(self) -> ProductDistribution:
        """P at this batch's observations, as it is fitted."""
        return _given(self.observations, self.policy.opponent_prior)

    @cached_property
    def prior(self) -> ProductDistribution:
        """P as it holds the opponent model back, by which it is not to be moved."""
        return self.fitted_prior.detach(self.config.prior_uniform_weight)

    def metrics(self) -> Metrics:
        """What a person wants to see, in nats and in the environment's own units."""
        policy, opponent_model = self.policy, self.opponent_model
        proposal = self._propose(opponent_model)
        _, entropy = self._response_value(self.present, proposal.latent)
        replayed = unsquash(policy.opponent_components, self.opponent_actions)
        mask = self.present.component_mask
        metrics = {
            ALPHA: in_reward_units(self.update, self.alpha),
            KL_COEFF: in_reward_units(self.update, self.kl_coeff),
            POLICY_ENTROPY: proposal.expectation(entropy).mean(-1),
            KL_TO_PRIOR: self._kl(self.present, opponent_model, self.prior, proposal).mean(-1),
            LOG_LIKELIHOOD_MODEL: _masked_mean(opponent_model.log_prob(replayed), mask),
            LOG_LIKELIHOOD_PRIOR: _masked_mean(self.prior.log_prob(replayed), mask),
        }
        if is_kept(self.config.alpha, RANDOMNESS):
            metrics[POLICY_RANDOMNESS] = played_randomness(self.update).mean(-1)
        return metrics | self._of_marginal() | self._means(opponent_model, proposal)

    def _of_marginal(self) -> Metrics:
        """The marginal policy's entropy, and its likelihood of own real actions, if it is known."""
        if not self.policy.counts_marginal:
            return {}
        marginal, _ = self.policy.marginal_policy(self.observations, self.batch[OPPONENT_MASK])
        likelihood = marginal.log_prob(self.batch[Columns.ACTIONS])
        metrics = {MARGINAL_LOG_LIKELIHOOD: likelihood.mean((-2, -1))}
        if marginal.is_counted:
            metrics[MARGINAL_ENTROPY] = marginal.entropy().mean((-2, -1))
        return metrics

    def _means(self, opponent_model: ProductDistribution, proposal: _Proposal) -> Metrics:
        """Where opponent model and policy point to, for each continuous dimension.

        Of the policy there are two: its answer to the mode of the opponent model, which is what it
        does greedily, and the mean of its answers to what the opponent model proposes, the mean of
        the marginal policy (Algorithm 1). The first jumps as soon as the answers to the optimum are
        learned, the second moves with the opponent model.
        """
        policy = self.policy
        opponents = squash(policy.opponent_components, opponent_model.mode())
        named = {OPPONENT_MODEL_MEAN: policy.opponents.to_env_units(opponents)}
        if any(component.kind != "discrete" for component in policy.own_components):
            own = policy.policy(self.observations, opponents).mode()
            own = squash(policy.own_components, own)
            named[POLICY_MEAN] = to_env_units(policy.action_space, own)
            answers, _, _ = self._conditional(self.present, proposal.latent)
            own = squash(policy.own_components, answers.mode())
            if proposal.weights is not None:
                own = (proposal.weights.unsqueeze(-1) * own).sum(-2)
            named[MARGINAL_POLICY_MEAN] = to_env_units(policy.action_space, own)
        means: Metrics = {}
        for name, actions in named.items():
            means |= mean_per_dimension(name, actions)
        return means

    @cached_property
    def q_target(self) -> Tensor:
        """What Q is to be, in the critic's units, (B,)."""
        return self.update.td_target(self._next_value)

    def _q_loss(self) -> Tensor:
        own = self.batch[Columns.ACTIONS]
        return self.update.q_loss(self.encoded, own, self.opponent_actions, self.q_target)

    def _next_value(self) -> Tensor:
        """Eq. 15, with the target Q-function and those opponents who act at the next step."""
        policy, next_observations = self.policy, self.batch[Columns.NEXT_OBS]
        mask = self.batch[NEXT_OPPONENT_MASK]
        if torch.equal(next_observations, self.batch[Columns.OBS]):  # As in a game without states.
            observations = self.observations
            opponent_model, prior = self.opponent_model, self.prior
        else:
            observations = policy.encode(next_observations)
            opponent_model = _given(observations, policy.opponent_model)
            prior = _given(observations, policy.opponent_prior)
            prior = prior.detach(self.config.prior_uniform_weight)
        state = _State(
            observations,
            policy.encode_for_target(next_observations, observations),
            policy.opponents.component_mask(mask),
            policy.opponents.action_mask(mask),
            is_next=True,
        )
        proposal = self._propose(opponent_model)
        response_values, _ = self._response_value(state, proposal.latent)
        response_value = proposal.expectation(response_values)
        if is_kept(self.config.kl_coeff, DIVERGENCE):
            return response_value  # Nor does Q pay later for what holds the opponent model.
        kl = self._kl(state, opponent_model, prior, proposal)
        return objective.sampled_state_value(response_value, kl, self.row_kl_coeff)

    def _propose(self, opponent_model: ProductDistribution) -> _Proposal:
        """All joint actions of the opponents with their probabilities by rho, if they are few.

        Else one sample, through which the gradients of continuous components flow.
        """
        all_joint_actions = self.policy.all_opponent_actions
        if all_joint_actions is None:
            sample, log_prob = opponent_model.rsample_and_log_prob(self.rng)
            return _Proposal(sample, log_prob=log_prob)
        log_prob = opponent_model.unsqueeze(-2).log_prob(all_joint_actions).sum(-1)
        return _Proposal(all_joint_actions.expand(*log_prob.shape, -1), log_prob.exp())

    def _actors_losses(self, opponent_model: ProductDistribution) -> tuple[Tensor, Tensor, Tensor]:
        """Eq. 18 and Eq. 19, the latter with a fresh conditional action (Eq. 39).

        The policy learns to answer what rho proposes and, in a share of rows, what it would not.

        Returns:
            The policy's loss and the opponent model's, and the policy's mean entropy, (B,).
        """
        is_learned = opponent_model is self.opponent_model
        proposal = self.proposal if is_learned else self._propose(opponent_model)
        if proposal.weights is not None:
            return self._enumerated_losses(opponent_model, proposal, proposal.weights)
        latent = proposal.latent
        rows = latent.shape[-2]
        proposed = max(rows - round(self.config.uniform_opponent_fraction * rows), 1)
        answered, weights, state = latent[..., :proposed, :], None, self.present
        if has_choices(self.policy.opponent_components):
            # Choices learn from all of their options, since no gradient flows through a choice.
            near, weights = neighbours(
                self.policy.opponent_components,
                opponent_model.class_probs()[..., :proposed, :],
                answered,
            )
            answered, state = near.flatten(-3, -2), state.repeated(proposed, near.shape[-2])
        # Each loss is a mean over its own rows: all for the policy, these for the opponent model.
        answered = scale_gradient(answered, rows / proposed)
        if proposed < rows:
            others = latent[..., proposed:, :].detach()
            uniform = broad_latent(self.policy.opponent_components, others, self.rng)
            answered = torch.cat([answered, uniform], dim=-2)
        response_value, entropy = self._response_value(state, answered)
        fixed_weights = None if weights is None else weights.detach()
        policy_loss = objective.policy_loss(_of_rows(response_value, fixed_weights)).mean(-1)
        # Its gradient by way of the opponents' actions comes through the policy's loss.
        expected = _of_rows(response_value.detach(), weights)[..., :proposed]
        expected = expected.mean(-1, keepdim=True)
        kl = self._kl(self.present, opponent_model, self.prior, proposal)
        opponent_model_loss = objective.opponent_model_loss(expected, kl, self.row_kl_coeff)
        return policy_loss, opponent_model_loss.mean(-1), _of_rows(entropy, fixed_weights)

    def _resampling(self) -> Resampling:
        return Resampling(
            self.policy,
            self.observations,
            self.present.component_mask,
            self.present.action_mask,
            self.alpha,
            self.kl_coeff,
            self.config.prior_uniform_weight,
            self.rng,
        )

    def _enumerated_losses(
        self, opponent_model: ProductDistribution, proposal: _Proposal, weights: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The same where all joint actions of the opponents are considered."""
        response_values, entropy = self._response_value(self.present, proposal.latent)
        fraction = self.config.uniform_opponent_fraction
        answered = (1.0 - fraction) * weights.detach() + fraction / weights.shape[-1]
        policy_loss = (answered * objective.policy_loss(response_values)).sum(-1)
        response_value = proposal.expectation(response_values.detach())
        kl = self._kl(self.present, opponent_model, self.prior, proposal)
        opponent_model_loss = objective.opponent_model_loss(response_value, kl, self.row_kl_coeff)
        return policy_loss.mean(-1), opponent_model_loss.mean(-1), (answered * entropy).sum(-1)

    def _response_value(self, state: _State, opponents_latent: Tensor) -> tuple[Tensor, Tensor]:
        """E_pi[Q] + alpha H(pi) for opponents' actions, and the policy's entropy.

        Exact where the agent's own actions can be counted, else an estimate (:func:`soft_value`).

        Args:
            state: of B rows.
            opponents_latent: (B, action size of all opponents), or N of them, (B, N, action size).

        Returns:
            (B,) or (B, N) both.
        """
        conditional, seen_by_q, opponents = self._conditional(state, opponents_latent)
        alpha = later_alpha(self.update) if state.is_next else self.alpha
        return soft_value(
            self.update, conditional, seen_by_q, opponents, alpha, target=state.is_next
        )

    def _conditional(
        self, state: _State, opponents_latent: Tensor
    ) -> tuple[ProductDistribution, Tensor, Tensor]:
        """The policy given opponents' actions, what Q sees of the state, and these actions."""
        policy, mask = self.policy, state.action_mask
        observations, seen_by_q = state.observations, state.critic_observations
        if opponents_latent.ndim > observations.ndim:
            mask = mask.unsqueeze(-2)
            rows = opponents_latent.shape[:-1]
            observations = observations.unsqueeze(-2).expand(*rows, -1)
            seen_by_q = seen_by_q.unsqueeze(-2).expand(*rows, -1)
        opponents = squash(policy.opponent_components, opponents_latent) * mask
        return policy.policy(observations, opponents), seen_by_q, opponents

    def _kl(
        self,
        state: _State,
        opponent_model: ProductDistribution,
        prior: ProductDistribution,
        proposal: _Proposal,
    ) -> Tensor:
        """KL(rho || P) over the opponents that act in these rows, (B,)."""
        kl = opponent_model.kl_divergence(prior, proposal.latent, proposal.log_prob)
        return total(kl * state.component_mask)

    def _prior_loss(self) -> Tensor:
        """Maximum likelihood of what the opponents really did, of late or ever (Algorithm 2)."""
        policy, batch, prior = self.policy, self.batch, self.fitted_prior
        prefix = RECENT if RECENT + Columns.OBS in batch else ""
        if prefix:
            with torch.no_grad():
                observations = policy.encode(batch[prefix + Columns.OBS])
            prior = _given(observations, policy.opponent_prior)
        latent = unsquash(policy.opponent_components, batch[prefix + OPPONENT_ACTIONS])
        mask = policy.opponents.component_mask(batch[prefix + OPPONENT_MASK])
        loss = objective.prior_loss(total(prior.log_prob(latent) * mask)).mean(-1)
        if self.config.pad_prior_window:
            padded = max(0.0, 1.0 - self.update.env_steps / self.config.prior_window)
            nothing = policy.opponent_prior(torch.zeros_like(self.observations[..., :1, :]))
            at_zero = total(nothing.log_prob(torch.zeros_like(latent[..., :1, :])))
            loss = (1.0 - padded) * loss + padded * objective.prior_loss(at_zero).mean(-1)
        return loss


def _given(
    observations: Tensor, make: Callable[[Tensor], ProductDistribution]
) -> ProductDistribution:
    """A distribution given each of B observations; made once if all of them are equal.

    In a game without states they are, and a third of the arithmetic would go into repetitions.
    """
    first = observations[..., :1, :]
    if bool((observations == first).all()):
        return make(first).expand_rows(observations.shape[-2])
    return make(observations)


def _of_rows(values: Tensor, weights: Tensor | None) -> Tensor:
    """What each of B rows is worth, (B,), where the first ones count N weighted joint actions.

    Args:
        values: of all joint actions, those of the first rows first.
        weights: (rows, N), or None where each row has a single joint action.
    """
    if weights is None:
        return values
    weighted = values[..., : weights.shape[-2] * weights.shape[-1]]
    expected = (weights * weighted.unflatten(-1, weights.shape[-2:])).sum(-1)
    return torch.cat([expected, values[..., weighted.shape[-1] :]], dim=-1)


def _masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over rows and components where `mask` is 1; 0 where there are none."""
    return (values * mask).sum((-2, -1)) / mask.sum((-2, -1)).clamp_min(1.0)
