"""MASQL as an RLlib algorithm and its configuration."""

from __future__ import annotations

from typing import Any

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from typing_extensions import Self

from rommeo_rllib.baselines.masql.policy import MASQLPolicy
from rommeo_rllib.joint_action.algorithm import JointActionAlgorithm
from rommeo_rllib.joint_action.checks import check, check_count
from rommeo_rllib.joint_action.config import JointActionConfig, NotProvided
from rommeo_rllib.schedules import ScheduleSpec, make_schedule


class MASQLConfig(JointActionConfig):
    """Configuration of MASQL."""

    STACKED_KEYS = frozenset({"alpha"})
    PER_POLICY_KEYS = JointActionConfig.PER_POLICY_KEYS | {
        "alpha",
        "particles",
        "policy_lr",
        "value_particles",
    }

    def __init__(self, algo_class: type | None = None):
        super().__init__(algo_class=algo_class or MASQL)
        self.alpha: ScheduleSpec = 1.0
        self.policy_lr: ScheduleSpec = 3e-4
        self.particles = 16
        self.value_particles = 16

    def training(
        self,
        *,
        alpha: ScheduleSpec = NotProvided,
        policy_lr: ScheduleSpec = NotProvided,
        particles: int = NotProvided,
        value_particles: int = NotProvided,
        **kwargs: Any,
    ) -> Self:
        """Sets what concerns training.

        Args:
            alpha: temperature of the joint policy, in units of the reward: a number or a schedule
                in env steps, as ROMMEO-AC's.
            policy_lr: learning rate of the sampler.
            particles: joint actions sampled for each row to train the sampler; an even number.
            value_particles: joint actions by which a next state's soft value is estimated.
            **kwargs: what :meth:`JointActionConfig.training` takes.

        Raises:
            ValueError: for an unknown key; it names the nearest right one.
        """
        own = {
            "alpha": alpha,
            "policy_lr": policy_lr,
            "particles": particles,
            "value_particles": value_particles,
        }
        self._set_provided(own)
        return super().training(**kwargs)

    def check_values(self) -> None:
        """Checks every value; raises a ValueError that names field, value and what is allowed."""
        super().check_values()
        make_schedule(self.alpha, "alpha")
        make_schedule(self.policy_lr, "policy_lr", allow_zero=True)
        check_count(self, "particles", least=2)
        check("particles", self.particles, self.particles % 2 == 0, "an even number")
        check_count(self, "value_particles")

    def get_default_rl_module_spec(self) -> RLModuleSpec:
        """A :class:`MASQLPolicy` for each policy."""
        return RLModuleSpec(module_class=MASQLPolicy)

    def get_default_learner_class(self) -> type:
        """MASQL's learner."""
        from rommeo_rllib.baselines.masql.learner import MASQLLearner

        return MASQLLearner


class MASQL(JointActionAlgorithm):
    """Multi-agent soft Q-learning (Wei et al. 2018)."""

    config: MASQLConfig

    @classmethod
    def get_default_config(cls) -> AlgorithmConfig:
        """A :class:`MASQLConfig`."""
        return MASQLConfig()
