"""Central training: what the opponents' own policies would do.

An algorithm whose policies have `TRAINS_CENTRALLY` gets, beside the columns of its own batch, what
each opponent observed (`opponent_column`), and in its `Update` this door to the opponents'
policies. Policies of equal shape answer together, one call for all who ask.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor

from rommeo_rllib.joint_action.modules.policy import JointActionPolicy
from rommeo_rllib.joint_action.modules.stacking import PolicyGroup
from rommeo_rllib.joint_action.spaces.agents import Opponents
from rommeo_rllib.joint_action.spaces.replicas import replica_id, split_id

_Slot = tuple[int, int]
"""(who asks, which of its opponents), both numbers."""


class OpponentPolicies:
    """Asks the policies of each opponent, those of many askers at once.

    Args:
        routes: for each policy that asks, in order, the module ids of its opponents.
        groups: all policies that learn here.
        stacked: whether the askers' tensors have an axis of policies.

    Raises:
        ValueError: if the policy of an opponent does not learn here; it names both.
    """

    def __init__(
        self,
        routes: Mapping[str, Sequence[str]],
        groups: Iterable[PolicyGroup],
        stacked: bool,
    ):
        self._groups = list(groups)
        self._stacked = stacked
        self._num_askers = len(routes)
        self._asked: dict[str, list[_Slot]] = {}
        known = {module_id for group in self._groups for module_id in group.ids}
        for asker, (module_id, opponents) in enumerate(routes.items()):
            for slot, opponent in enumerate(opponents):
                if opponent not in known:
                    raise ValueError(
                        f"Policy {module_id!r} is trained centrally, but its opponent's policy "
                        f"{opponent!r} is of another kind, whose actions are not known here."
                    )
                self._asked.setdefault(opponent, []).append((asker, slot))

    def answers(
        self,
        observations: Sequence[Tensor],
        answer: Callable[[JointActionPolicy, Tensor], Tensor],
    ) -> Tensor:
        """What the opponents' policies answer to what these opponents observe.

        Args:
            observations: for each opponent (B, ...) or, stacked, (policies, B, ...), not encoded.
            answer: from a policy (or several, stacked) and its observations, not encoded,
                (..., B, ...), to (..., B, n).

        Returns:
            One opponent's answer after the other: (B, sum of n) or (policies, B, sum of n).
        """
        rows = [one.unbind(0) if self._stacked else (one,) for one in observations]
        found: dict[_Slot, Tensor] = {}
        for group in self._groups:
            asked = [len(self._asked.get(module_id, ())) for module_id in group.ids]
            # Together only if all are asked equally often; else each policy on its own.
            for ids, policy, stacked in group.parts(len(set(asked)) == 1):
                slots = [self._asked.get(module_id, []) for module_id in ids]
                if not slots[0]:
                    continue
                inputs = [torch.stack([rows[s][asker] for asker, s in one]) for one in slots]
                given = torch.stack(inputs) if stacked else inputs[0]
                answers = answer(policy, given)
                for one, several in zip(slots, answers if stacked else [answers], strict=True):
                    found |= dict(zip(one, several.unbind(0), strict=True))
        by_opponent = [
            [found[asker, slot] for asker in range(self._num_askers)] for slot in range(len(rows))
        ]
        joined = [torch.stack(one) if self._stacked else one[0] for one in by_opponent]
        return torch.cat(joined, dim=-1)


def opponent_ids(module_id: str, opponents: Opponents, policies: Iterable[str]) -> list[str]:
    """The module ids of a policy's opponents: those of its own replica."""
    policy, replica = split_id(module_id, policies)
    if module_id == policy:
        return list(opponents.policies)
    return [replica_id(opponent, replica) for opponent in opponents.policies]
