"""What a sweep tries: settings of keys, from grids and from distributions."""

from __future__ import annotations

import ast
import itertools
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rommeo_rllib.checks import is_finite_number
from rommeo_rllib.errors import UsageError
from rommeo_rllib.experiments.settings import Setting, literal, require_different, split_setting
from rommeo_rllib.naming import shown, unknown_name_message


@dataclass(frozen=True)
class Distribution:
    """What values of a key are drawn from: a function of `ray.tune` and its arguments."""

    name: str
    arguments: tuple[Any, ...]

    def domain(self) -> Any:
        """Tune's own object."""
        from ray import tune

        make = getattr(tune, self.name)
        return make(list(self.arguments)) if self.name == "choice" else make(*self.arguments)

    @property
    def is_enumerable(self) -> bool:
        """Whether any of its values may well be drawn, those at its ends included."""
        return self.name in (*_INTEGERS, "choice")

    def ends(self) -> tuple[Any, ...]:
        """The least and the greatest value; of a choice all."""
        if self.name == "choice":
            return self.arguments
        low, high = self.arguments
        return (low, high - 1) if self.name in _INTEGERS else (low, high)

    def clipped(self, value: Any) -> Any:
        """The nearest value within the bounds, where there are any."""
        if self.name == "choice":
            return value
        low, high = self.arguments
        if self.name in _INTEGERS:
            return int(min(max(round(value), low), high - 1))
        return float(min(max(value, low), high))


_GREATEST_BOUND = 2**62
"""NumPy draws no greater integers, and from no greater range."""

_INTEGERS = ("randint", "lograndint")
_BOUNDED = ("uniform", "loguniform", *_INTEGERS)
DISTRIBUTIONS = (*_BOUNDED, "choice")


def parse_grid(texts: Sequence[str]) -> dict[str, list[Any]]:
    """`key=v1,v2,...` -> values by key; a value is a Python literal or else a string.

    Raises:
        UsageError: if one has another form.
    """
    grids: dict[str, list[Any]] = {}
    for text in texts:
        key, values = split_setting("--grid", text)
        _require_new(f"--grid {text}", key, grids)
        listed = literal(f"[{values}]")
        grids[key] = listed if isinstance(listed, list) else values.split(",")
        if not grids[key] or "" in grids[key]:
            raise UsageError(f"--grid {text}: expected key=value,value, ...")
        _require_finite(f"--grid {text}", grids[key])
        require_different(f"--grid {text}", grids[key])
    return grids


def parse_search(texts: Sequence[str]) -> dict[str, Distribution]:
    """`key=loguniform(1, 100)` and the like -> distributions by key.

    Raises:
        UsageError: if one has another form; it says what is allowed.
    """
    found: dict[str, Distribution] = {}
    for text in texts:
        key, call = split_setting("--search", text)
        _require_new(f"--search {text}", key, found)
        found[key] = _distribution(f"--search {text}", call)
    return found


def _require_new(said: str, key: str, known: Mapping[str, Any]) -> None:
    if key in known:
        raise UsageError(f"{said}: {key} is given twice; allowed: each key once.")


def _require_finite(said: str, values: Sequence[Any]) -> None:
    for value in values:
        if isinstance(value, float | int) and not (
            isinstance(value, bool) or is_finite_number(value)
        ):
            raise UsageError(f"{said}: {shown(value)} is no value; allowed: finite numbers.")


def _is_integer(value: Any) -> bool:
    """Whether this is an integer (a truth value is none)."""
    return isinstance(value, int) and not isinstance(value, bool)


def _distribution(option: str, text: str) -> Distribution:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            call = ast.parse(text.strip(), mode="eval").body
        assert isinstance(call, ast.Call)
        assert isinstance(call.func, ast.Name)
    except (SyntaxError, ValueError, AssertionError, MemoryError, RecursionError) as error:
        raise UsageError(
            f"{option}: expected a distribution, for example alpha.initial=loguniform(1, 100)."
        ) from error
    name = call.func.id
    if name not in DISTRIBUTIONS:
        raise UsageError(f"{option}: {unknown_name_message('distribution', name, DISTRIBUTIONS)}")
    if call.keywords:
        raise UsageError(f"{option}: {name} takes no names of arguments; allowed: values alone.")
    try:
        arguments = tuple(ast.literal_eval(argument) for argument in call.args)
    except (ValueError, TypeError, MemoryError, RecursionError) as error:
        raise UsageError(f"{option}: {name} takes literals, such as 0.5 or 'linear'.") from error
    if name == "choice":
        if not arguments:
            raise UsageError(f"{option}: choice needs at least one value.")
        _require_finite(option, arguments)
        require_different(option, arguments)
        return Distribution(name, arguments)
    is_right = _is_integer if name in _INTEGERS else is_finite_number
    if len(arguments) != 2 or not all(map(is_right, arguments)):
        kind = "integers" if name in _INTEGERS else "finite numbers"
        raise UsageError(f"{option}: {name} takes two {kind}, the lower and the upper bound.")
    low, high = arguments
    if low >= high or (name.startswith("log") and low <= 0):
        positive = " above 0" if name.startswith("log") else ""
        raise UsageError(f"{option}: the bounds of {name} must increase{positive}.")
    if max(abs(low), abs(high)) > _GREATEST_BOUND:
        raise UsageError(f"{option}: allowed: bounds of at most {_GREATEST_BOUND:g}.")
    return Distribution(name, arguments)


def alpha_settings(
    constants: Sequence[float],
    initial: Sequence[float],
    final: Sequence[float],
    decay_steps: Sequence[int],
    kind: Sequence[str],
) -> list[Any]:
    """Constants of alpha, and all combinations of a schedule's values."""
    schedules = [
        {"initial": i, "final": f, "decay_steps": d, "kind": k}
        for k, f, i, d in itertools.product(kind, final, initial, decay_steps)
    ]
    return [*constants, *schedules]


def combined(grids: Mapping[str, Sequence[Any]]) -> list[Setting]:
    """All combinations of the values of all keys; one setting, of nothing, if there are none."""
    return [dict(zip(grids, values, strict=True)) for values in itertools.product(*grids.values())]


def drawn(search: Mapping[str, Distribution], count: int, seed: int) -> list[Setting]:
    """Points from all distributions; the same ones for the same seed, whatever is resumed."""
    random = np.random.default_rng(seed)
    domains = {key: distribution.domain() for key, distribution in search.items()}
    return [
        {key: domain.sample(random_state=random) for key, domain in domains.items()}
        for _ in range(count)
    ]
