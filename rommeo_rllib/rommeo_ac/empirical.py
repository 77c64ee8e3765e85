"""ROMMEO-AC-EMP, the ablation: the opponent model is the prior, what opponents really did.

What the paper's ROMMEO-Q-EMP is for the tabular algorithm, for the actor-critic.
"""

from __future__ import annotations

from collections.abc import Iterator

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from typing_extensions import Self

from rommeo_rllib.checks import one_of
from rommeo_rllib.naming import shown
from rommeo_rllib.rommeo_ac.algorithm import ROMMEOAC, ROMMEOACConfig
from rommeo_rllib.rommeo_ac.policy import ROMMEOPolicy
from rommeo_rllib.rommeo_ac.resampling import REPARAMETERISED


class ROMMEOEMPPolicy(ROMMEOPolicy):
    """One network is both the prior and the opponent model."""

    LEARNS_OPPONENT_MODEL = False


class ROMMEOACEMPConfig(ROMMEOACConfig):
    """Configuration of the ablation, to which `opponent_model_lr` and `kl_coeff` do nothing."""

    POLICY_CLASS = ROMMEOEMPPolicy
    PER_POLICY_KEYS = ROMMEOACConfig.PER_POLICY_KEYS - {
        "kl_coeff",
        "opponent_model",
        "opponent_model_lr",
    }

    def __init__(self, algo_class: type | None = None):
        super().__init__(algo_class=algo_class or ROMMEOACEMP)
        # There is no divergence to soften.
        self.prior_uniform_weight = 0.0

    def settings_in_vain(self) -> Iterator[str]:
        """The learning rate of a network that is not there, and the weight of no divergence."""
        usual = type(self)()
        for name in ("kl_coeff", "opponent_model_lr"):
            value = getattr(self, name)
            if value != getattr(usual, name):
                yield (
                    f"`{name}` is {shown(value)}; the opponent model is the prior itself, and the "
                    "two do not diverge: leave it out."
                )

    def paper_settings(self) -> Self:
        """Those of ROMMEO-AC, but for what has no effect here."""
        config = super().paper_settings()
        return config.training(opponent_model_lr=type(self)().opponent_model_lr)

    def without_units(self, env_steps: int) -> Self:
        """Those of ROMMEO-AC, but for the KL weight, which has no effect here."""
        return super().without_units(env_steps).training(kl_coeff=type(self)().kl_coeff)

    def check_values(self) -> None:
        """Checks every value; raises a ValueError that names field, value and what is allowed."""
        super().check_values()
        one_of((REPARAMETERISED,)).of(self, "opponent_model")


class ROMMEOACEMP(ROMMEOAC):
    """ROMMEO-AC with the prior in the opponent model's place."""

    @classmethod
    def get_default_config(cls) -> AlgorithmConfig:
        """A :class:`ROMMEOACEMPConfig`."""
        return ROMMEOACEMPConfig()
