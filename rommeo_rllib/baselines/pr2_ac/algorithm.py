"""PR2-AC as an RLlib algorithm and its configuration."""

from __future__ import annotations

from typing import Any

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from typing_extensions import Self

from rommeo_rllib.baselines.pr2_ac.policy import PR2Policy
from rommeo_rllib.joint_action.algorithm import JointActionAlgorithm
from rommeo_rllib.joint_action.config import NotProvided
from rommeo_rllib.joint_action.deterministic import DeterministicConfig
from rommeo_rllib.schedules import ScheduleSpec, make_schedule


class PR2ACConfig(DeterministicConfig):
    """Configuration of PR2-AC."""

    STACKED_KEYS = DeterministicConfig.STACKED_KEYS | {"alpha"}
    PER_POLICY_KEYS = DeterministicConfig.PER_POLICY_KEYS | {"alpha", "opponent_model_lr"}

    def __init__(self, algo_class: type | None = None):
        super().__init__(algo_class=algo_class or PR2AC)
        self.alpha: ScheduleSpec = 1.0
        self.opponent_model_lr: ScheduleSpec = 3e-4

    def training(
        self,
        *,
        alpha: ScheduleSpec = NotProvided,
        opponent_model_lr: ScheduleSpec = NotProvided,
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
        own = {"alpha": alpha, "opponent_model_lr": opponent_model_lr}
        self._set_provided(own)
        return super().training(**kwargs)

    def check_values(self) -> None:
        """Checks every value; raises a ValueError that names field, value and what is allowed."""
        super().check_values()
        make_schedule(self.alpha, "alpha")
        make_schedule(self.opponent_model_lr, "opponent_model_lr", allow_zero=True)

    def get_default_rl_module_spec(self) -> RLModuleSpec:
        """A :class:`PR2Policy` for each policy."""
        return RLModuleSpec(module_class=PR2Policy)

    def get_default_learner_class(self) -> type:
        """PR2-AC's learner."""
        from rommeo_rllib.baselines.pr2_ac.learner import PR2ACLearner

        return PR2ACLearner


class PR2AC(JointActionAlgorithm):
    """Probabilistic recursive reasoning, actor-critic, level 1 (Wen et al. 2019)."""

    config: PR2ACConfig

    @classmethod
    def get_default_config(cls) -> AlgorithmConfig:
        """A :class:`PR2ACConfig`."""
        return PR2ACConfig()
