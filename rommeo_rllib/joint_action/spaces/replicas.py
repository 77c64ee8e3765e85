"""Replicas: independent copies of the game and its agents within one trial.

Replica r of policy "player_0" is called "player_0@r" and computes what "player_0" computes in a
trial of its own whose seed is r higher.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

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


def replica_order(module_id: str) -> tuple[str, int]:
    """Sorts module ids by policy, then by the replica's number."""
    policy, separator, replica = module_id.rpartition(SEPARATOR)
    return (policy, int(replica)) if separator and replica.isdecimal() else (module_id, -1)


class ReplicaBatches(Mapping[str, dict[str, np.ndarray]]):
    """A batch for each replica of each policy, by module id, all replicas' in common arrays.

    Args:
        by_policy: columns of each policy, (replicas, rows, ...).
    """

    def __init__(self, by_policy: Mapping[str, Mapping[str, np.ndarray]]):
        self._by_policy = by_policy

    def __getitem__(self, module_id: str) -> dict[str, np.ndarray]:
        policy, _, replica = module_id.rpartition(SEPARATOR)
        return {name: column[int(replica)] for name, column in self._by_policy[policy].items()}

    def __contains__(self, module_id: object) -> bool:
        policy, separator, _ = str(module_id).rpartition(SEPARATOR)
        return bool(separator) and policy in self._by_policy

    def __iter__(self) -> Iterator[str]:
        for policy, columns in self._by_policy.items():
            for replica in range(len(next(iter(columns.values())))):
                yield replica_id(policy, replica)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def stacked(self, module_ids: Sequence[str]) -> dict[str, np.ndarray] | None:
        """Columns of those modules, (modules, rows, ...); None if they do not make up policies."""
        policies = list(dict.fromkeys(replica_order(i)[0] for i in module_ids))
        of_policies = {p: self._by_policy[p] for p in policies if p in self._by_policy}
        if list(module_ids) != list(ReplicaBatches(of_policies)):
            return None
        parts = list(of_policies.values())
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
