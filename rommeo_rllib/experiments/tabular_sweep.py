"""A sweep of a tabular learner: its trials, and what they have brought."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from rommeo_rllib.errors import UsageError, one_line
from rommeo_rllib.experiments.running import Experiment
from rommeo_rllib.experiments.search_space import drawn
from rommeo_rllib.experiments.searching import Clock
from rommeo_rllib.experiments.settings import (
    Setting,
    changed,
    literal,
    require_no_seed,
    split_setting,
)
from rommeo_rllib.experiments.sweep_results import ALPHA, Outcome
from rommeo_rllib.experiments.sweeps import SweepRequest, first_keys
from rommeo_rllib.experiments.trials import Results, Trial
from rommeo_rllib.naming import shown, unknown_name_message
from rommeo_rllib.reporting.statistics import Interval, success_rate
from rommeo_rllib.tabular.play_config import CONVERGED, RESULT_KEYS, REWARD, make_play
from rommeo_rllib.tuned_configs import TabularConfiguration

if TYPE_CHECKING:
    from rommeo_rllib.tabular.learner import TabularLearner

_TABULAR_EPISODES = 300
_POINTS_TRIED = 20


class TabularPlan:
    """A sweep of a tabular learner; all seeds of a setting are trials that play at once.

    Raises:
        UsageError: if the method needs what tabular learners have not.
    """

    def __init__(self, sweep: SweepRequest, module: ModuleType | TabularConfiguration):
        _refuse_for_tabular_learners(sweep)
        self._sweep, self._search = sweep, sweep.search
        self._learner = _learner_of(module, sweep.configuration)
        has_alpha = ALPHA in self._learner.Settings.__dataclass_fields__
        self._key = ALPHA if has_alpha else "temperature"
        if sweep.metric is not None and sweep.metric not in RESULT_KEYS:
            unknown = unknown_name_message("result", sweep.metric, RESULT_KEYS)
            raise UsageError(f"--metric {sweep.metric}: {unknown}")
        self.settings = sweep.settings(sweep.grids, sweep.search)
        self._space = self._make_space(module)
        self._check()

    def _make_space(self, module: ModuleType | TabularConfiguration) -> dict[str, Any]:
        """What all trials have in common."""
        sweep = self._sweep
        space = {
            **module.settings,
            "game": module.game,
            "game_settings": module.game_settings,
            "plays_per_episode": module.plays_per_episode,
            "trials": sweep.num_samples,
            "seed": sweep.seed,
        }
        for change in sweep.set:
            path, text = split_setting("--set", change)
            value = {path: literal(text)}
            space |= changed(self._swept(space, [path]), value)
        steps, plays = sweep.stop_steps, space["plays_per_episode"]
        if steps is not None and (not isinstance(plays, int) or plays < 1):
            raise UsageError(
                f"`plays_per_episode` is {shown(plays)}; allowed: an integer of at least 1."
            )
        space["episodes"] = _TABULAR_EPISODES if steps is None else math.ceil(steps / plays)
        return space

    def _check(self) -> None:
        """Raises a UsageError for a setting that the learner would refuse."""
        settings = self.settings
        if self._sweep.method != "random":
            points = min(self._sweep.points, _POINTS_TRIED)
            settings = drawn(self._search, points, self._sweep.seed)
        for setting in settings:
            config = self._space | self._configured(setting)
            try:
                make_play(self._learner, config, trials=1)
            except ValueError as error:
                raise UsageError(str(error)) from error
            except Exception as error:
                tried = ", ".join(f"{path}={shown(value)}" for path, value in setting.items())
                raise UsageError(
                    f"{tried or self._sweep.configuration}: this cannot be played "
                    f"({one_line(error)}); allowed: values of the kind that the configuration has."
                ) from error

    def experiment(self, storage: str, name: str) -> Experiment:
        """What Tune is to run."""
        from rommeo_rllib.tabular.trainable import TRAINABLES

        sweep, space = self._sweep, self._space
        episodes = space["episodes"]
        metric = sweep.metric or CONVERGED
        search = sweep.searcher(metric, {self._path(p): d for p, d in self._search.items()})
        own = {self._path(path).split(".")[0] for setting in self.settings for path in setting}
        return Experiment(
            TRAINABLES[self._learner.name],
            space,
            {},
            storage,
            name,
            trials=[] if search else [Trial(setting) for setting in self.settings],
            configured=self._configured,
            fixed={
                "algorithm": self._learner.name,
                "settings": {key: value for key, value in space.items() if key not in own},
                **sweep.fixed(self._search),
            },
            metric=metric,
            needs_metric=sweep.needs_metric,
            scheduler=sweep.scheduler(metric, Clock("episodes", episodes), self._search),
            search=search,
            checkpoint=False,
            checkpoint_frequency=sweep.checkpoint_frequency,
            tensorboard=False,
            about=sweep.about(),
        )

    def outcomes(self, results: Results) -> list[Outcome]:
        """What each setting has brought."""
        seeds, outcomes = self._sweep.num_samples, []
        for result in results:
            if result.error is not None:
                continue
            share, reward = result.metrics.get(CONVERGED), result.metrics[REWARD]
            success = None if share is None else success_rate(round(share * seeds), seeds)
            mean = Interval(reward, math.nan, math.nan)
            outcomes.append(Outcome(self._setting_of(result.trial), seeds, success, mean))
        return outcomes

    def _configured(self, setting: Mapping[str, Any]) -> dict[str, Any]:
        """The values of the configuration's keys that a setting changes."""
        by_key = {self._path(path): value for path, value in setting.items()}
        return changed(self._swept(self._space, by_key), by_key)

    def _setting_of(self, trial: Trial) -> Setting:
        if self._sweep.method == "random":
            return trial.setting
        return {path: trial.setting[self._path(path)] for path in self._search}

    def _path(self, path: str) -> str:
        """Alpha is called temperature by those rivals that have no alpha."""
        first, *inner = path.split(".")
        return ".".join([self._key if first == ALPHA else first, *inner])

    def _swept(self, space: Mapping[str, Any], paths: Sequence[str] | Setting) -> dict[str, Any]:
        return {key: space.get(key) for key in first_keys(paths)}


def _refuse_for_tabular_learners(sweep: SweepRequest) -> None:
    if sweep.method == "pbt":
        raise UsageError("--method pbt: tabular learners cannot change alpha in mid-play.")
    for option, value, usual in (
        ("--success-above", sweep.success_above, None),
        ("--judge-by", sweep.judge_by, "sampled"),
        ("--replicas", sweep.replicas, None),
    ):
        if value != usual:
            raise UsageError(
                f"{option} {value} has no effect on tabular learners, which know themselves whether"
                " they have converged, and play all seeds at once: leave it out."
            )
    others = ("trials: --num-samples", "episodes: --stop-steps")
    require_no_seed(sweep.set, "--set", *others)
    require_no_seed(
        (*sweep.grids, *sweep.search), "--grid or --search", *others, "plays_per_episode: --set"
    )


def _learner_of(module: ModuleType | TabularConfiguration, file: str) -> type[TabularLearner]:
    """The learner of a configuration file; raises a UsageError unless the file is whole."""
    from rommeo_rllib.tabular.learner import TabularLearner
    from rommeo_rllib.tabular.trainable import TRAINABLES

    learner = module.learner
    is_learner = isinstance(learner, type) and issubclass(learner, TabularLearner)
    if not is_learner or getattr(learner, "name", None) not in TRAINABLES:
        raise UsageError(
            f"{file}: `learner` is {shown(learner)}; allowed: a class of rommeo_rllib.tabular, "
            f"{', '.join(TRAINABLES)}."
        )
    for name in ("settings", "game_settings"):
        if not isinstance(getattr(module, name, None), Mapping):
            raise UsageError(f"{file}: `{name}` is missing or no dict; allowed: a dict.")
    for name in ("game", "plays_per_episode"):
        if not hasattr(module, name):
            raise UsageError(f"{file} has no `{name}`, which the file of a tabular learner needs.")
    return learner
