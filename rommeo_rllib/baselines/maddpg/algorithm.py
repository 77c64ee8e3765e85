"""DDPG, DDPG-OM and MADDPG as RLlib algorithms, and their configurations."""

from __future__ import annotations

from typing import Any

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from typing_extensions import Self

from rommeo_rllib.baselines.maddpg.policy import DDPGOMPolicy, DDPGPolicy, MADDPGPolicy
from rommeo_rllib.joint_action.algorithm import JointActionAlgorithm
from rommeo_rllib.joint_action.checks import check_count
from rommeo_rllib.joint_action.config import NotProvided
from rommeo_rllib.joint_action.deterministic import DeterministicConfig
from rommeo_rllib.schedules import ScheduleSpec, make_schedule


class DDPGConfig(DeterministicConfig):
    """Configuration of independent DDPG learners."""

    def __init__(self, algo_class: type | None = None):
        super().__init__(algo_class=algo_class or DDPG)

    def get_default_rl_module_spec(self) -> RLModuleSpec:
        """A :class:`DDPGPolicy` for each policy."""
        return RLModuleSpec(module_class=DDPGPolicy)

    def get_default_learner_class(self) -> type:
        """DDPG's learner."""
        from rommeo_rllib.baselines.maddpg.learner import DDPGLearner

        return DDPGLearner


class DDPG(JointActionAlgorithm):
    """Deep deterministic policy gradient, independent learners (Lillicrap et al. 2016)."""

    config: DDPGConfig

    @classmethod
    def get_default_config(cls) -> AlgorithmConfig:
        """A :class:`DDPGConfig`."""
        return DDPGConfig()


class MADDPGConfig(DeterministicConfig):
    """Configuration of MADDPG; `policy_mapping_fn` must go by agent ids alone."""

    def __init__(self, algo_class: type | None = None):
        super().__init__(algo_class=algo_class or MADDPG)

    def get_default_rl_module_spec(self) -> RLModuleSpec:
        """A :class:`MADDPGPolicy` for each policy."""
        return RLModuleSpec(module_class=MADDPGPolicy)

    def get_default_learner_class(self) -> type:
        """MADDPG's learner."""
        from rommeo_rllib.baselines.maddpg.learner import MADDPGLearner

        return MADDPGLearner


class MADDPG(JointActionAlgorithm):
    """Multi-agent DDPG: central Q-functions, decentral policies (Lowe et al. 2017)."""

    config: MADDPGConfig

    @classmethod
    def get_default_config(cls) -> AlgorithmConfig:
        """A :class:`MADDPGConfig`."""
        return MADDPGConfig()


class DDPGOMConfig(DeterministicConfig):
    """Configuration of DDPG with an opponent model."""

    PER_POLICY_KEYS = DeterministicConfig.PER_POLICY_KEYS | {"opponent_model_lr"}

    def __init__(self, algo_class: type | None = None):
        super().__init__(algo_class=algo_class or DDPGOM)
        self.opponent_model_lr: ScheduleSpec = 3e-4
        self.opponent_window = 512

    def training(
        self,
        *,
        opponent_model_lr: ScheduleSpec = NotProvided,
        opponent_window: int = NotProvided,
        **kwargs: Any,
    ) -> Self:
        """Sets what concerns training.

        Args:
            opponent_model_lr: learning rate of the opponent model.
            opponent_window: the opponent model is fitted to this many most recent env steps.
            **kwargs: what :meth:`DeterministicConfig.training` takes.

        Raises:
            ValueError: for an unknown key; it names the nearest right one.
        """
        own = {"opponent_model_lr": opponent_model_lr, "opponent_window": opponent_window}
        self._set_provided(own)
        return super().training(**kwargs)

    def check_values(self) -> None:
        """Checks every value; raises a ValueError that names field, value and what is allowed."""
        super().check_values()
        make_schedule(self.opponent_model_lr, "opponent_model_lr", allow_zero=True)
        check_count(self, "opponent_window")

    def get_default_rl_module_spec(self) -> RLModuleSpec:
        """A :class:`DDPGOMPolicy` for each policy."""
        return RLModuleSpec(module_class=DDPGOMPolicy)

    def get_default_learner_class(self) -> type:
        """DDPG-OM's learner."""
        from rommeo_rllib.baselines.maddpg.learner import DDPGOMLearner

        return DDPGOMLearner


class DDPGOM(JointActionAlgorithm):
    """DDPG with an opponent model trained online with supervision (Tian et al. 2019, Section 5)."""

    config: DDPGOMConfig

    @classmethod
    def get_default_config(cls) -> AlgorithmConfig:
        """A :class:`DDPGOMConfig`."""
        return DDPGOMConfig()

    def _prior_window(self) -> int | None:
        return self.config.opponent_window
