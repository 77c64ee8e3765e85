"""Command lines of all kinds: whatever a person types, a command ends as it says it does.

What takes long is replaced where commands call it: Ray, trials, episodes and pictures. Everything
before and after is the commands' own. `ROMMEO_FUZZ_EXAMPLES=5000` tries that many of each command.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import os
import signal
import typing
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pytest
import tyro
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from made_up_results import made_up_experiment, made_up_group, made_up_run

from rommeo_rllib import cli
from rommeo_rllib.commands import alpha_map, cross_play, figure_1, figure_2, sweep, train
from rommeo_rllib.deployment import checkpoints, export, matches, player
from rommeo_rllib.errors import Terminated
from rommeo_rllib.experiments import configurations, search_space
from rommeo_rllib.experiments import results as report_results
from rommeo_rllib.experiments import settings as keyed
from rommeo_rllib.experiments.trials import Results, Trial, TrialResult
from rommeo_rllib.joint_action.settings import ledger
from rommeo_rllib.reporting import report_page

LONG = os.environ.get("ROMMEO_FUZZ_EXAMPLES")
EXAMPLES = int(LONG or 40)
STATUSES = {0, 1, 2, 130, 143}

GAME, TABULAR = "climbing_game/rommeo_ac", "climbing_game/rommeo_q"
VALID_FILE = "mine.py"
FILES = {
    VALID_FILE: "from rommeo_rllib.tuned_configs.climbing_game.rommeo_ac import config, stop\n",
    "broken.py": "config = (\n",
    "raises.py": "raise KeyError('x\\ny')\n",
    "ends.py": "raise SystemExit(3)\n",
    "empty.py": "",
    "wrong.py": "config = 1\nstop = {}\n",
    "file.txt": "text",
    "[red].txt": "text",
    "alpha/alpha-map.json": "[1]",
}
POISON = [
    "",
    " ",
    "-",
    "--",
    "=",
    "-1",
    "x",
    "None",
    "\x1b[31m",
    "[/red]",
    "ü\u202e",
    "\udcff",
    "a\0b",
]
POISON += [
    "a\nb",
    "a" * 300,
    "a/" * 3000,
    "%s{}",
    "nan",
    "--help-me",
    "@file.txt",
    "*",
    "\U0001f3b2",
]
PATHS = ["folder", "file.txt", "file.txt/x", "folder/new/x", "/proc/x", "/dev/full", "/dev/null"]
PATHS += [
    ".",
    "/",
    "..",
    "~no-such-user/x",
    "loop/x",
    "loop",
    "[red].txt",
    "ü/x",
    "out.png",
    "out.gif",
]
URIS = ["nope://x", "://", "file://", "s3:/x", "memory://x", "http://x", "file:///proc/x"]
INTEGERS = [0, -1, 1, 2, 5, 64, 100_001, 2**31, 2**32 - 1, 2**32, 2**63, 10**30, -(10**30)]
NUMBERS = ["nan", "inf", "-inf", "1e999", "-0.0", "1e-320", "0.5", "1", "9" * 400, "1_0", "0x1"]
SETTINGS = [
    "q_lr=0.01",
    "alpha=0.5",
    "env_config.surface=paper",
    "gamma=None",
    "=",
    "q_lr",
    "q_lr=",
]
SETTINGS += [
    ".=1",
    "a.b.c=1",
    "alpha={'initial':",
    "seed=1",
    "q_lrr=1",
    "alpha.initial=uniform(1,2)",
]
GOOD = {
    "configuration": [GAME, VALID_FILE, "climbing_game/rommeo_q"],
    "config": [GAME, VALID_FILE],
    "load": [VALID_FILE],
    "checkpoint": ["checkpoint"],
    "checkpoints": ["checkpoint"],
    "opponent": ["player_1=random", "player_0=checkpoint"],
    "policy": ["player_0"],
    "surface": ["paper", "authors"],
    "surfaces": ["paper", "authors"],
    "settings": ["tuned", "any-alpha"],
    "algorithms": ["ROMMEO-AC", "MADDPG"],
    "storage": ["storage"],
    "name": ["run", "a/b"],
    "results": ["results"],
    "metric": ["env_runners/episode_return_mean"],
    "grid": ["q_lr=0.01,0.001"],
    "search": ["q_lr=loguniform(0.001,0.1)"],
    "set": ["gamma=0.9", "env_config.plays_per_episode=5"],
    "gif": ["out.gif"],
    "picture": ["out.png"],
    "out": ["out"],
    "bundle": ["bundle"],
}
"""Values that can be used, of options that take texts and paths."""

WORDS = {
    "configuration": [GAME, GAME, GAME, "climbing_game/rommeo_q", *FILES, "no/such"],
    "config": [GAME, *FILES],
    "load": [VALID_FILE, *FILES],
    "checkpoint": ["checkpoint", "checkpoint", "folder", "file.txt", "none"],
    "checkpoints": ["checkpoint", "checkpoint", "folder", "file.txt", "none"],
    "opponent": [
        "player_1=random",
        "player_0=checkpoint",
        "nobody=random",
        "player_1=folder",
        "x=",
    ],
    "policy": ["player_0", "player_9"],
    "surface": ["paper", "authors"],
    "surfaces": ["paper", "authors"],
    "settings": ["tuned", "any-alpha", "paper"],
    "algorithms": ["ROMMEO-AC", "MADDPG"],
    "storage": ["storage", *PATHS, *URIS],
    "name": ["run", "../x", "/x", "a/b", "~", "."],
    "results": ["results", "results", "folder", "none"],
    "metric": ["env_runners/episode_return_mean", "nope"],
    "grid": ["q_lr=0.01,0.001", "q_lr=", "q_lr=0.01,0.01"],
    "search": ["q_lr=loguniform(0.001,0.1)", "alpha.initial=uniform(1,1e999)", "q_lr=x"],
    "set": SETTINGS,
}


NEEDED = {
    "sweep": [["--alpha", "1", "10"], ["--grid", "q_lr=0.1,0.2"]],
    "export": [["player_0", "--weights", "weights"], ["player_0", "--program", "program.pt2"]],
    "cross-play": [["checkpoint", "folder"], ["checkpoint"]],
}
"""What makes sense of a command besides what its fields require."""


def leaves(group: dict[str, Any]) -> dict[str, Any]:
    """All commands by the words that call them."""
    found: dict[str, Any] = {}
    for name, command in group.items():
        inside = leaves(command) if isinstance(command, dict) else {"": command}
        found |= {f"{name} {words}".strip(): leaf for words, leaf in inside.items()}
    return found


COMMANDS = leaves(cli.COMMANDS)


LITERALS = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.sampled_from([0, 1, -1, 2**63, 10**400]),
        st.floats(),
        st.sampled_from(["", "auto", "nan", "player_0"]),
        st.just(b"x"),
        st.just(1j),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.lists(inner, max_size=2).map(tuple),
        st.dictionaries(st.sampled_from(["", "a", "initial", "player_0", 1]), inner, max_size=2),
    ),
    max_leaves=4,
)
LETTERS = st.text("()[]{},=.'\"\\01eE-_uniform", max_size=12)


LIKELY = ["0.5", "1", "2", "True", "False", "None", "auto", "{}", "[]", "{'player_0': {'tau': 1}}"]
LIKELY += ["{'initial': 2.0, 'final': 0.1, 'decay_steps': 10}", "[[0, 0.1], [5, 0.01]]", "(0, 1)"]


def keys(configuration: str) -> list[str]:
    """Keys of a configuration; those that are refused, whatever their value, are few of them."""
    if configuration == TABULAR:
        own = configurations.import_file(TABULAR).settings
        return [*own, "gamma", "game", "game_settings", "plays_per_episode", "trials", "x"]
    found = keyed._keys(configurations.load(GAME).config)
    return [key for key in found if key not in ledger.REFUSED or key in ("lr", "model", "input_")]


@functools.cache
def assignments(name: str, configuration: str) -> st.SearchStrategy[str]:
    """`KEY=...` of any key, with any literal, list of literals, or distribution of literals."""
    key = st.sampled_from(keys(configuration))
    inside = st.sampled_from([""] * 12 + [".initial", ".a.b", ".0", "."])
    literal = st.one_of(st.sampled_from(LIKELY), LITERALS.map(as_python), LETTERS)
    value = literal
    if name == "grid":
        value = st.lists(literal, min_size=1, max_size=3).map(",".join)
    if name == "search":
        call = st.sampled_from([*search_space.DISTRIBUTIONS, "lognormal", "eval", ""])
        other = st.one_of(literal, literal.map("x={}".format))
        several = st.one_of(st.just(["1", "2"]), st.just(["0.1", "0.9"]), st.lists(other))
        value = st.one_of(st.builds("{}({})".format, call, several.map(",".join)), literal)
    return st.builds("{}{}={}".format, key, inside, value)


def as_python(value: Any) -> str:
    """A literal as Python reads it; Python's own text of infinity is none."""
    try:
        return repr(value).replace("inf", "1e999")
    except ValueError:  # It writes no integer of thousands of digits.
        return "1"


def values(name: str, kind: Any) -> st.SearchStrategy[str]:
    """Values of an option of this type: good ones, those at the border, and poison."""
    if typing.get_origin(kind) is Literal:
        return st.sampled_from([*typing.get_args(kind), *POISON])
    poison = st.one_of(st.sampled_from(POISON), st.text(max_size=8))
    if kind is int:
        good, border = st.integers(1, 3).map(str), st.sampled_from([*map(str, INTEGERS), *NUMBERS])
    elif kind is float:
        good, border = st.floats(0.1, 10).map(str), st.sampled_from(NUMBERS)
    else:
        good = st.sampled_from(GOOD.get(name, ["new.json"] if kind is Path else ["text"]))
        border = st.sampled_from(WORDS.get(name, PATHS if kind is Path else ["text"]))
    if name in ("set", "grid", "search"):
        border = st.one_of(border, assignments(name, GAME))
    # A line with one fault in it gets further than one with several.
    return st.sampled_from([good] * 8 + [border] * 2 + [poison]).flatmap(lambda chosen: chosen)


def words_of(field: dataclasses.Field[Any], kind: Any) -> st.SearchStrategy[list[str]]:
    """What may stand on the command line for a field of a command."""
    positional = appended = False
    if typing.get_origin(kind) is typing.Annotated:
        kind, *marks = typing.get_args(kind)
        positional = tyro.conf.Positional[int].__metadata__[0] in marks
        appended = tyro.conf.UseAppendAction in marks
    if type(None) in typing.get_args(kind):
        kind = typing.get_args(kind)[0]
    option = f"--{field.name.replace('_', '-')}"
    if kind is bool:
        return st.sampled_from([[option], [option], [f"--no-{option[2:]}"], [option, "x"]])
    is_tuple = typing.get_origin(kind) is tuple
    one = values(field.name, typing.get_args(kind)[0] if is_tuple else kind)
    several = st.lists(one, max_size=3) if is_tuple else st.lists(one, min_size=1, max_size=1)
    if positional:
        return several
    if appended:
        return several.map(lambda found: joined([option, value] for value in found))
    in_one = one.map(lambda value: [f"{option}={value}"])
    return st.one_of(several.map(lambda found: [option, *found]), in_one)


def joined(parts: Iterable[list[str]]) -> list[str]:
    """One list of several."""
    return [word for part in parts for word in part]


def command_lines(words: str, command: Any) -> st.SearchStrategy[list[str]]:
    """Command lines of one command: what it requires, mostly, and some of its options."""
    hints = typing.get_type_hints(command, include_extras=True)
    required, optional = [], []
    for field in dataclasses.fields(command):
        stands = words_of(field, hints[field.name])
        is_required = (
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        )
        (required if is_required else optional).append(stands)
    start = st.tuples(*required).map(joined)
    if words in NEEDED:
        start = st.tuples(start, st.sampled_from([*NEEDED[words], []])).map(joined)
    rest = st.lists(st.sampled_from(optional).flatmap(lambda stands: stands), max_size=4).map(
        joined
    )
    odd = st.sampled_from([[]] * 50 + [["--help"], ["--no-such"], ["\0"], ["x"], ["--"]])
    return st.tuples(st.just(words.split()), start, rest, odd).map(joined)


class Ends:
    """How the work ends that is replaced: it returns something, or raises it."""

    KINDS: typing.ClassVar[list[Any]] = [
        Results(),
        Results(),
        Results(interrupted=signal.SIGINT),
        Results([], [TrialResult(Trial({}, 0), {}, [])], signal.SIGTERM),
        Results([], [TrialResult(Trial({}, 0), {}, [])]),
        Results([TrialResult(Trial({}, 0), {}, error=RuntimeError("ValueError: a\nb"))]),
        KeyboardInterrupt(),
        Terminated(),
        OSError(28, "No space left on device", "/full"),
        OSError("without a number"),
        MemoryError(),
        ImportError("no such library"),
    ]

    def __init__(self) -> None:
        self.kind: Any = self.KINDS[0]

    def __call__(self, *_: Any, **__: Any) -> Results:
        if isinstance(self.kind, BaseException):
            raise self.kind
        return self.kind


class PlayedStage:
    """In place of episodes of real policies."""

    agents = ("player_0", "player_1")

    def __init__(self, ends: Ends):
        self.config = configurations.load(GAME).config
        self._ends = ends

    def play(self, episodes: int, *, record: bool = False, **_: Any) -> matches.Match:
        self._ends()
        frames = [np.zeros((4, 4, 3), np.uint8)] * record
        return matches.Match([dict.fromkeys(self.agents, 1.0)] * 2, [1, 1], frames)


def touch(_: Any, file: Path) -> None:
    file.write_text("written")


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ends]:
    """A folder with all kinds of files, and everything slow replaced."""
    folder, work = tmp_path_factory.mktemp("typed"), Ends()
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    for name in ("folder", "checkpoint", "results"):
        (folder / name).mkdir()
    (folder / "loop").symlink_to("loop")

    def stage(checkpoint: Any, *args: Any, real: Any = matches.Stage, **more: Any) -> Any:
        return PlayedStage(work) if checkpoint == "checkpoint" else real(checkpoint, *args, **more)

    def trained(path: Any, *, real: Any = checkpoints.Trained, **more: Any) -> Any:
        return SimpleNamespace() if path == "checkpoint" else real(path, **more)

    def read(folders: Any, *, real: Any = report_results.read_experiments) -> Any:
        if any(str(one) != "results" for one in folders):
            return real(folders)
        return [made_up_experiment(made_up_group([made_up_run(0)]))]

    def mapped(*_: Any) -> list[Any]:
        train.raise_if_incomplete(work(), "folder", "the same command")
        return []

    def figure(*_: Any) -> dict[str, Any]:
        work()
        return {"learners": {}, "tuned": {}}

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("ROMMEO_TRACEBACK", raising=False)
        for module in (train, sweep, figure_2, alpha_map):
            patch.setattr(module, "quiet_ray", contextlib.nullcontext)
            patch.setattr(module, "run_trials", work)
        for module in (train, figure_2):
            patch.setattr(module, "replicas_to_use", lambda *_: 1)
        patch.setattr(alpha_map.AlphaMap, "_map", mapped)
        patch.setattr(figure_2.Figure2, "_report", lambda *_: None)
        patch.setattr(figure_1, "run", figure)
        patch.setattr(matches, "Stage", stage)
        patch.setattr(checkpoints, "Trained", trained)
        patch.setattr(player, "player_of", lambda *_, **__: SimpleNamespace(policy=None))
        for name in ("export_program", "export_onnx", "save_weights"):
            patch.setattr(export, name, touch)
        patch.setattr(cross_play, "save", lambda *_: ["picture"])
        patch.setattr(report_results, "read_experiments", read)
        patch.setattr(report_page, "report_page", lambda *_: "page")
        yield work


def run(arguments: list[str]) -> tuple[int, str]:
    """Exit status and what stands on stderr."""
    out, errors = io.StringIO(), io.StringIO()
    status = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        try:
            cli.main(arguments)
        except SystemExit as end:
            status = end.code or 0  # type: ignore[assignment]
    return status, errors.getvalue()


def assert_ends_as_it_says(arguments: list[str]) -> None:
    """A known status, and one plain line where it is not 0."""
    status, errors = run(arguments)
    note(f"status {status}: {errors[:2000]}")
    assert status in STATUSES
    assert "Traceback" not in errors
    assert "unexpected" not in errors
    if status:
        assert errors.startswith("rommeo")
        assert errors.count("\n") == 1
        assert errors.endswith("\n")
    else:
        assert not errors


FUZZED = settings(
    max_examples=EXAMPLES,
    derandomize=not LONG,
    database=None,
    deadline=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


def setting_lines() -> st.SearchStrategy[list[str]]:
    """Command lines that give any key of a configuration a value."""
    called = st.sampled_from(
        [
            ["train", GAME, "--set"],
            ["sweep", GAME, "--grid"],
            ["sweep", GAME, "--search"],
            ["sweep", GAME, "--alpha", "1", "--set"],
            ["sweep", TABULAR, "--grid"],
            ["sweep", TABULAR, "--search"],
            ["sweep", TABULAR, "--alpha", "1", "--set"],
            ["evaluate", "checkpoint", "--set"],
        ]
    )
    return called.flatmap(
        lambda words: assignments(words[-1].removeprefix("--"), words[1]).map(
            lambda one: [*words, one]
        )
    )


@pytest.mark.timeout(0)
def test_any_value_of_any_key_is_taken_or_refused_in_one_plain_line(ends: Ends):
    @FUZZED
    @given(setting_lines())
    def check(arguments: list[str]) -> None:
        ends.kind = Ends.KINDS[0]
        assert_ends_as_it_says(arguments)

    check()


@pytest.mark.timeout(0)
@pytest.mark.parametrize("words", COMMANDS)
def test_any_command_line_ends_with_a_known_status_and_one_plain_line(words: str, ends: Ends):
    @FUZZED
    @given(command_lines(words, COMMANDS[words]), st.sampled_from(Ends.KINDS))
    def check(arguments: list[str], kind: Any) -> None:
        ends.kind = kind
        assert_ends_as_it_says(arguments)

    check()
