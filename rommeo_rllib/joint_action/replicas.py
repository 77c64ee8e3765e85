"""Replicas: independent copies of the game and its agents within one trial.

Replica r of policy "player_0" is called "player_0@r" and computes what "player_0" computes in a
trial of its own whose seed is r higher.
"""

from __future__ import annotations

from collections.abc import Iterable

SEPARATOR = "@"

REPLICAS = "replicas"
"""Key of the results under which lists stand, one entry a replica."""


def replica_id(policy: str, replica: int) -> str:
    """The id of one replica's copy of `policy`."""
    return f"{policy}{SEPARATOR}{replica}"


def split_id(module_id: str, policies: Iterable[str]) -> tuple[str, int]:
    """(policy, replica) of a module id; a policy without replicas is replica 0."""
    if module_id in policies:
        return module_id, 0
    policy, _, replica = module_id.rpartition(SEPARATOR)
    return policy, int(replica)
