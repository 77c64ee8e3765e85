"""A trained policy that acts in the environment's own terms."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from typing_extensions import Self

from rommeo_rllib.deployment.bundles import Bundle
from rommeo_rllib.deployment.checkpoints import Trained
from rommeo_rllib.joint_action.modules.policy import JointActionPolicy
from rommeo_rllib.joint_action.spaces.conversion import Misfit, converter
from rommeo_rllib.joint_action.spaces.encoding import decode_actions, env_actions
from rommeo_rllib.joint_action.spaces.packing import pack
from rommeo_rllib.rng import PolicyRng, seeded_generator


class Player:
    """Observations of the environment in, actions of the environment out; needs no Ray.

    Args:
        policy: for example a :class:`ROMMEOPolicy`.
        seed: determines the actions of an exploring player; without it chance does.

    Examples:
        >>> player = Player.from_checkpoint("results/checkpoint_000009", "player_0", seed=1)
        >>> actions = player.act([observation])
    """

    def __init__(self, policy: JointActionPolicy, seed: int | None = None):
        self.policy = policy
        key = secrets.randbits(31) if seed is None else seed
        self._converted = converter(policy.observation_space)
        self._env_action = converter(policy.action_space)
        device = next(policy.parameters()).device
        self._rng = PolicyRng([seeded_generator(key, device=device)], stacked=False)

    @classmethod
    def from_checkpoint(
        cls, checkpoint: str | Path, policy: str, seed: int | None = None, *, trust: bool = False
    ) -> Self:
        """A player with the policy of that id, from the checkpoint's bundle if it is in there.

        Args:
            checkpoint: the folder that `Algorithm.save_to_path` or Tune wrote, or a bundle.
            policy: its id.
            seed: as for the class.
            trust: whether a policy that is in no bundle may be read from pickled objects, which
                runs whatever code they name.

        Raises:
            NotTrusted: if it would have to be trusted; it names the files.
            ValueError: if there is none in the checkpoint, or it is of a foreign kind.
        """
        return player_of(Trained(checkpoint, trust=trust), policy, seed, kind=cls)

    @classmethod
    def from_bundle(cls, bundle: str | Path, policy: str, seed: int | None = None) -> Self:
        """A player with the policy of that id; runs no code from the files that it reads.

        Args:
            bundle: a folder that `rommeo export --bundle` wrote, or a checkpoint with a bundle.
            policy: its id.
            seed: as for the class.

        Raises:
            ValueError: if it is not there, or the bundle is damaged or of a foreign version.
        """
        return cls(Bundle(bundle).policy(policy), seed)

    @torch.no_grad()
    def act(
        self,
        observations: Sequence[Any],
        *,
        explore: bool = False,
        opponent_mask: np.ndarray | None = None,
    ) -> Sequence[Any]:
        """An action for each observation, in the environment's own units.

        Args:
            observations: B of the environment's observations of this agent.
            explore: sample, else act greedily.
            opponent_mask: 1 for each opponent that acts at this step, too, (B, opponents); None
                for all of them.

        Raises:
            ValueError: for an observation that its space cannot hold, or a mask of another shape.
        """
        if len(observations) == 0:
            return []
        device = next(self.policy.parameters()).device
        packed = np.stack([self._packed(index, one) for index, one in enumerate(observations)])
        mask = None
        if opponent_mask is not None:
            mask = torch.as_tensor(np.asarray(opponent_mask, np.float32)).to(device)
            expected = (len(observations), len(self.policy.opponents.action_spaces))
            if mask.shape != expected:
                raise ValueError(
                    f"`opponent_mask` has the shape {tuple(mask.shape)}; allowed: {expected}, a "
                    "row for each observation and a number for each opponent."
                )
        encoded = self.policy.encode(torch.from_numpy(packed).to(device))
        flat = self.policy.act(encoded, explore, self._rng, mask)
        space = self.policy.action_space
        actions = env_actions(space, decode_actions(space, flat).cpu().numpy())
        return [self._env_action(action) for action in actions]

    def _packed(self, index: int, observation: Any) -> np.ndarray:
        try:
            return pack(self._converted(observation))
        except Misfit as misfit:
            raise ValueError(
                f"`observations[{index}]` {misfit}; the policy's observation space is "
                f"{self.policy.observation_space}."
            ) from None


_AnyPlayer = TypeVar("_AnyPlayer", bound=Player)


def player_of(
    trained: Trained, policy: str, seed: int | None = None, *, kind: type[_AnyPlayer]
) -> _AnyPlayer:
    """A player with a policy of a checkpoint or bundle.

    Raises:
        ValueError: if there is none of that id, it is of a foreign kind, or nobody vouches for it.
    """
    loaded = trained.policy(policy)
    if not isinstance(loaded, JointActionPolicy):
        raise ValueError(
            f"Policy {policy!r} of {trained.path} is a {type(loaded).__name__}; allowed: policies "
            "of this package's algorithms."
        )
    return kind(loaded, seed)
