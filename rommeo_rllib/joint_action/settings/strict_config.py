"""An RLlib configuration that passes over nothing in silence.

What it is given takes effect, or is refused at validation with what to do instead, whichever way
it comes: by fluent methods, as an attribute, or in a dict, as Tune's searches hand it over.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar
from warnings import warn

import numpy as np
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.algorithm_config import NotProvided as _NotProvided
from typing_extensions import Self

from rommeo_rllib.checks import check, is_finite_number, is_integer
from rommeo_rllib.joint_action.settings import (
    ledger,
    model_settings,
    other_algorithms,
    per_policy,
    rllib_values,
)
from rommeo_rllib.joint_action.settings.options import PER_POLICY, STACKED, options_of, stated_by
from rommeo_rllib.joint_action.settings.refusals import refuse_what_has_no_effect
from rommeo_rllib.naming import reject_unknown_keys, shown
from rommeo_rllib.rllib_boundary import KEPT_AS, configs

# Stands for "leave it as it is" whatever the argument's type.
NotProvided: Any = _NotProvided

_KEPT_AS = {"model_config": KEPT_AS["model_config"]}
_DICTS = ("env_config", "evaluation_config", "multiagent")


_RENAMED = {"lean_sampling": "fast_sampling"}
_RENAMED_VALUES = {("opponent_model", "resampled"): "importance_sampling"}
"""Names of earlier versions, which are taken for one release."""


def _as_called_now(key: str, value: Any) -> tuple[str, Any]:
    """A setting and its value by their present names; a warning where they have others."""
    name = _RENAMED.get(key, key)
    if isinstance(value, str):
        value, given = _RENAMED_VALUES.get((name, value), value), value
        if value != given:
            warn(f"`{name}={given!r}` is now called {value!r}.", DeprecationWarning, stacklevel=3)
    if name != key:
        warn(f"`{key}` is now called `{name}`.", DeprecationWarning, stacklevel=3)
    return name, value


class StrictConfig(AlgorithmConfig):
    """What all configurations here do with what they are given.

    Attributes:
        PER_POLICY_KEYS: in which policies may differ (`algorithm_config_overrides_per_module`).
        STACKED_KEYS: those of them in which policies differ and are still computed together.
    """

    PER_POLICY_KEYS: ClassVar[frozenset[str]] = frozenset()
    STACKED_KEYS: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = stated_by(cls).items()
        cls.PER_POLICY_KEYS |= {name for name, option in own if PER_POLICY in option.marks}
        cls.STACKED_KEYS |= {name for name, option in own if STACKED in option.marks}

    updates_per_env_step: float
    replay_capacity: int
    replicas: int

    def __init__(self, algo_class: type | None = None):
        super().__init__(algo_class=algo_class)
        # What `.training()` was given that has no place here, to be told at validation.
        self._given: dict[str, Any] = {}
        # What `updates_per_env_step` was made from, and is to follow.
        self._training_intensity: dict[str, Any] = {}
        for name, option in options_of(type(self)).items():
            setattr(self, name, option.default)

    @classmethod
    def training_keys(cls) -> set[str]:
        """All keys that `.training()` takes, its base classes' included."""
        keys = {
            name
            for base in inspect.getmro(cls)
            if "training" in vars(base)
            for name in inspect.signature(vars(base)["training"]).parameters
        }
        return keys - {"self", "kwargs"}

    def training(self, **kwargs: Any) -> Self:
        """RLlib's settings, and those of its algorithms.

        Of the latter those with an equivalent are taken, all others are told at validation.

        Raises:
            ValueError: for a key that nobody knows; it names the nearest right one.
        """
        for key in [key for key in kwargs if key in _RENAMED]:
            setattr(self, key, kwargs.pop(key))
        kwargs = {configs.attribute_name(key): kwargs[key] for key in kwargs}
        others = {key: kwargs[key] for key in kwargs if key not in self.training_keys()}
        if others:
            known = self.training_keys().difference(ledger.REFUSED)
            unknown = [key for key in others if key not in other_algorithms.owners()]
            reject_unknown_keys(unknown, known, ".training()")
        super().training(**{key: kwargs[key] for key in kwargs if key not in others})
        self._note({key: kwargs[key] for key in ledger.GIVEN_IS_MEANT if key in kwargs})
        for key, value in others.items():
            self._take_or_note(key, value)
        self._follow_training_intensity()
        return self

    def rl_module(
        self, *, algorithm_config_overrides_per_module: Any = NotProvided, **kwargs: Any
    ) -> Self:
        """RLlib's; overrides per module may be pairs, too."""
        overrides = algorithm_config_overrides_per_module
        if overrides is not NotProvided:
            kwargs[per_policy.NAME] = per_policy.as_dict(overrides)
        return super().rl_module(**kwargs)

    def validate(self) -> None:
        """Checks everything.

        Raises:
            ValueError: naming all that would have no effect, with what to do instead; or else a
                field, its value and what is allowed.
        """
        self._reject_unknown_attributes()
        if not configs.is_validated(self):
            return
        self._follow_training_intensity()
        # They may have been made before other settings changed.
        configs.kept_for_modules(self).clear()
        rllib_values.check_containers(self)
        refuse_what_has_no_effect(self, self._given)
        self.check_values()
        per_policy.check_values(self)
        self._check_evaluation()
        super().validate()

    def settings_in_vain(self) -> Iterator[str]:
        """A sentence for each setting of its own that an algorithm makes nothing of."""
        return iter(())

    def check_values(self) -> None:
        """Checks every value by itself; raises a ValueError that names it and what is allowed."""
        rllib_values.check_values(self)
        intensity = self._training_intensity.get("is", 1.0)
        is_right = is_finite_number(intensity) and intensity > 0
        check("training_intensity", intensity, is_right, "a finite number above 0, or None")
        for name, option in options_of(type(self)).items():
            option.check(name, getattr(self, name))
        model_settings.check_values(self)

    def allows(self, name: str, value: Any) -> bool:
        """Whether this is one of our own options, and may have that value."""
        option = options_of(type(self)).get(name)
        if option is None:
            return False
        try:
            option.check(name, value)
        except ValueError:
            return False
        return True

    def get_config_for_module(self, module_id: str) -> Self:
        """The configuration with the settings that a policy, or a replica of it, has of its own."""
        kept = configs.kept_for_modules(self)
        if module_id not in kept:
            overrides = per_policy.overrides_of(self, module_id)
            if not overrides:
                return self
            kept[module_id] = per_policy.configuration_of(self, overrides)
        return kept[module_id]

    def __setattr__(self, key: str, value: Any) -> None:
        key, value = _as_called_now(key, value)
        # Searches draw NumPy's numbers, and schedules may come as arrays.
        if isinstance(value, np.generic | np.ndarray):
            value = value.tolist()
        super().__setattr__(key, value)

    def update_from_dict(self, config_dict: dict[str, Any]) -> Self:
        """RLlib's; settings of other algorithms go the way of `.training()`.

        Raises:
            ValueError: for a value that RLlib cannot take up; it names the key.
        """
        # Where RLlib keeps what its method calls otherwise.
        config_dict = {_KEPT_AS.get(key, key): value for key, value in config_dict.items()}
        others = {
            key: value
            for key, value in config_dict.items()
            if key not in vars(self)
            and key not in self.training_keys()
            and configs.attribute_name(key) in other_algorithms.owners()
        }
        own = {key: value for key, value in config_dict.items() if key not in others}
        try:
            super().update_from_dict(own)
        except Exception as error:
            raise ValueError(self._what_cannot_be_taken_up(own)) from error
        # RLlib's whole dicts hold all settings. Ours hold those that mean something: of the others
        # Tune alone puts some in, to mutate them.
        if "enable_rl_module_and_learner" not in config_dict:
            meant = ledger.REFUSED if "_given" in config_dict else ledger.GIVEN_IS_MEANT
            self._note({key: config_dict[key] for key in meant if key in config_dict})
        for key, value in others.items():
            self._take_or_note(configs.attribute_name(key), value)
        self._follow_training_intensity()
        return self

    def to_dict(self) -> dict[str, Any]:
        """RLlib's, without settings that have no effect here and ask for nothing.

        Population-based training mutates what it finds; what it does not find it sets at once, and
        validation refuses it before the trial begins.
        """
        known_as = {"input_": "input", "framework_str": "framework"}
        hidden = {known_as.get(name, name) for name in ledger.without_effect(self)}
        return {key: value for key, value in super().to_dict().items() if key not in hidden}

    def serialize(self) -> dict[str, Any]:
        """RLlib's, which wants all settings."""
        return configs.as_json(super().to_dict())

    def get_state(self) -> dict[str, Any]:
        """RLlib's, which leaves out whatever is -1, its mark of settings that are no more."""
        usual = ledger.rllibs_defaults()
        minus_1 = {
            name: value
            for name, value in vars(self).items()
            if isinstance(value, int | float) and value == -1 and usual.get(name) != -1
        }
        return super().get_state() | minus_1

    def _what_cannot_be_taken_up(self, given: Mapping[str, Any]) -> str:
        for key, value in given.items():
            trial = self.copy(copy_frozen=False)
            try:
                AlgorithmConfig.update_from_dict(trial, {key: value})
            except Exception as error:
                if key in _DICTS and not isinstance(value, Mapping):
                    return f"`{key}` is {shown(value)}; allowed: a dict."
                if key in ledger.REFUSED:
                    return ledger.sentence(key, value)
                return f"`{key}` is {shown(value)}, which RLlib cannot take up: {error}"
        return f"RLlib cannot take up {', '.join(map(str, given))} together."

    def _note(self, given: Mapping[str, Any]) -> None:
        self._given = {**self._given, **given}

    def _take_or_note(self, key: str, value: Any) -> None:
        if value is NotProvided:
            return
        if self._take(key, value):
            self._given = {name: one for name, one in self._given.items() if name != key}
        else:
            self._note({key: value})

    def _take(self, key: str, value: Any) -> bool:
        """Takes up a setting of another algorithm of RLlib's; whether it has been all of it."""
        renamed = other_algorithms.RENAMED.get(key)
        if renamed is not None and hasattr(self, renamed):
            setattr(self, renamed, value)
        elif key in ledger.HONOURED:
            setattr(self, key, value)
        elif key == "training_intensity" and value is not None:
            self._training_intensity = {"is": value, "gave": None}
        else:
            if key == "replay_buffer_config" and isinstance(value, Mapping):
                self._set_provided(other_algorithms.replay_settings(value))
            return False
        return True

    def _follow_training_intensity(self) -> None:
        """As many updates for each env step as train that many rows."""
        wanted = self._training_intensity
        rows = self.train_batch_size_per_learner
        if not wanted or not is_integer(rows) or rows < 1 or not is_integer(self.num_learners):
            return
        if wanted["gave"] not in (None, self.updates_per_env_step):
            self._training_intensity = {}  # It has been set since.
            return
        if not is_finite_number(wanted["is"]):
            return  # It may be one of Tune's distributions yet.
        updates = wanted["is"] / self.total_train_batch_size
        if updates != wanted["gave"]:
            self.updates_per_env_step = updates
            self._training_intensity = {**wanted, "gave": updates}

    def _set_provided(self, values: Mapping[str, Any]) -> Self:
        for name, value in values.items():
            if value is not NotProvided:
                setattr(self, name, value)
        return self

    def _check_evaluation(self) -> None:
        """Checks what an evaluation has otherwise, which RLlib reads when it begins."""
        if self.in_evaluation or not isinstance(self.evaluation_config, Mapping):
            return
        # What follows from the number of env runners is RLlib's, and checked by it.
        own = self.copy(copy_frozen=False)
        try:
            own.update_from_dict(dict(self.evaluation_config))
            own._reject_unknown_attributes()
            own.check_values()
        except ValueError as error:
            raise ValueError(f"`evaluation_config`: {error}") from error

    def _reject_unknown_attributes(self) -> None:
        # RLlib sets whatever a config dict holds; a misspelt key would go unnoticed.
        # "class" is what RLlib leaves behind when it copies a configuration by its state.
        known = {*vars(type(self)()), "class"}
        # Tune adds keys of its own, which begin with two underscores.
        given = [key for key in vars(self) if key not in known and not key.startswith("__")]
        for key in [key for key in given if key in other_algorithms.owners()]:
            given.remove(key)
            self._take_or_note(key, self.__dict__.pop(key))
        reject_unknown_keys(given, known.difference(ledger.REFUSED), "config")
