"""A trained policy that acts in the environment's own terms."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from typing_extensions import Self

from rommeo_rllib.deployment.checkpoints import load_policy
from rommeo_rllib.joint_action.encoding import decode_actions, env_actions
from rommeo_rllib.joint_action.packing import pack
from rommeo_rllib.joint_action.policy import JointActionPolicy
from rommeo_rllib.noise import PolicyNoise, seeded_generator


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
        device = next(policy.parameters()).device
        self._noise = PolicyNoise([seeded_generator(key, device=device)], stacked=False)

    @classmethod
    def from_checkpoint(cls, checkpoint: str | Path, policy: str, seed: int | None = None) -> Self:
        """A player with the policy of that id.

        Raises:
            ValueError: if there is none in the checkpoint, or it is of a foreign kind.
        """
        loaded = load_policy(checkpoint, policy)
        if not isinstance(loaded, JointActionPolicy):
            raise ValueError(
                f"Policy {policy!r} of {checkpoint} is a {type(loaded).__name__}; allowed: "
                "policies of this package's algorithms."
            )
        return cls(loaded, seed)

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
        """
        device = next(self.policy.parameters()).device
        packed = torch.from_numpy(np.stack([pack(o) for o in observations])).to(device)
        mask = None if opponent_mask is None else torch.as_tensor(opponent_mask).to(device).float()
        flat = self.policy.act(self.policy.encode(packed), explore, self._noise, mask)
        space = self.policy.action_space
        return env_actions(space, decode_actions(space, flat).cpu().numpy())
