"""What the RLModules of all algorithms here have in common."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from ray.rllib.core.columns import Columns
from ray.rllib.core.distribution.distribution import Distribution
from ray.rllib.core.rl_module.apis import InferenceOnlyAPI
from ray.rllib.core.rl_module.torch import TorchRLModule
from torch import Tensor, nn

from rommeo_rllib.components import action_size, broad_latent, squash
from rommeo_rllib.joint_action.modules.action_distribution import DeterministicActions
from rommeo_rllib.joint_action.modules.gradients import evaluated
from rommeo_rllib.joint_action.modules.image_encoder import ImageEncoder, has_images
from rommeo_rllib.joint_action.modules.networks import Network, initialise, mlp
from rommeo_rllib.joint_action.spaces.agents import Opponents
from rommeo_rllib.joint_action.spaces.encoding import (
    action_components,
    decode_nested_actions,
    encode_observations,
    observation_size,
)
from rommeo_rllib.joint_action.spaces.opponent_mask import OPPONENT_MASK
from rommeo_rllib.rng import GLOBAL_RNG, Rng, seeded_generator

OPPONENTS = "opponents"
"""Key of the model config under which a policy finds its :class:`Opponents`."""

INIT_KEY = "init_key"
"""Key of the model config: numbers that determine the first weights; without it, chance does."""

RANDOM_WARM_UP = "random_warm_up"
"""Key of the model config: whether to explore at random until the first update."""


class JointActionPolicy(TorchRLModule, InferenceOnlyAPI):
    """A policy that knows the form of its opponents' actions.

    Subclasses build their networks in `setup()` and act in `act()`. Which agents are the opponents
    is found out by the configuration and comes in with the model config.
    """

    ACTION_KINDS = frozenset({"continuous", "unbounded", "discrete"})
    """Kinds of actions, the opponents' included, that the algorithm can do."""

    TRAINS_CENTRALLY = False
    """Whether training needs what the opponents observe, and their own policies."""

    OPTIONAL_PARAMETERS = frozenset[str]()
    """Parameters that a run may be restored without, or that a state may have in vain."""

    opponents: Opponents
    rng: Rng = GLOBAL_RNG

    def __init__(self, *args: Any, **kwargs: Any):
        # First weights depend on the seed and the policy alone, not on what else has drawn random
        # numbers in this process before.
        key = (kwargs.get("model_config") or {}).get(INIT_KEY)
        if key is None:
            super().__init__(*args, **kwargs)
            return
        with torch.random.fork_rng(devices=[]):
            torch.set_rng_state(seeded_generator(*key).get_state())
            super().__init__(*args, **kwargs)

    def setup(self) -> None:
        """Reads the spaces; raises a ValueError for one that is not supported."""
        if OPPONENTS not in self.model_config:
            raise ValueError(
                f"`model_config` of {type(self).__name__} lacks {OPPONENTS!r}; build the policy "
                "through its algorithm's config, or from a checkpoint; to add one, take another's "
                "spec: RLModuleSpec.from_module(algo.get_module(...))."
            )
        if self.model_config.get("use_lstm"):
            raise ValueError(
                "`use_lstm` is True in the model config; allowed: False, since the replay holds "
                "single steps. rommeo_rllib.frame_stacking.StackFrames gives a memory."
            )
        self.opponents = self.model_config[OPPONENTS]
        self.own_components = action_components(self.action_space, "A policy")
        self.opponent_components = self.opponents.all_components
        self.own_action_size = action_size(self.own_components)
        self.opponent_action_size = action_size(self.opponent_components)
        self.observation_size = observation_size(self.observation_space, "A policy")
        self.encoder = self.build_encoder()
        if self.encoder is not None:
            with torch.no_grad(), evaluated(self.encoder):
                features = self.encoder(torch.zeros(1, self.observation_size))
            self.observation_size = features.shape[-1]
        if self.model_config.get(RANDOM_WARM_UP):
            # A parameter, so that env runners get it with the weights and checkpoints hold it.
            self.has_learned = nn.Parameter(torch.tensor(0.0), requires_grad=False)

    def build_encoder(self) -> nn.Module | None:
        """What turns flat observations into features for all networks; None for no change.

        RLlib's convolutions for images; a subclass may build anything else. It is trained by the
        Q-function's loss alone, and all other networks see its features as they are. It is in
        training mode (dropout, batch normalisation) in the pass of that loss only. Target networks
        see the features of a copy that follows it as they follow theirs.

        Returns:
            A module from (rows, observation size) to (rows, features).
        """
        if has_images(self.observation_space, self.model_config):
            return ImageEncoder(self.observation_space, self.model_config)
        return None

    def build_network(self, inputs: int, outputs: int, *, layer_norm: bool = False) -> Network:
        """A network as `model_config` describes it (`fcnet_hiddens`, `fcnet_activation`, ...)."""
        network = mlp(
            inputs,
            self.model_config["fcnet_hiddens"],
            outputs,
            self.model_config["fcnet_activation"],
            layer_norm=layer_norm,
        )
        initialise(network, self.model_config)
        return network

    def encode(self, observations: Any) -> Tensor:
        """Observations as the networks see them, (B, observation size).

        Args:
            observations: packed, (B, ...), or nested as RLlib hands them over.
        """
        flat = encode_observations(self.observation_space, observations)
        if self.encoder is None:
            return flat
        rows = flat.flatten(0, -2)
        with nullcontext() if self._encoder_learns() else evaluated(self.encoder):
            return self.encoder(rows).unflatten(0, flat.shape[:-1])

    def _encoder_learns(self) -> bool:
        """Whether the encoder is in a pass that trains it; else it computes as in evaluation."""
        assert self.encoder is not None
        parameters = list(self.encoder.parameters())
        is_frozen = bool(parameters) and not any(p.requires_grad for p in parameters)
        return torch.is_grad_enabled() and not is_frozen

    def choose(
        self,
        observations: Tensor,
        explore: bool,
        rng: Rng = GLOBAL_RNG,
        opponent_mask: Tensor | None = None,
    ) -> Tensor:
        """What to do: what :meth:`act` says or, in a random warm-up, anything."""
        if not (explore and self._warms_up()):
            return self.act(observations, explore, rng, opponent_mask)
        like = observations.new_empty(*observations.shape[:-1], self.own_action_size)
        return squash(self.own_components, broad_latent(self.own_components, like, rng))

    def act(
        self,
        observations: Tensor,
        explore: bool,
        rng: Rng = GLOBAL_RNG,
        opponent_mask: Tensor | None = None,
    ) -> Tensor:
        """What to do by what has been learned; for subclasses.

        Args:
            observations: encoded, (..., observation size).
            explore: sample, else act greedily.
            rng: random numbers.
            opponent_mask: 1 for each opponent that acts at this step, too, (..., opponents); None
                for all of them.

        Returns:
            Flat actions, (..., own action size).
        """
        raise NotImplementedError

    def _warms_up(self) -> bool:
        return hasattr(self, "has_learned") and not bool(self.has_learned.all())

    def decide(
        self,
        observations: Tensor,
        explore: bool,
        rng: Rng = GLOBAL_RNG,
        opponent_mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """What :meth:`act` says, and what tells the distribution that it was taken from.

        Returns:
            Flat actions, (..., own action size), and the parameters of an action distribution of
            :meth:`get_inference_action_dist_cls`, (..., n).
        """
        actions = self.act(observations, explore, rng, opponent_mask)
        return actions, actions

    def get_inference_action_dist_cls(self) -> type[Distribution]:
        """The class that makes of "action_dist_inputs" a distribution of actions, also to explore.

        Where a policy has no distribution, it is one of the actions alone.
        """
        return DeterministicActions.get_partial_dist_cls(space=self.action_space)

    def _forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        return self._actions(batch, explore=False)

    @torch.no_grad()
    def _forward_exploration(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        # An env runner says what time it is. It needs actions only, and each column costs it a
        # tenth of its time.
        return self._actions(batch, explore=True, tell="t" not in kwargs)

    def _actions(self, batch: dict[str, Any], explore: bool, tell: bool = True) -> dict[str, Any]:
        asked = (self.encode(batch[Columns.OBS]), explore, self.rng, batch.get(OPPONENT_MASK))
        if not tell or (explore and self._warms_up()):
            # Of uniform actions no parameters tell.
            return {Columns.ACTIONS: decode_nested_actions(self.action_space, self.choose(*asked))}
        actions, inputs = self.decide(*asked)
        return {
            Columns.ACTIONS: decode_nested_actions(self.action_space, actions),
            Columns.ACTION_DIST_INPUTS: inputs,
        }
