"""MASAC: multi-agent soft actor-critic, with central critics and decentral policies.

Soft actor-critic (Haarnoja et al. 2018a, 2018b) as MADDPG (Lowe et al. 2017) makes multi-agent an
algorithm of DDPG's family: a policy sees its agent's own observation, its critic those of all
agents and what all of them do. The others' actions are the replay's where Q is fitted, and those of
their own present policies where values are estimated and the policy is improved.
"""

from __future__ import annotations

from typing import cast

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core.columns import Columns
from torch import Tensor

from rommeo_rllib import objective
from rommeo_rllib.baselines.central_critic import (
    CentralCriticPolicy,
    opponents_observed,
    seen_by_critic,
)
from rommeo_rllib.components import num_parameters, squash
from rommeo_rllib.distributions import ProductDistribution
from rommeo_rllib.joint_action.algorithm import JointActionAlgorithm
from rommeo_rllib.joint_action.modules.policy import JointActionPolicy
from rommeo_rllib.joint_action.replay.columns import OPPONENT_ACTIONS
from rommeo_rllib.joint_action.spaces.encoding import to_env_units
from rommeo_rllib.joint_action.spaces.opponent_mask import NEXT_OPPONENT_MASK, OPPONENT_MASK
from rommeo_rllib.joint_action.stochastic import (
    StochasticConfig,
    StochasticLearner,
    StochasticPolicy,
    alpha_loss,
    in_reward_units,
    later_alpha,
    present_alpha,
    soft_value,
)
from rommeo_rllib.joint_action.update import (
    ALPHA,
    POLICY_ENTROPY,
    POLICY_LOSS,
    POLICY_MEAN,
    Q_LOSS,
    Losses,
    Metrics,
    Update,
    mean_per_dimension,
)
from rommeo_rllib.rng import Rng


class MASACPolicy(CentralCriticPolicy, StochasticPolicy):
    """pi(a | s) and Q(x, a, o), x being what all agents observe."""

    def setup(self) -> None:
        """Builds the networks; on env runners only the policy."""
        super().setup()
        self.policy_network = self.build_network(
            self.observation_size, num_parameters(self.own_components)
        )
        if not self.inference_only:
            self.build_critic()
            self.build_alpha()

    def policy(self, observations: Tensor) -> ProductDistribution:
        """pi(a | s), given encoded observations, (B, observation size)."""
        return ProductDistribution(self.own_components, self.policy_network(observations))

    def take(
        self, observations: Tensor, explore: bool, rng: Rng, opponent_mask: Tensor | None
    ) -> tuple[Tensor, ProductDistribution, Tensor]:
        """What the agent does, whatever the others will do."""
        parameters = self.policy_network(observations)
        policy = ProductDistribution(self.own_components, parameters)
        latent = policy.rsample(rng) if explore else policy.mode()
        return squash(self.own_components, latent), policy, parameters


class MASACLearner(StochasticLearner):
    """Q by the soft Bellman error, the policy by Q and its entropy.

    Shapes below leave out the leading axis that policies computed together have.
    """

    def losses(self, update: Update) -> Losses:
        """All losses, each with gradients for its own networks only."""
        policy, columns = cast(MASACPolicy, update.policy), update.columns
        observations = policy.encode(columns[Columns.OBS])
        state = seen_by_critic(update, observations, Columns.OBS)
        target = update.td_target(lambda: self._next_value(update))
        q_loss = update.q_loss(state, columns[Columns.ACTIONS], columns[OPPONENT_ACTIONS], target)
        others = _sampled_opponents(update, Columns.OBS, OPPONENT_MASK)
        # Encoders learn from the Q-function's loss alone.
        pi = policy.policy(observations.detach())
        with policy.critic.frozen():
            value, entropy = soft_value(update, pi, state.detach(), others, present_alpha(update))
        return {
            Q_LOSS: q_loss,
            POLICY_LOSS: objective.policy_loss(value).mean(-1),
            **alpha_loss(update, entropy),
        }

    def _next_value(self, update: Update) -> Tensor:
        """Soft value of the next state, of those opponents who act there, (B,)."""
        policy, name = cast(MASACPolicy, update.policy), Columns.NEXT_OBS
        observations = policy.encode(update.columns[name])
        seen_by_target = policy.encode_for_target(update.columns[name], observations)
        state = seen_by_critic(update, seen_by_target, name)
        others = _sampled_opponents(update, name, NEXT_OPPONENT_MASK)
        pi, alpha = policy.policy(observations), later_alpha(update)
        return soft_value(update, pi, state, others, alpha, target=True)[0]

    def policy_metrics(self, update: Update) -> Metrics:
        """Alpha, the policy's entropy and, in the environment's own units, its greedy action."""
        policy = cast(MASACPolicy, update.policy)
        pi = policy.policy(policy.encode(update.columns[Columns.OBS]))
        metrics = {
            ALPHA: in_reward_units(update, present_alpha(update)),
            POLICY_ENTROPY: pi.entropy().sum(-1).mean(-1),
        }
        if any(component.kind != "discrete" for component in policy.own_components):
            own = to_env_units(policy.action_space, squash(policy.own_components, pi.mode()))
            metrics |= mean_per_dimension(POLICY_MEAN, own)
        return metrics


def _sampled_opponents(update: Update, name: str, mask: str) -> Tensor:
    """What the opponents' own policies do, (B, action size of all); 0 for those who are absent.

    Args:
        update: the batch.
        name: of the column of what they observe, obs or new_obs.
        mask: name of the column that says who acts there.
    """
    assert update.opponents is not None
    policy = update.policy
    parameters = update.opponents.answers(opponents_observed(update, name), _parameters)
    distribution = ProductDistribution(policy.opponent_components, parameters.detach())
    actions = squash(policy.opponent_components, distribution.rsample(update.rng))
    return actions * policy.opponents.action_mask(update.columns[mask])


def _parameters(policy: JointActionPolicy, observations: Tensor) -> Tensor:
    """Those of an opponent's policy, given its observations, not encoded."""
    policy = cast(MASACPolicy, policy)
    return policy.policy_network(policy.encode(observations))


class MASACConfig(StochasticConfig):
    """Configuration of MASAC; `policy_mapping_fn` must go by agent ids alone."""

    POLICY_CLASS = MASACPolicy
    LEARNER_CLASS = MASACLearner

    def __init__(self, algo_class: type | None = None):
        super().__init__(algo_class=algo_class or MASAC)
        self.twin_q = True


class MASAC(JointActionAlgorithm):
    """Multi-agent soft actor-critic."""

    config: MASACConfig

    @classmethod
    def get_default_config(cls) -> AlgorithmConfig:
        """A :class:`MASACConfig`."""
        return MASACConfig()
