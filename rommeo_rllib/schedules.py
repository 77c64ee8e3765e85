"""Schedules of alpha, the weight of the policy's entropy, and of the KL weight.

The clock of every schedule is **env steps sampled over the lifetime of the run**, all env runners
taken together. One env step is one step of the environment, whatever the number of agents that
acted in it. A schedule is a pure function of that clock: it is read from the configuration at each
update, so that a changed configuration (population-based training) takes effect at once.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np

from rommeo_rllib.checks import is_finite_number
from rommeo_rllib.naming import reject_unknown_keys, shown

ScheduleSpec: TypeAlias = float | Sequence[Sequence[float]] | Mapping[str, Any] | str
"""What a user writes, see :func:`make_schedule`."""


class Schedule(Protocol):
    """A value that depends on the number of env steps sampled so far."""

    def value(self, env_steps: int) -> float:
        """The value after `env_steps` env steps."""
        ...


@dataclass(frozen=True)
class Constant:
    """The same value throughout."""

    constant: float

    def value(self, env_steps: int) -> float:
        """The constant."""
        return self.constant


@dataclass(frozen=True)
class Piecewise:
    """Linear interpolation between points, constant after the last one (RLlib's own form)."""

    steps: tuple[float, ...]
    values: tuple[float, ...]

    def value(self, env_steps: int) -> float:
        """The value on the segment that holds `env_steps`."""
        return float(np.interp(env_steps, self.steps, self.values))


@dataclass(frozen=True)
class ExponentialDecay:
    """A fall (or rise) by the same factor at each step: `final` is reached at `decay_steps`."""

    initial: float
    final: float
    decay_steps: float

    def value(self, env_steps: int) -> float:
        """`initial * (final / initial) ** (t / decay_steps)`, and `final` from there on."""
        progress = min(env_steps / self.decay_steps, 1.0)
        return float(self.initial * (self.final / self.initial) ** progress)


def make_schedule(
    spec: ScheduleSpec, name: str, *, allow_zero: bool = False, at_most: float = math.inf
) -> Schedule:
    """Builds the schedule that `spec` describes.

    Args:
        spec: a number; RLlib's `[[env_step, value], ...]`, whose first step is 0; or
            `{"initial": 500.0, "final": 0.1, "decay_steps": 1000, "kind": "linear"}`, which reaches
            `final` at `decay_steps` env steps and stays there. `kind` is "linear" (the default) or
            "exponential".
        name: the configuration's key, for error messages.
        allow_zero: whether values may be 0; otherwise they must be above it.
        at_most: the greatest value allowed.

    Raises:
        ValueError: naming the field, its value and what is allowed.
    """
    if isinstance(spec, Mapping):
        return _decay(spec, name, allow_zero, at_most)
    if isinstance(spec, Sequence) and not isinstance(spec, str):
        return _piecewise(spec, name, allow_zero, at_most)
    return Constant(number(spec, name, allow_zero, at_most))


def _decay(spec: Mapping[str, Any], name: str, allow_zero: bool, at_most: float) -> Schedule:
    reject_unknown_keys(spec, ("initial", "final", "decay_steps", "kind"), name)
    missing = {"initial", "final", "decay_steps"} - set(spec)
    if missing:
        raise ValueError(
            f"`{name}` is {shown(dict(spec))} and lacks {sorted(missing)}; a decay needs "
            "initial, final and decay_steps (in env steps)."
        )
    kind = spec.get("kind", "linear")
    # No factor leads to or from 0.
    allow_zero = allow_zero and kind != "exponential"
    initial = number(spec["initial"], f"{name}['initial']", allow_zero, at_most)
    final = number(spec["final"], f"{name}['final']", allow_zero, at_most)
    steps = number(spec["decay_steps"], f"{name}['decay_steps']")
    if kind == "linear":
        return Piecewise((0.0, steps), (initial, final))
    if kind == "exponential":
        return ExponentialDecay(initial, final, steps)
    raise ValueError(f"`{name}['kind']` is {shown(kind)}; allowed: 'linear', 'exponential'.")


def _piecewise(spec: Sequence[Any], name: str, allow_zero: bool, at_most: float) -> Schedule:
    if not spec or any(not isinstance(p, Sequence) or len(p) != 2 for p in spec):
        raise ValueError(f"`{name}` is {shown(spec)}; a list must hold [env_step, value] pairs.")
    steps = [p[0] for p in spec]
    if not all(is_finite_number(s) for s in steps):
        raise ValueError(
            f"`{name}` has steps {shown(steps)}; allowed: finite numbers of env steps."
        )
    if steps[0] != 0:
        raise ValueError(
            f"`{name}` starts at env step {shown(steps[0])}; the first point must be at 0."
        )
    if any(later <= earlier for earlier, later in itertools.pairwise(steps)):
        raise ValueError(
            f"`{name}` has steps {shown(steps)}; they must increase from point to point."
        )
    values = [number(p[1], f"{name} at env step {p[0]}", allow_zero, at_most) for p in spec]
    return Piecewise(tuple(map(float, steps)), tuple(values))


def number(value: Any, name: str, allow_zero: bool = False, at_most: float = math.inf) -> float:
    """`value` as a float above 0 (or 0) and up to `at_most`, else a ValueError that names it."""
    if (
        not is_finite_number(value)
        or not (0 <= value <= at_most)
        or (value == 0 and not allow_zero)
    ):
        bound = "at least 0" if allow_zero else "above 0"
        bound += "" if at_most == math.inf else f", at most {at_most:g}"
        raise ValueError(f"`{name}` is {shown(value)}; allowed: a finite number {bound}.")
    return float(value)
