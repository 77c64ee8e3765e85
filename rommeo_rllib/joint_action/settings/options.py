"""Options: a configuration states each once, in the signature of its `.training()`.

    @options
    def training(self, *, tau: Annotated[float, FRACTION, PER_POLICY] = 0.005, **kwargs) -> Self:
        "Sets what concerns training; the docstring says what each option means."
        return super().training(**kwargs)

Name, type, default and check stand there; a new configuration begins with the defaults, a call
changes what it is given, and validation checks every value.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias, TypeVar, cast, get_type_hints

from ray.rllib.algorithms.algorithm_config import NotProvided

from rommeo_rllib.schedules import ScheduleSpec, make_schedule

PER_POLICY = "per policy"
"""Marks an option in which policies may differ (`algorithm_config_overrides_per_module`)."""

STACKED = "stacked"
"""Marks one in which policies may differ and are still computed together."""

Checking: TypeAlias = Callable[[str, Any], Any]
"""Raises a ValueError that names an option, by its name and its value, if that is impossible."""


def positive_schedule(name: str, value: Any) -> None:
    """A check: a schedule (see `make_schedule`) of values above 0."""
    make_schedule(value, name)


def schedule(name: str, value: Any) -> None:
    """A check: a schedule of values of at least 0."""
    make_schedule(value, name, allow_zero=True)


LearningRate: TypeAlias = Annotated[ScheduleSpec, schedule, PER_POLICY]


@dataclass(frozen=True)
class Option:
    """What the signature says of an option.

    Attributes:
        default: its value in a new configuration.
        checks: what its values must pass.
        marks: `PER_POLICY`, `STACKED`, both or none.
    """

    default: Any
    checks: tuple[Checking, ...]
    marks: frozenset[str]

    def check(self, name: str, value: Any) -> None:
        """Raises a ValueError that names the option if it may not have that value."""
        for is_possible in self.checks:
            is_possible(name, value)


Training = TypeVar("Training", bound=Callable[..., Any])


def options(training: Training) -> Training:
    """Makes options of the keyword arguments of a configuration's `.training()`.

    The method that is decorated gets what is none of its options, to hand it on.
    """
    hints = get_type_hints(training, include_extras=True)
    own = {
        name: _option(parameter.default, hints[name])
        for name, parameter in inspect.signature(training).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }

    @functools.wraps(training)
    def changes(self: Any, **given: Any) -> Any:
        for name in own:
            value = given.pop(name, NotProvided)
            if value is not NotProvided:
                setattr(self, name, value)
        return training(self, **given)

    changes.options = own  # type: ignore[attr-defined]
    return cast(Training, changes)


def stated_by(config_class: type) -> Mapping[str, Option]:
    """The options that a class states itself; those of its base classes are not among them."""
    return getattr(vars(config_class).get("training"), "options", {})


def options_of(config_class: type) -> dict[str, Option]:
    """All options of a class, its base classes' first."""
    bases = reversed(inspect.getmro(config_class))
    return {name: option for base in bases for name, option in stated_by(base).items()}


def _option(default: Any, hint: Any) -> Option:
    notes = getattr(hint, "__metadata__", ())
    marks = frozenset(note for note in notes if isinstance(note, str))
    checks = tuple(note for note in notes if callable(note))
    return Option(default, checks, marks | ({PER_POLICY} if STACKED in marks else set()))
