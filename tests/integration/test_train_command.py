"""`rommeo train` from a configuration file to table, pictures and checkpoints."""

from __future__ import annotations

import contextlib
import io
import json
import math
from pathlib import Path
from typing import Any

import pytest

from rommeo_rllib import ROMMEOAC
from rommeo_rllib.cli import main

pytestmark = pytest.mark.usefixtures("ray_session")

STEPS = 40
SMALL = f"""
from rommeo_rllib import ROMMEOACConfig

config = (
    ROMMEOACConfig()
    .environment("max_of_two_quadratics", env_config={{"plays_per_episode": 5}})
    .multi_agent(
        policies={{"player_0", "player_1"}},
        policy_mapping_fn=lambda agent_id, *args, **kwargs: agent_id,
    )
    .training(
        train_batch_size_per_learner=8,
        num_steps_sampled_before_learning_starts=10,
        replay_capacity=100,
    )
    .rl_module(model_config={{"fcnet_hiddens": [8]}})
    .evaluation(
        evaluation_interval=1, evaluation_duration=1, evaluation_config={{"explore": False}}
    )
    .reporting(min_sample_timesteps_per_iteration=20)
)
stop = {{"num_env_steps_sampled_lifetime": {STEPS}}}
"""
FAILING = """
import gymnasium as gym
from ray.rllib.env.multi_agent_env import MultiAgentEnv
from rommeo_rllib import ROMMEOACConfig


class FailingEnv(MultiAgentEnv):
    def __init__(self, config=None):
        super().__init__()
        self.possible_agents = self.agents = ["one", "other"]
        space = gym.spaces.Discrete(2)
        self.observation_spaces = self.action_spaces = dict.fromkeys(self.agents, space)

    def reset(self, *, seed=None, options=None):
        return dict.fromkeys(self.agents, 0), {}

    def step(self, action_dict):
        raise RuntimeError("the power is off")


config = (
    ROMMEOACConfig()
    .environment(FailingEnv)
    .multi_agent(
        policies={"one", "other"},
        policy_mapping_fn=lambda agent_id, *args, **kwargs: agent_id,
    )
)
stop = {"num_env_steps_sampled_lifetime": 40}
"""


class Trained:
    """What one call of the command has left behind."""

    def __init__(self, folder: Path, *options: str):
        folder.mkdir()
        file, table = folder / "small.py", folder / "table.json"
        file.write_text(SMALL)
        where = ["--storage", str(folder / "results"), "--name", "mine", "--json", str(table)]
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            main(["train", str(file), "--seed", "3", "--num-samples", "2", *where, *options])
        self.said = said.getvalue()
        self.rows: list[dict[str, Any]] = json.loads(table.read_text())
        self.experiment = folder / "results" / "mine"


@pytest.fixture(scope="module")
def together(ray_session: None, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("train") / "together"
    return Trained(folder, "--replicas", "2", "--set", "model_config.fcnet_hiddens=[6]")


@pytest.fixture(scope="module")
def apart(ray_session: None, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("train") / "apart"
    # The option counts more than what the configuration says.
    settings = ["--set", "replicas=3", "--set", "model_config.fcnet_hiddens=[6]"]
    return Trained(folder, "--replicas", "1", *settings)


def test_every_seed_has_a_row_with_its_results(together):
    assert [row["seed"] for row in together.rows] == [3, 4]
    assert [row["replica"] for row in together.rows] == [0, 1]
    for row in together.rows:
        assert row["env_steps"] == STEPS
        assert math.isfinite(row["return_per_play"])
        assert math.isfinite(row["greedy_return_per_play"])


def test_results_do_not_depend_on_whether_seeds_are_computed_together(together, apart):
    assert [row["seed"] for row in apart.rows] == [3, 4]
    assert [row["replica"] for row in apart.rows] == [None, None]
    for one, other in zip(together.rows, apart.rows, strict=True):
        for key in ("env_steps", "return_per_play", "greedy_return_per_play"):
            assert one[key] == pytest.approx(other[key], rel=1e-3), key
    first, second = apart.rows
    assert first["return_per_play"] != second["return_per_play"]


@pytest.mark.parametrize("how", ["together", "apart"])
def test_pictures_are_written_and_named(how, request):
    trained = request.getfixturevalue(how)
    names = ("return_per_play", "policy_and_opponent_model", "learning_path")
    for name in names:
        for suffix in ("png", "svg"):
            assert (trained.experiment / "figures" / f"{name}.{suffix}").stat().st_size > 5_000
        assert str(trained.experiment / "figures" / f"{name}.png") in trained.said


def test_the_table_is_shown(together):
    for row in together.rows:
        assert f"{row['return_per_play']:.2f}" in together.said
        assert f"{row['greedy_return_per_play']:.2f}" in together.said


def test_checkpoints_restore_with_the_settings_of_the_command_line(apart):
    row = apart.rows[1]
    assert row["checkpoint"] in apart.said
    restored = ROMMEOAC.from_checkpoint(row["checkpoint"])
    try:
        assert restored.config.seed == row["seed"]
        assert restored.config.model_config["fcnet_hiddens"] == [6]
        assert len(restored.replay_buffer) == STEPS
        assert restored.train()["num_env_steps_sampled_lifetime"] == STEPS + 20
    finally:
        restored.stop()


def test_a_failing_environment_gives_status_1_and_its_reason_in_one_line(tmp_path, capsys):
    file = tmp_path / "failing.py"
    file.write_text(FAILING)
    with pytest.raises(SystemExit) as end:
        main(["train", str(file), "--storage", str(tmp_path / "results"), "--name", "mine"])
    assert end.value.code == 1
    (line,) = [x for x in capsys.readouterr().err.splitlines() if x.startswith("rommeo:")]
    assert "1 of 1 trials failed" in line
    assert "RuntimeError: the power is off" in line
    # And there the whole report is.
    folder = tmp_path / "results" / "mine"
    assert str(folder) in line
    (report,) = folder.glob("*/error.txt")
    assert "the power is off" in report.read_text()
