"""What a sweep tries: settings of keys, from grids and from distributions."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rommeo_rllib.commands.configurations import literal, replaced, split_setting
from rommeo_rllib.commands.errors import UsageError
from rommeo_rllib.naming import unknown_name_message

Setting = dict[str, Any]
"""Values by the path of their key, such as "alpha.initial"."""


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

    def clipped(self, value: Any) -> Any:
        """The nearest value within the bounds, where there are any."""
        if self.name == "choice":
            return value
        low, high = self.arguments
        if self.name in _INTEGERS:
            return int(min(max(round(value), low), high - 1))
        return float(min(max(value, low), high))


_INTEGERS = ("randint", "lograndint")
_BOUNDED = ("uniform", "loguniform", *_INTEGERS)
DISTRIBUTIONS = (*_BOUNDED, "choice")


def parse_grid(texts: Sequence[str]) -> dict[str, list[Any]]:
    """`key=v1,v2,...` -> values by key; a value is a Python literal or else a string.

    Raises:
        UsageError: if one has another form.
    """
    grids = {}
    for text in texts:
        key, values = split_setting("--grid", text)
        listed = literal(f"[{values}]")
        grids[key] = listed if isinstance(listed, list) else values.split(",")
        if not grids[key] or "" in grids[key]:
            raise UsageError(f"--grid {text}: expected key=value,value, ...")
    return grids


def parse_search(texts: Sequence[str]) -> dict[str, Distribution]:
    """`key=loguniform(1, 100)` and the like -> distributions by key.

    Raises:
        UsageError: if one has another form; it says what is allowed.
    """
    found = {}
    for text in texts:
        key, call = split_setting("--search", text)
        found[key] = _distribution(f"--search {text}", call)
    return found


def _distribution(option: str, text: str) -> Distribution:
    try:
        call = ast.parse(text, mode="eval").body
        assert isinstance(call, ast.Call)
        assert isinstance(call.func, ast.Name)
        name, arguments = call.func.id, tuple(ast.literal_eval(a) for a in call.args)
    except (SyntaxError, ValueError, AssertionError) as error:
        raise UsageError(
            f"{option}: expected a distribution, for example alpha.initial=loguniform(1, 100)."
        ) from error
    if name not in DISTRIBUTIONS:
        raise UsageError(f"{option}: {unknown_name_message('distribution', name, DISTRIBUTIONS)}")
    if name == "choice":
        if not arguments:
            raise UsageError(f"{option}: choice needs at least one value.")
        return Distribution(name, arguments)
    kinds = int if name in _INTEGERS else (int, float)
    if len(arguments) != 2 or not all(isinstance(a, kinds) for a in arguments):
        kind = "integers" if name in _INTEGERS else "numbers"
        raise UsageError(f"{option}: {name} takes two {kind}, the lower and the upper bound.")
    low, high = arguments
    if low >= high or (name.startswith("log") and low <= 0):
        positive = " above 0" if name.startswith("log") else ""
        raise UsageError(f"{option}: the bounds of {name} must increase{positive}.")
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


def changed(current: Mapping[str, Any], setting: Mapping[str, Any]) -> dict[str, Any]:
    """`current` with the setting's values in place.

    Raises:
        UsageError: if a path leads into what is no dict.
    """
    result = dict(current)
    # Whole keys first, then what is inside them.
    for path in sorted(setting, key=lambda path: path.count(".")):
        key, *inner = path.split(".")
        result[key] = replaced(result[key], inner, setting[path], path)
    return result


def value_at(config: Mapping[str, Any], path: str) -> Any:
    """The value at "alpha.initial" of a trial's configuration."""
    value: Any = config
    for key in path.split("."):
        value = value[key]
    return value
