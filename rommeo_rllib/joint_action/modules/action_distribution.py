"""Actions and their distributions in the form that programs written for RLlib ask for.

`module.get_inference_action_dist_cls().from_logits(out["action_dist_inputs"])` is what such a
program does with what `module.forward_inference` returns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import torch
import torch.nn.functional as F
import tree
from ray.rllib.core.distribution.distribution import Distribution
from ray.rllib.core.distribution.torch.torch_distribution import TorchDeterministic
from torch import Tensor

from rommeo_rllib.components import action_size, num_parameters, squash, unsquash
from rommeo_rllib.distributions import ChoiceMixture, ProductDistribution
from rommeo_rllib.joint_action.modules.critic import listed_choices
from rommeo_rllib.joint_action.spaces.encoding import action_components, decode_nested_actions
from rommeo_rllib.joint_action.spaces.packing import leaf_spaces


class ActionDistribution(Distribution):
    """Actions of any space, their parts independent of each other.

    Samples are nested as the space is; bounded Boxes are in [-1, 1], as RLlib's modules have them
    before its connector scales them to the environment's units.

    Args:
        logits: parameters of a :class:`ProductDistribution`, (..., parameters).
        space: the action space.
    """

    def __init__(self, logits: Tensor, space: gym.Space):
        super().__init__()
        self.space, self.logits = space, torch.as_tensor(logits)
        self._components = action_components(space, "A policy")

    @classmethod
    def from_logits(cls, logits: Tensor, **kwargs: Any) -> ActionDistribution:
        """The distribution with these parameters; needs the `space`."""
        return cls(logits, **kwargs)

    @staticmethod
    def required_input_dim(space: gym.Space, **kwargs: Any) -> int:
        """How many parameters describe a distribution over `space`."""
        return num_parameters(action_components(space, "A policy"))

    def sample(
        self, *, sample_shape: Sequence[int] | None = None, return_logp: bool = False, **kwargs: Any
    ) -> Any:
        """Actions, (*sample_shape, ..., *shape); with `return_logp` also their log-probability."""
        with torch.no_grad():
            return self._draw(sample_shape, return_logp)

    def rsample(
        self, *, sample_shape: Sequence[int] | None = None, return_logp: bool = False, **kwargs: Any
    ) -> Any:
        """Like `sample`, with a gradient to the parameters.

        Raises:
            TypeError: if a part of the action is a choice, which has none.
        """
        if any(component.kind == "discrete" for component in self._components):
            raise TypeError(
                f"rsample() of {self.space} is not defined, since no gradient flows through "
                "choices; allowed: Box, and Dict and Tuple of these. Call sample()."
            )
        return self._draw(sample_shape, return_logp)

    def logp(self, value: Any, **kwargs: Any) -> Tensor:
        """Log-probability of actions, nested as samples are, (...)."""
        latent = unsquash(self._components, _encoded(self.space, value).to(self.logits))
        return self._distribution().log_prob(latent).sum(-1)

    def entropy(self, **kwargs: Any) -> Tensor:
        """Entropy in nats, of bounded Boxes as actions in [-1, 1], (...)."""
        return self._distribution().entropy().sum(-1)

    def kl(self, other: Distribution, **kwargs: Any) -> Tensor:
        """KL(self || other), exact, in nats, (...)."""
        assert isinstance(other, ActionDistribution)
        return self._distribution().exact_kl_divergence(other._distribution()).sum(-1)

    def to_deterministic(self) -> DeterministicActions:
        """What a greedy agent does: the likeliest choice, the (squashed) mean of a Gaussian."""
        mode = self._distribution().mode()
        return DeterministicActions(squash(self._components, mode), self.space)

    def _distribution(self, leading: Sequence[int] = ()) -> Any:
        """A product of distributions, or what has its methods."""
        return ProductDistribution(
            self._components, self.logits.expand(*leading, *self.logits.shape)
        )

    def _draw(self, sample_shape: Sequence[int] | None, return_logp: bool) -> Any:
        latent, log_prob = self._distribution(sample_shape or ()).rsample_and_log_prob()
        actions = decode_nested_actions(self.space, squash(self._components, latent))
        return (actions, log_prob.sum(-1)) if return_logp else actions


class MixtureActions(ActionDistribution):
    """Choices whose parts depend on each other: one of several distributions, which chance decides.

    Args:
        logits: parameters of a :class:`ChoiceMixture`, (..., parameters).
        space: the action space, of choices alone.
        products: how many distributions there are.
    """

    def __init__(self, logits: Tensor, space: gym.Space, products: int):
        super().__init__(logits, space)

    @staticmethod
    def required_input_dim(space: gym.Space, **kwargs: Any) -> int:
        """How many parameters describe a mixture of `products` distributions over `space`."""
        return kwargs["products"] * (1 + ActionDistribution.required_input_dim(space))

    def _distribution(self, leading: Sequence[int] = ()) -> ChoiceMixture:
        logits = self.logits.expand(*leading, *self.logits.shape)
        choices = listed_choices(self._components)
        choices = None if choices is None else choices.to(logits)
        return ChoiceMixture(self._components, logits, choices)


class DeterministicActions(TorchDeterministic):
    """Always the same actions, nested as the space is.

    Args:
        loc: the actions as networks see them, (..., action size).
        space: the action space.
    """

    def __init__(self, loc: Tensor, space: gym.Space):
        super().__init__(torch.as_tensor(loc))
        self.space = space

    @classmethod
    def from_logits(cls, logits: Tensor, **kwargs: Any) -> DeterministicActions:
        """The actions themselves; needs the `space`."""
        return cls(logits, **kwargs)

    @staticmethod
    def required_input_dim(space: gym.Space, **kwargs: Any) -> int:
        """Length of an action as networks see it."""
        return action_size(action_components(space, "A policy"))

    def sample(
        self, *, sample_shape: Sequence[int] | None = None, return_logp: bool = False, **kwargs: Any
    ) -> Any:
        """The actions, (*sample_shape, ..., *shape); with `return_logp` also zeros, as `logp`."""
        loc = self.loc.expand(*(sample_shape or ()), *self.loc.shape)
        actions = decode_nested_actions(self.space, loc)
        return (actions, torch.zeros_like(loc[..., 0])) if return_logp else actions

    def logp(self, value: Any, **kwargs: Any) -> Tensor:
        """Zeros, as of RLlib's own class, (...)."""
        return torch.zeros_like(self.loc[..., 0])


def _encoded(space: gym.Space, actions: Any) -> Tensor:
    """Nested actions as the networks see them, (..., action size)."""
    parts = []
    for leaf, value in zip(leaf_spaces(space), tree.flatten(actions), strict=True):
        assert leaf.shape is not None
        value = torch.as_tensor(value)
        leading = value.shape[: value.ndim - len(leaf.shape)]
        flat = value.reshape(*leading, -1)
        if isinstance(leaf, gym.spaces.Box):
            parts.append(flat.float())
            continue
        sizes = [component.size for component in action_components(leaf, "A policy")]
        first = torch.as_tensor(np.ravel(getattr(leaf, "start", 0)).copy(), device=flat.device)
        choices = (flat.long() - first).unbind(-1)
        parts += [F.one_hot(c, n).float() for c, n in zip(choices, sizes, strict=True)]
    return torch.cat(parts, dim=-1)
