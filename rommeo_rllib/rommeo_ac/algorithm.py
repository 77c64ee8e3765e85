"""ROMMEO-AC as an RLlib algorithm and its configuration."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from typing_extensions import Self

from rommeo_rllib.checks import FLAG, FRACTION, NOT_NEGATIVE, check, count, one_of
from rommeo_rllib.joint_action.algorithm import JointActionAlgorithm
from rommeo_rllib.joint_action.settings.options import (
    PER_POLICY,
    STACKED,
    LearningRate,
    options,
)
from rommeo_rllib.joint_action.stochastic import StochasticConfig
from rommeo_rllib.rommeo_ac.learner import ROMMEOACLearner
from rommeo_rllib.rommeo_ac.policy import KEEPS_DIVERGENCE, ROMMEOPolicy
from rommeo_rllib.rommeo_ac.resampling import IMPORTANCE_SAMPLING, OPPONENT_MODELS, REPARAMETERISED
from rommeo_rllib.schedules import ScheduleSpec, make_schedule
from rommeo_rllib.temperatures import DIVERGENCE, RANDOMNESS, is_kept, make_kl_coeff


def _kl_coeff(name: str, value: Any) -> None:
    make_kl_coeff(value, name)


class ROMMEOACConfig(StochasticConfig):
    """Configuration of ROMMEO-AC.

    Examples:
        >>> config = (
        ...     ROMMEOACConfig()
        ...     .environment("max_of_two_quadratics")
        ...     .multi_agent(
        ...         policies={"player_0", "player_1"},
        ...         policy_mapping_fn=lambda agent_id, *args, **kwargs: agent_id,
        ...     )
        ...     .training(alpha={"initial": 20.0, "final": 0.1, "decay_steps": 1000})
        ... )
        >>> algorithm = config.build_algo()
    """

    POLICY_CLASS = ROMMEOPolicy
    LEARNER_CLASS = ROMMEOACLearner

    PAPER_NETWORKS: ClassVar[Mapping[str, Any]] = {
        "fcnet_hiddens": [100, 100],
        "fcnet_kernel_initializer": "xavier_uniform_",
        "fcnet_bias_initializer": "zeros_",
        "head_fcnet_kernel_initializer": "xavier_uniform_",
        "head_fcnet_bias_initializer": "zeros_",
    }
    """The model config of all networks in the program of the paper's authors."""

    def __init__(self, algo_class: type | None = None):
        super().__init__(algo_class=algo_class or ROMMEOAC)

    @options
    def training(
        self,
        *,
        kl_coeff: Annotated[ScheduleSpec, _kl_coeff, STACKED] = 1.0,
        opponent_model_lr: LearningRate = 3e-4,
        opponent_prior_lr: LearningRate = 3e-4,
        prior_window: Annotated[int | None, count().or_none()] = None,
        prior_uniform_weight: Annotated[float, FRACTION, PER_POLICY] = 0.05,
        uniform_opponent_fraction: Annotated[float, FRACTION, PER_POLICY] = 0.3,
        gaussian_l2: Annotated[float, NOT_NEGATIVE, PER_POLICY] = 0.0,
        prior_gaussian_l2: Annotated[float, NOT_NEGATIVE, PER_POLICY] = 0.0,
        pad_prior_window: Annotated[bool, FLAG, PER_POLICY] = False,
        opponent_model: Annotated[str, one_of(OPPONENT_MODELS), PER_POLICY] = REPARAMETERISED,
        **kwargs: Any,
    ) -> Self:
        """Sets what concerns training.

        Args:
            kl_coeff: weight of KL(opponent model || prior), in units of the reward; the paper's is
                1. A number or a schedule, as of `alpha`; 0 leaves the opponent model unregularised.
                Or, without the reward's unit, how far the opponent model may lean away from the
                prior, {"divergence": 2.0}, which may be a schedule, too: in nats for each
                dimension of an opponent's action (a choice counts as one), the mean over those who
                are there, since each of them has to lean as far as one alone would. The weight is
                then what keeps it there, and Q does not count it for later steps.
            opponent_model_lr: learning rate of the opponent model.
            opponent_prior_lr: learning rate of the opponent prior.
            prior_window: the prior is fitted to this many most recent env steps; None for the
                whole replay.
            prior_uniform_weight: share of a uniform distribution in the prior that holds the
                opponent model back, so that it may consider what was not seen for long.
            uniform_opponent_fraction: share of uniformly random opponents' actions among those
                that the policy learns to answer.
            gaussian_l2: weight of a penalty on policy and opponent model, of continuous actions:
                half the mean squares of their latent means and of the logarithms of their standard
                deviations.
            prior_gaussian_l2: the same for the opponent prior.
            pad_prior_window: whether, until `prior_window` env steps have been sampled, the missing
                ones count as observations and actions of 0 (the middle of the range): what the
                paper's authors' program does.
            opponent_model: "reparameterised" fits policy and opponent model by the gradients of
                Eq. 18 and 19; "importance_sampling" fits both to sampled actions, weighted by
                Eq. 10 and 11, which finds the better one of several modes and suits actions of few
                dimensions, at a multiple of the cost, and choices (see docs/deviations.md).
            **kwargs: what :meth:`StochasticConfig.training` takes, `alpha` above all.

        Raises:
            ValueError: for an unknown key; it names the nearest right one.
        """
        return super().training(**kwargs)

    def paper_settings(self) -> Self:
        """The settings of the paper's authors for Max of Two Quadratics, from their program.

        Their program ends the game after each play, with a discount of 0.95: which is what gamma 0
        says. In it agents observe 0, which is up to the game (`constant_observation`): with biases
        that begin at 0 as well, nothing but the last layer's biases of opponent model and prior
        ever changes.
        """
        # alpha = 0.1 + 500 exp(-0.1 max(play - 10, 0)), exact at each play. Their first play is
        # number 0, and the clock has counted a play when it is learned from.
        alpha = [[t, 0.1 + 500.0 * math.exp(-0.1 * max(t - 11, 0))] for t in range(302)]
        return self.training(
            alpha=[*alpha, [303, 0.1]],
            kl_coeff=1.0,
            gamma=0.0,
            tau=0.01,
            train_batch_size_per_learner=512,
            updates_per_env_step=1.0,
            num_steps_sampled_before_learning_starts=11,
            prior_window=512,
            pad_prior_window=True,
            gaussian_l2=0.001,
            prior_gaussian_l2=1.0,
            prior_uniform_weight=0.0,
            uniform_opponent_fraction=0.0,
            q_layer_norm=False,
            q_lr=0.01,
            policy_lr=0.01,
            opponent_model_lr=0.01,
            opponent_prior_lr=0.01,
        ).rl_module(model_config=self.PAPER_NETWORKS)

    def without_units(self, env_steps: int) -> Self:
        """Settings of alpha, the KL weight and Q that know no unit of the reward, for a whole run.

        A quarter of it is spent exploring nearly at random; then the policy becomes sure of its
        answers, and the opponent model leans towards the best of them (docs/choosing_alpha.md).

        Args:
            env_steps: length of the run; what Tune's `stop` says, at least 10.

        Raises:
            ValueError: for another length.
        """
        count(least=10)("env_steps", env_steps)

        def over_the_run(*points: tuple[float, float]) -> list[list[float]]:
            return [[int(fraction * env_steps), value] for fraction, value in points]

        randomness = over_the_run((0.0, 1.0), (0.25, 0.9), (0.37, 0.1), (1.0, 0.03))
        divergence = over_the_run((0.0, 0.02), (0.35, 0.05), (0.5, 1.5))
        return self.training(
            alpha={RANDOMNESS: randomness}, kl_coeff={DIVERGENCE: divergence}, normalise_q=True
        )

    def check_values(self) -> None:
        """Checks every value; raises a ValueError that names field, value and what is allowed."""
        super().check_values()
        has_window = self.prior_window is not None or not self.pad_prior_window
        check("pad_prior_window", self.pad_prior_window, has_window, "False without `prior_window`")
        if self.opponent_model == IMPORTANCE_SAMPLING and not is_kept(self.kl_coeff, DIVERGENCE):
            # Eq. 11 divides by it.
            make_schedule(self.kl_coeff, "kl_coeff")

    @property
    def _model_config_auto_includes(self) -> dict[str, Any]:
        return super()._model_config_auto_includes | {
            KEEPS_DIVERGENCE: is_kept(self.kl_coeff, DIVERGENCE)
        }

    @property
    def recent_window(self) -> int | None:
        """Env steps that the opponent prior is fitted to."""
        return self.prior_window


class ROMMEOAC(JointActionAlgorithm):
    """Regularised opponent model with maximum entropy objective, actor-critic (Algorithm 2)."""

    config: ROMMEOACConfig

    @classmethod
    def get_default_config(cls) -> AlgorithmConfig:
        """A :class:`ROMMEOACConfig`."""
        return ROMMEOACConfig()
