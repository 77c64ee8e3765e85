"""PR2-AC: probabilistic recursive reasoning, actor-critic, level 1 (Wen et al. 2019).

Agent i reasons one level deep: were it to play a, its opponents would answer with
o ~ rho(. | s, a). The variational objective for rho is KL(rho || exp((Q(s, a, o) - Q(s, a)) /
alpha)); as Q(s, a) does not depend on o, that is alpha log rho - Q(s, a, o), whose minimum defines
the soft value of (s, a).
"""

from __future__ import annotations

from typing import Annotated, Any, cast

import torch
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core.columns import Columns
from torch import Tensor
from typing_extensions import Self

from rommeo_rllib import objective
from rommeo_rllib.baselines.deterministic import (
    DeterministicConfig,
    DeterministicLearner,
    DeterministicPolicy,
)
from rommeo_rllib.components import num_parameters, squash
from rommeo_rllib.distributions import ProductDistribution
from rommeo_rllib.joint_action.algorithm import JointActionAlgorithm
from rommeo_rllib.joint_action.modules.gradients import frozen
from rommeo_rllib.joint_action.modules.policy import JointActionPolicy
from rommeo_rllib.joint_action.replay.columns import OPPONENT_ACTIONS
from rommeo_rllib.joint_action.settings.options import (
    STACKED,
    LearningRate,
    options,
    positive_schedule,
)
from rommeo_rllib.joint_action.spaces.opponent_mask import NEXT_OPPONENT_MASK, OPPONENT_MASK
from rommeo_rllib.joint_action.update import (
    ALPHA,
    OPPONENT_MODEL_LOSS,
    OPPONENT_MODEL_MEAN,
    POLICY_LOSS,
    Q_LOSS,
    Losses,
    Metrics,
    TrainedParameters,
    Update,
    mean_per_dimension,
    opponent_model_parameters,
)
from rommeo_rllib.schedules import ScheduleSpec


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


OPPONENT_MODEL_ENTROPY = "opponent_model_entropy"


class PR2ACLearner(DeterministicLearner):
    """Q by the Bellman error, rho by the variational objective, mu by Q under rho.

    Shapes below leave out the leading axis that policies computed together have.
    """

    def trained_parameters(
        self, policy: JointActionPolicy, config: AlgorithmConfig
    ) -> dict[str, TrainedParameters]:
        """rho besides."""
        return super().trained_parameters(policy, config) | opponent_model_parameters(
            policy, config
        )

    def losses(self, update: Update) -> Losses:
        """All losses, each with gradients for its own network only."""
        policy, columns = cast(PR2Policy, update.policy), update.columns
        encoded = policy.encode(columns[Columns.OBS])
        # An encoder learns from the Q-function's loss alone.
        observations = encoded.detach()
        target = update.td_target(lambda: self._next_value(update))
        q_loss = update.q_loss(encoded, columns[Columns.ACTIONS], columns[OPPONENT_ACTIONS], target)
        with policy.critic.frozen():
            # How would they answer what was done?
            answered, log_prob = _answered(update, observations, columns[Columns.ACTIONS])
            response_value = objective.sampled_response_value(
                answered, log_prob, update.scheduled_for_rows(ALPHA)
            )
            with frozen(policy.opponent_model_network):
                # The policy's gradient goes through their answer, too.
                policy_loss = self.policy_loss(
                    update, observations, lambda own: _answered(update, observations, own)[0]
                )
        return {
            Q_LOSS: q_loss,
            POLICY_LOSS: policy_loss,
            OPPONENT_MODEL_LOSS: -response_value.mean(-1),
        }

    def _next_value(self, update: Update) -> Tensor:
        """Soft value of the target policy's action, of those opponents who act at the next step."""
        policy = cast(PR2Policy, update.policy)
        observations = policy.encode(update.columns[Columns.NEXT_OBS])
        seen_by_targets = policy.encode_for_target(update.columns[Columns.NEXT_OBS], observations)
        own = policy.mu(seen_by_targets, target=True)
        q, log_prob = _answered(update, observations, own, seen_by_targets)
        return objective.sampled_response_value(q, log_prob, update.scheduled_for_rows(ALPHA))

    def policy_metrics(self, update: Update) -> Metrics:
        """Alpha, and how the opponents are thought to answer the policy's action, besides."""
        policy = cast(PR2Policy, update.policy)
        observations = policy.encode(update.columns[Columns.OBS])
        own = policy.mu(observations)
        answer = squash(policy.opponent_components, policy.opponent_model(observations, own).mode())
        _, log_prob = _answered(update, observations, own)
        return {
            **super().policy_metrics(update),
            **mean_per_dimension(OPPONENT_MODEL_MEAN, policy.opponents.to_env_units(answer)),
            OPPONENT_MODEL_ENTROPY: -log_prob.mean(-1),
            ALPHA: update.scheduled(ALPHA),
        }


def _answered(
    update: Update, observations: Tensor, own: Tensor, seen_by_targets: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Q(s, a, o) and log rho(o | s, a) at o ~ rho(. | s, a), (B,) both; absent opponents count 0.

    Args:
        update: the batch.
        observations: encoded, (B, observation size).
        own: (B, own action size).
        seen_by_targets: where the observations are the next ones, as target networks see them;
            the answer is the target Q-function's then.
    """
    is_next = seen_by_targets is not None
    policy = cast(PR2Policy, update.policy)
    mask = update.columns[NEXT_OPPONENT_MASK if is_next else OPPONENT_MASK]
    response = policy.opponent_model(observations, own)
    latent = response.rsample(update.rng)
    present = policy.opponents.component_mask(mask)
    log_prob = (response.log_prob(latent) * present).sum(-1)
    opponents = squash(policy.opponent_components, latent) * policy.opponents.action_mask(mask)
    state = observations if seen_by_targets is None else seen_by_targets
    return policy.critic(state, own, opponents, target=is_next), log_prob


class PR2ACConfig(DeterministicConfig):
    """Configuration of PR2-AC."""

    POLICY_CLASS = PR2Policy
    LEARNER_CLASS = PR2ACLearner

    def __init__(self, algo_class: type | None = None):
        super().__init__(algo_class=algo_class or PR2AC)

    @options
    def training(
        self,
        *,
        alpha: Annotated[ScheduleSpec, positive_schedule, STACKED] = 1.0,
        opponent_model_lr: LearningRate = 3e-4,
        **kwargs: Any,
    ) -> Self:
        """Sets what concerns training.

        Args:
            alpha: weight of the entropy of the opponents' conditional response, in units of the
                reward; the paper's is 1. A number or a schedule in env steps.
            opponent_model_lr: learning rate of the opponents' conditional response.
            **kwargs: what :meth:`DeterministicConfig.training` takes.

        Raises:
            ValueError: for an unknown key; it names the nearest right one.
        """
        return super().training(**kwargs)


class PR2AC(JointActionAlgorithm):
    """Probabilistic recursive reasoning, actor-critic, level 1 (Wen et al. 2019)."""

    config: PR2ACConfig

    @classmethod
    def get_default_config(cls) -> AlgorithmConfig:
        """A :class:`PR2ACConfig`."""
        return PR2ACConfig()
