"""Stochastic policies with an entropy bonus: what ROMMEO-AC and MASAC have in common.

The weight of the entropy, alpha, is a number, a schedule, or learned, so that a policy keeps a
target entropy (Haarnoja et al. 2018b).
"""

from __future__ import annotations

import math
from typing import Annotated, Any, cast

import gymnasium as gym
import torch
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core.columns import Columns
from ray.rllib.core.distribution.distribution import Distribution
from ray.rllib.core.distribution.torch.torch_distribution import TorchCategorical
from torch import Tensor, nn
from typing_extensions import Self

from rommeo_rllib import objective
from rommeo_rllib.checks import FLAG
from rommeo_rllib.components import action_size, has_choices, squash, total
from rommeo_rllib.distributions import ChoiceMixture, ProductDistribution
from rommeo_rllib.joint_action.config import JointActionConfig
from rommeo_rllib.joint_action.learner import JointActionLearner
from rommeo_rllib.joint_action.modules.action_distribution import ActionDistribution
from rommeo_rllib.joint_action.modules.critic import NORMALISE_Q
from rommeo_rllib.joint_action.modules.joint_q import JointQPolicy
from rommeo_rllib.joint_action.modules.policy import JointActionPolicy
from rommeo_rllib.joint_action.settings.options import STACKED, LearningRate, options
from rommeo_rllib.joint_action.spaces.opponent_mask import OPPONENT_MASK
from rommeo_rllib.joint_action.update import ALPHA, TrainedParameters, Update
from rommeo_rllib.local_expectations import neighbours
from rommeo_rllib.rng import GLOBAL_RNG, Rng
from rommeo_rllib.schedules import ScheduleSpec
from rommeo_rllib.temperatures import (
    RANDOMNESS,
    Auto,
    Kept,
    follow,
    is_kept,
    is_learned,
    kept_randomness,
    learned_alpha,
    make_alpha,
    missing,
    weight,
)

INITIAL_ALPHA = "initial_alpha"
"""Key of the model config: alpha before the first update, where it is learned."""

ALPHA_LOSS = "alpha_loss"

POLICY_RANDOMNESS = "policy_randomness"

PLAYED_STATES, PLAYED_ACTIONS = 16, 8
"""States of a batch for which actions are drawn to see how random the policy plays, and how many
for each. Where all states are equal, there is one, and all actions are for it."""


def _alpha(name: str, value: Any) -> None:
    make_alpha(value, name)


class StochasticConfig(JointActionConfig):
    """Configuration of algorithms with stochastic policies."""

    alpha: ScheduleSpec

    @options
    def training(
        self,
        *,
        alpha: Annotated[ScheduleSpec, _alpha, STACKED] = "auto",
        alpha_lr: LearningRate = 3e-4,
        normalise_q: Annotated[bool, FLAG] = False,
        **kwargs: Any,
    ) -> Self:
        """Sets what concerns training.

        Args:
            alpha: weight of the policy's entropy, in units of the reward: a number;
                [[env_step, value], ...], interpolated linearly;
                {"initial", "final", "decay_steps", "kind": "linear"|"exponential"}, which is at
                `final` from `decay_steps` on; or "auto" (or {"target_entropy", "initial"}, the
                target per dimension of the action, or {"total_target_entropy", "initial"}, both in
                nats), which learns it. Or, without any unit, how random the policy is to play,
                {"randomness": 0.1}, which may be a schedule, too: 1 is as random as can be. For a
                choice it is a share of the greatest entropy, for a continuous dimension the
                standard deviation, of the uniform distribution's (a normal one's with 3, where
                there are no bounds); of several the mean counts. Alpha is then what brings that
                about, and Q is of rewards alone, without a bonus for later steps. The clock of all
                schedules is env steps sampled over the run's lifetime, all env runners together.
            alpha_lr: learning rate of alpha, where it is learned for a target entropy.
            normalise_q: the Q-function learns its targets in running standard deviations from
                their running mean, so that it learns rewards of any scale alike. Alpha stays in
                units of the reward, but for one that is found in the course of training, whose
                `initial` is in standard deviations.
            **kwargs: what :meth:`JointActionConfig.training` takes, and of RLlib's SAC
                `initial_alpha` and `target_entropy` (its target is that of the whole action, in
                nats).

        Raises:
            ValueError: for an unknown key; it names the nearest right one.
        """
        return super().training(**kwargs)

    def _take(self, key: str, value: Any) -> bool:
        """SAC's settings of a learned alpha; whether `key` has been one."""
        if is_learned(self.alpha):
            if key == "initial_alpha":
                self.alpha = learned_alpha(self.alpha, initial=value)
                return True
            if key == "target_entropy":
                # SAC's is that of the whole action.
                is_auto = value is None or value == "auto"
                target = {"target_entropy": "auto"} if is_auto else {"total_target_entropy": value}
                self.alpha = learned_alpha(self.alpha, **target)
                return True
        return super()._take(key, value)

    @property
    def _model_config_auto_includes(self) -> dict[str, Any]:
        alpha = make_alpha(self.alpha)
        if isinstance(alpha, Kept):
            initial = 1.0
        else:
            initial = alpha.initial if isinstance(alpha, Auto) else alpha.value(0)
        return super()._model_config_auto_includes | {
            INITIAL_ALPHA: initial,
            NORMALISE_Q: self.normalise_q,
        }


class StochasticPolicy(JointQPolicy):
    """A policy that samples its actions from a distribution; greedy, it takes the mode.

    Subclasses call `build_alpha()` in `setup()` and supply :meth:`take`.

    Attributes:
        log_alpha: logarithm of an alpha that is found in the course of training, in the critic's
            units, () or, stacked, (policies,).
    """

    log_alpha: nn.Parameter

    def build_alpha(self) -> None:
        """Makes a learned alpha a parameter, so that it is saved and equal on all learners."""
        self.log_alpha = nn.Parameter(torch.tensor(math.log(self.model_config[INITIAL_ALPHA])))

    def get_non_inference_attributes(self) -> list[str]:
        """What an env runner does not need."""
        return [*super().get_non_inference_attributes(), "log_alpha"]

    def take(
        self, observations: Tensor, explore: bool, rng: Rng, opponent_mask: Tensor | None
    ) -> tuple[Tensor, ProductDistribution | ChoiceMixture, Tensor]:
        """Actions, the policy that they are taken from, and its parameters.

        Arguments are those of :meth:`JointActionPolicy.act`.
        """
        raise NotImplementedError

    def act(
        self,
        observations: Tensor,
        explore: bool,
        rng: Rng = GLOBAL_RNG,
        opponent_mask: Tensor | None = None,
    ) -> Tensor:
        """What the agent does."""
        return self.take(observations, explore, rng, opponent_mask)[0]

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
        if not self._acts_as_built:
            return super().decide(observations, explore, rng, opponent_mask)
        actions, policy, parameters = self.take(observations, explore, rng, opponent_mask)
        return actions, self._inputs(policy, parameters)

    def _inputs(self, policy: ProductDistribution | ChoiceMixture, parameters: Tensor) -> Tensor:
        """What makes a distribution of the class below, (..., n)."""
        # RLlib's own class finds the greatest input, here the very numbers compared in `act`.
        return policy.class_log_probs() if self._is_rllibs_choice else parameters

    def get_inference_action_dist_cls(self) -> type[Distribution]:
        """The policy's distribution; RLlib's own for Discrete that begins at 0."""
        if not self._acts_as_built:
            return super().get_inference_action_dist_cls()
        if self._is_rllibs_choice:
            return TorchCategorical
        return ActionDistribution.get_partial_dist_cls(space=self.action_space)

    @property
    def _acts_as_built(self) -> bool:
        """Whether no subclass acts otherwise, which no distribution here would tell of."""
        return type(self).act is StochasticPolicy.act

    @property
    def _is_rllibs_choice(self) -> bool:
        return isinstance(self.action_space, gym.spaces.Discrete) and self.action_space.start == 0

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


class StochasticLearner(JointActionLearner):
    """Owns alpha where it is learned; a subclass supplies losses."""

    def trained_parameters(
        self, policy: JointActionPolicy, config: AlgorithmConfig
    ) -> dict[str, TrainedParameters]:
        """The critic, the policy, and alpha if it is learned."""
        trained = super().trained_parameters(policy, config)
        if is_learned(config.alpha):
            parameters = [cast(StochasticPolicy, policy).log_alpha]
            trained[ALPHA] = TrainedParameters(parameters, config.alpha_lr)
        return trained

    def build(self) -> None:
        """Builds all; each learned alpha begins where its own policy's configuration says."""
        super().build()
        for group in self._groups:
            for module_id, policy in group.members.items():
                self.begin_afresh(policy, self.config.get_config_for_module(module_id), ALPHA)

    def begin_afresh(self, policy: JointActionPolicy, config: AlgorithmConfig, name: str) -> None:
        """A learned alpha begins at its initial value, whatever stood in its place."""
        alpha = make_alpha(config.alpha)
        if name == ALPHA and isinstance(alpha, Auto):
            cast(StochasticPolicy, policy).log_alpha.data.fill_(math.log(alpha.initial))

    def group_key(self, config: AlgorithmConfig, module_id: str) -> object:
        """Alphas that are found, and how, and scheduled ones are not computed together."""
        alpha = make_alpha(config.get_config_for_module(module_id).alpha)
        found = alpha if isinstance(alpha, Auto) else isinstance(alpha, Kept)
        return super().group_key(config, module_id), found

    def multipliers(self, policy: StochasticPolicy, config: Any) -> dict[str, nn.Parameter]:
        """Logarithms of weights that are what keeps something at its target, by their names."""
        return {ALPHA: policy.log_alpha} if is_kept(config.alpha, RANDOMNESS) else {}

    @torch.no_grad()
    def after_update(self, update: Update) -> None:
        """Multipliers follow what was wanting, all learners' rows together."""
        super().after_update(update)
        policy = cast(StochasticPolicy, update.policy)
        for name, log_multiplier in self.multipliers(policy, update.configs[0]).items():
            wanting = update.wanting.get(name, torch.zeros_like(log_multiplier))
            sums = update.total(torch.stack([wanting * update.rows, update.rows]))
            log_multiplier.copy_(follow(log_multiplier, sums[0] / sums[1].clamp_min(1.0)))


def present_alpha(update: Update) -> Tensor:
    """The weight of the entropy by now, in the critic's units, () or (policies,)."""
    alpha = update.configs[0].alpha
    policy = cast(StochasticPolicy, update.policy)
    if is_kept(alpha, RANDOMNESS):
        return weight(policy.log_alpha.detach(), wanted_randomness(update))
    if is_learned(alpha):
        return policy.log_alpha.detach().exp()
    return in_critics_units(update, update.scheduled(ALPHA))


def later_alpha(update: Update) -> Tensor:
    """The weight of the entropy of later steps in Q: none where the policy is kept random.

    Otherwise what keeps it so would move Q, and Q that: at a long horizon without end.
    """
    alpha = present_alpha(update)
    return torch.zeros_like(alpha) if is_kept(update.configs[0].alpha, RANDOMNESS) else alpha


def in_critics_units(update: Update, value: Tensor) -> Tensor:
    """What is in units of the reward, in those of the critic, (policies,) or () both."""
    scale = update.policy.critic.scale
    return value if scale is None else value / scale.std


def in_reward_units(update: Update, value: Tensor) -> Tensor:
    """The reverse, for people."""
    scale = update.policy.critic.scale
    return value if scale is None else value * scale.std


@torch.no_grad()
def wanted_randomness(update: Update) -> Tensor:
    """How much more random the policy is to play, in [-1, 1], () or (policies,).

    Measured once an update.
    """
    if ALPHA not in update.wanting:
        found = played_randomness(update)
        target = update.scheduled(ALPHA, kept_randomness)
        is_choice = found.shape[-1] > 0
        wanting = missing(target, found.mean(-1)) if is_choice else torch.zeros_like(target)
        update.wanting[ALPHA] = wanting
    return update.wanting[ALPHA]


@torch.no_grad()
def played_randomness(update: Update) -> Tensor:
    """How random the policy plays in the batch's states, whatever it thinks the others will do.

    That is the mean over states of :meth:`ProductDistribution.randomness`, of actions as they are
    taken to explore.

    Returns:
        (dimensions,) or (policies, dimensions).
    """
    policy = cast(StochasticPolicy, update.policy)
    observations = policy.encode(update.columns[Columns.OBS])
    mask = update.columns[OPPONENT_MASK]
    is_one = all(bool((column == column[..., :1, :]).all()) for column in (observations, mask))
    states, actions = PLAYED_STATES, PLAYED_ACTIONS
    if is_one:
        states, actions = 1, states * actions // 2
    observations, mask = (
        column[..., :states, :].unsqueeze(-2).expand(*column.shape[:-2], -1, actions, -1)
        for column in (observations, mask)
    )
    taken, distribution, _ = policy.take(observations, True, update.rng, mask)
    # Mixtures that are counted are for acting greedily.
    return cast(ProductDistribution, distribution).randomness(taken).mean(-2)


def soft_value(
    update: Update,
    policy: ProductDistribution,
    state: Tensor,
    opponents: Tensor,
    alpha: Tensor,
    *,
    target: bool = False,
) -> tuple[Tensor, Tensor]:
    """E_policy[Q] + alpha H(policy) for opponents' actions, and the policy's entropy.

    Exact where the agent's own actions can be counted. Else from one sample, in which each choice
    runs through all of its options (:func:`neighbours`).

    Args:
        update: the batch.
        policy: of the agent's own actions, for B rows; axes between rows and the last may follow.
        state: as the critic sees it, (B, critic observation size).
        opponents: their actions, (B, critic opponent size).
        alpha: () or (policies,).
        target: ask the target critic.

    Returns:
        (B,) both; the entropy is detached.
    """
    agent = cast(StochasticPolicy, update.policy)
    if agent.critic.enumerates_own_actions:
        log_probs = policy.class_log_probs(agent.critic.own_actions)
        q = agent.critic(state, None, opponents, target=target)
        value = objective.expected_response_value(q, log_probs, _along(alpha, q))
        return value, -(log_probs.exp() * log_probs).sum(-1).detach()
    latent, log_probs = policy.rsample_and_log_prob(update.rng)
    if not has_choices(agent.own_components):
        log_prob = total(log_probs)
        own = squash(agent.own_components, latent)
        q = agent.critic(state, own, opponents, target=target)
        return objective.sampled_response_value(q, log_prob, _along(alpha, q)), -log_prob.detach()
    latent, weights = neighbours(agent.own_components, policy.class_probs(), latent)
    own = squash(agent.own_components, latent)
    state, opponents = (
        part.unsqueeze(-2).expand(*own.shape[:-1], -1) for part in (state, opponents)
    )
    q = (weights * agent.critic(state, own, opponents, target=target)).sum(-1)
    entropy = total(policy.sampled_entropy(log_probs))
    return objective.sampled_response_value(q, -entropy, _along(alpha, q)), entropy.detach()


def _along(value: Tensor, like: Tensor) -> Tensor:
    """A number, or one a policy, to go with rows: () or (policies,) -> (..., 1, 1)."""
    return value.reshape(*value.shape, *[1] * (like.ndim - value.ndim))


def alpha_loss(update: Update, entropy: Tensor) -> dict[str, Tensor]:
    """The loss of a learned alpha, by its name; nothing if alpha is not learned.

    Args:
        update: the batch.
        entropy: of the policy, in nats, (B,).
    """
    alpha = update.parsed.of(update.configs[0], ALPHA, make_alpha)
    if not isinstance(alpha, Auto):
        return {}
    policy = cast(StochasticPolicy, update.policy)
    target = policy.target_entropy(alpha)
    loss = objective.temperature_loss(policy.log_alpha.unsqueeze(-1), entropy, target)
    return {ALPHA_LOSS: loss.mean(-1)}
