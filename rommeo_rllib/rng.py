"""Random numbers for sampling actions, one independent stream a policy.

A policy draws the same numbers whether it computes alone or stacked with others, and whatever else
happens in the process: a run of many policies repeats the runs of each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Generator, Tensor


class Rng:
    """Torch's global stream of random numbers."""

    def normal_like(self, tensor: Tensor) -> Tensor:
        """Standard normal numbers of the shape and type of `tensor`."""
        return torch.randn_like(tensor)

    def uniform_like(self, tensor: Tensor) -> Tensor:
        """Numbers uniform in [0, 1) of the shape and type of `tensor`."""
        return torch.rand_like(tensor)


GLOBAL_RNG = Rng()


class PolicyRng(Rng):
    """A stream for each of several policies.

    Args:
        generators: one a policy.
        stacked: whether tensors have a leading axis, one entry a policy; else there must be a
            single policy.
    """

    def __init__(self, generators: Sequence[Generator], *, stacked: bool):
        assert stacked or len(generators) == 1
        self._generators = list(generators)
        self._stacked = stacked

    def normal_like(self, tensor: Tensor) -> Tensor:
        """Standard normal numbers of the shape and type of `tensor`."""
        out = torch.empty_like(tensor)
        for part, generator in self._parts(out):
            part.normal_(generator=generator)
        return out

    def uniform_like(self, tensor: Tensor) -> Tensor:
        """Numbers uniform in [0, 1) of the shape and type of `tensor`."""
        out = torch.empty_like(tensor)
        for part, generator in self._parts(out):
            part.uniform_(generator=generator)
        return out

    def _parts(self, out: Tensor) -> list[tuple[Tensor, Generator]]:
        parts = out.unbind(0) if self._stacked else (out,)
        return list(zip(parts, self._generators, strict=True))


def seeded_generator(*key: int, device: torch.device | str | None = None) -> Generator:
    """A stream that is determined by the numbers in `key`."""
    (seed,) = np.random.SeedSequence(key).generate_state(1, np.uint64)
    return Generator(device=device or "cpu").manual_seed(int(seed >> 1))


RNG_STREAMS = "noise"
"""Key under which env runners and learners store their policies' streams."""


def streams_state(generators: Mapping[str, Generator]) -> dict[str, np.ndarray]:
    """Where each policy's stream is, to go on from there."""
    return {policy: generator.get_state().numpy() for policy, generator in generators.items()}


def restore_streams(generators: Mapping[str, Generator], state: Mapping[str, np.ndarray]) -> None:
    """Moves the streams to where :func:`streams_state` found them; unknown policies are skipped."""
    for policy, stored in state.items():
        if policy in generators:
            generators[policy].set_state(torch.from_numpy(stored))
