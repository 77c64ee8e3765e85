"""Trained policies restored, deployed, exported and matched act as the trained ones."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import tree
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary
from PIL import Image
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.core.rl_module.rl_module import RLModule
from small import game_config, policy_of
from test_any_spaces import spaces_config

from rommeo_rllib import ROMMEOPolicy
from rommeo_rllib.cli import main
from rommeo_rllib.deployment.checkpoints import load_policy, policies_in
from rommeo_rllib.deployment.export import (
    export_onnx,
    export_program,
    load_weights,
    save_weights,
)
from rommeo_rllib.deployment.matches import Stage
from rommeo_rllib.deployment.player import Player
from rommeo_rllib.rng import PolicyRng, seeded_generator

pytestmark = pytest.mark.usefixtures("ray_session")

IMAGE = Box(0, 255, (8, 8, 3), np.uint8)
SPACES: dict[str, Any] = {
    "seeing": (IMAGE, Discrete(3, start=1)),
    "moving": (
        Dict({"far": Discrete(4), "near": Box(-1.0, 1.0, (2,), np.float32)}),
        Dict({"move": Box(-3.0, 5.0, (2,), np.float32), "call": MultiBinary(2)}),
    ),
    "watching": (
        Dict({"eye": IMAGE, "at": Box(-1.0, 1.0, (2,), np.float32)}),
        Box(-3.0, 5.0, (2,), np.float32),
    ),
}


@pytest.fixture(scope="module")
def trained(ray_session: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A trained algorithm's policies and its checkpoint."""
    folder = tmp_path_factory.mktemp("trained")
    algorithm = spaces_config(SPACES).build_algo()
    try:
        algorithm.train()
        algorithm.save_to_path(str(folder))
        return {name: policy_of(algorithm, name).unwrapped() for name in SPACES}, folder
    finally:
        algorithm.stop()


def observations_of(agent: str, count: int = 16) -> list[Any]:
    space = SPACES[agent][0]
    space.seed(1)
    return [space.sample() for _ in range(count)]


def assert_equal_actions(one: list[Any], other: list[Any]) -> None:
    for action, expected in zip(one, other, strict=True):
        if isinstance(expected, dict):
            for key in expected:
                np.testing.assert_array_equal(action[key], expected[key])
        else:
            np.testing.assert_array_equal(action, expected)


@pytest.mark.parametrize("agent", SPACES)
@pytest.mark.parametrize("explore", [False, True])
def test_a_deployed_policy_acts_exactly_as_the_trained_one(trained, agent, explore):
    policies, checkpoint = trained
    observations = observations_of(agent)
    deployed = Player.from_checkpoint(checkpoint, agent, seed=3)
    actions = deployed.act(observations, explore=explore)
    assert_equal_actions(actions, Player(policies[agent], 3).act(observations, explore=explore))
    assert all(SPACES[agent][1].contains(action) for action in actions)


@pytest.mark.parametrize("explore", [False, True])
def test_a_restored_algorithms_policy_acts_exactly_as_the_trained_one(trained, explore):
    policies, checkpoint = trained
    restored = Algorithm.from_checkpoint(str(checkpoint))
    try:
        rows = {"obs": torch.from_numpy(np.stack(observations_of("seeing")))}
        found = []
        for module in (restored.get_module("seeing"), policies["seeing"]):
            module.rng = PolicyRng([seeded_generator(3)], stacked=False)
            with torch.no_grad():
                forward = module.forward_exploration if explore else module.forward_inference
                found.append(forward(rows)["actions"])
        torch.testing.assert_close(*found, rtol=0, atol=0)
    finally:
        restored.stop()


@pytest.mark.parametrize("agent", SPACES)
def test_a_program_written_for_rllib_acts_by_a_restored_modules_distribution(trained, agent):
    policies, checkpoint = trained
    module = RLModule.from_checkpoint(
        checkpoint / "learner_group" / "learner" / "rl_module" / agent
    )
    for observation in observations_of(agent, 4):
        batch = {
            "obs": tree.map_structure(
                lambda leaf: torch.as_tensor(np.asarray(leaf)[None]), observation
            )
        }
        outputs = module.forward_inference(batch)
        distribution = module.get_inference_action_dist_cls().from_logits(
            outputs["action_dist_inputs"]
        )
        actions = distribution.to_deterministic().sample()
        tree.map_structure(torch.testing.assert_close, actions, outputs["actions"])
        expected = policies[agent].forward_inference(batch)["actions"]
        tree.map_structure(torch.testing.assert_close, actions, expected)


@pytest.mark.slow
def test_a_policy_is_deployed_without_starting_ray(trained):
    program = (
        "import ray, sys; from rommeo_rllib.deployment.player import Player; "
        "player = Player.from_checkpoint(sys.argv[1], 'seeing'); "
        "import numpy as np; player.act([np.zeros((8, 8, 3), np.uint8)]); "
        "assert not ray.is_initialized()"
    )
    subprocess.run([sys.executable, "-c", program, str(trained[1])], check=True, timeout=120)


def run_program(file: Path, rows: np.ndarray) -> np.ndarray:
    return torch.export.load(file).module()(torch.from_numpy(rows)).numpy()


def run_onnx(file: Path, rows: np.ndarray) -> np.ndarray:
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return session.run(["actions"], {"observations": rows})[0]


@pytest.mark.parametrize("agent", SPACES)
@pytest.mark.parametrize(
    ("export", "run"), [(export_program, run_program), (export_onnx, run_onnx)]
)
def test_an_exported_policy_acts_greedily_for_any_number_of_rows(
    trained, agent, export, run, tmp_path
):
    if export is export_onnx:
        pytest.importorskip("onnxscript")
    policies, _ = trained
    export(policies[agent], tmp_path / "policy")
    for count in (1, 16):
        observations = observations_of(agent, count)
        rows = observations
        if agent == "moving":  # All leaves by sorted keys, in one vector.
            rows = [np.concatenate([[o["far"]], o["near"]], dtype=np.float32) for o in rows]
        elif agent == "watching":
            rows = [np.concatenate([o["at"], o["eye"].ravel()], dtype=np.float32) for o in rows]
        expected = Player(policies[agent]).act(observations)
        if agent == "moving":
            expected = [np.concatenate([e["call"], e["move"]]) for e in expected]
        found = run(tmp_path / "policy", np.stack(rows))
        np.testing.assert_allclose(found, np.stack(expected), rtol=1e-5, atol=1e-5)


def test_weights_survive_safetensors(trained, tmp_path):
    _, checkpoint = trained
    one, other = (load_policy(checkpoint, "moving") for _ in range(2))
    save_weights(one, tmp_path / "weights.safetensors")
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    load_weights(other, tmp_path / "weights.safetensors")
    observations = observations_of("moving")
    assert_equal_actions(Player(other).act(observations), Player(one).act(observations))


def test_a_checkpoint_names_its_policies(trained, tmp_path):
    _, checkpoint = trained
    assert policies_in(checkpoint) == ["moving", "seeing", "watching"]
    assert isinstance(load_policy(checkpoint, "seeing"), ROMMEOPolicy)
    with pytest.raises(ValueError, match=r"unknown policy 'seing'. Did you mean 'seeing'"):
        load_policy(checkpoint, "seing")
    with pytest.raises(ValueError, match="is no checkpoint of an algorithm"):
        policies_in(tmp_path)


# By the marginal policy, where the others' actions are counted.


def nothing(**kwargs: Any) -> None:
    """A callback; whoever has one gets RLlib's own way of sampling."""


@pytest.mark.parametrize("callbacks", [{}, {"on_episode_step": nothing}], ids=["own", "rllibs"])
def test_greedy_agents_evaluated_deployed_and_exported_do_what_is_likeliest(callbacks, tmp_path):
    config = game_config("climbing_game").rl_module(model_config={"fcnet_hiddens": []})
    config.callbacks(**callbacks).evaluation(
        evaluation_interval=10**9, evaluation_duration=1, evaluation_config={"explore": False}
    )
    algorithm = config.build_algo()
    try:
        for player in ("player_0", "player_1"):
            # C answers what the other most likely does, A all else, and is likelier.
            module = policy_of(algorithm, player).unwrapped()
            with torch.no_grad():
                for parameter in module.parameters():
                    parameter.zero_()
                module.opponent_model_network[-1].bias.copy_(torch.tensor([[0.0, 0.0, 0.3]]))
                answers = [[5.0, 0.0, 0.0], [5.0, 0.0, 0.0], [0.0, 0.0, 5.0]]
                module.policy_network[-1].weight[1:].copy_(torch.tensor(answers))
        evaluated = algorithm.evaluate()["env_runners"]
        algorithm.save_to_path(str(tmp_path / "checkpoint"))
    finally:
        algorithm.stop()
    assert evaluated["agent_episode_returns_mean"] == {"player_0": 55.0, "player_1": 55.0}
    deployed = load_policy(tmp_path / "checkpoint", "player_0")
    assert [int(action) for action in Player(deployed).act([np.ones(1, np.float32)])] == [0]
    if not callbacks:
        pytest.importorskip("onnxscript")
        export_onnx(deployed, tmp_path / "policy")
        assert run_onnx(tmp_path / "policy", np.ones((3, 1), np.float32)).tolist() == [0, 0, 0]


# Matches, and the commands that play them.


@pytest.fixture(scope="module")
def games(ray_session: None, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two checkpoints of the climbing game that differ in seed."""
    folders = []
    for seed in (0, 1):
        folder = tmp_path_factory.mktemp(f"seed_{seed}")
        algorithm = game_config("climbing_game").debugging(seed=seed).build_algo()
        try:
            algorithm.train()
            algorithm.save_to_path(str(folder))
        finally:
            algorithm.stop()
        folders.append(str(folder))
    return folders


def test_a_match_is_what_its_policies_play(games):
    match = Stage(games[0]).play(2)
    actions = [
        int(Player.from_checkpoint(games[0], agent).act([np.ones(1, np.float32)])[0])
        for agent in ("player_0", "player_1")
    ]
    payoff = [[11, -30, 0], [-30, 7, 6], [0, 0, 5]][actions[0]][actions[1]]
    assert match.lengths == [5, 5]
    assert match.returns == [{"player_0": 5 * payoff, "player_1": 5 * payoff}] * 2


def test_a_match_with_another_checkpoint_is_of_its_policies(games):
    match = Stage(games[0], {"player_1": games[1]}).play(1)
    first = int(Player.from_checkpoint(games[0], "player_0").act([np.ones(1, np.float32)])[0])
    second = int(Player.from_checkpoint(games[1], "player_1").act([np.ones(1, np.float32)])[0])
    payoff = [[11, -30, 0], [-30, 7, 6], [0, 0, 5]][first][second]
    assert match.returns == [{"player_0": 5 * payoff, "player_1": 5 * payoff}]


def test_rommeo_evaluate_reports_returns_against_a_random_opponent_and_a_picture(games, tmp_path):
    gif, table = tmp_path / "game.gif", tmp_path / "returns.json"
    command = ["evaluate", games[0], "--opponent", "player_1=random", "--episodes", "30"]
    main([*command, "--gif", str(gif), "--json", str(table)])
    rows = json.loads(table.read_text())
    assert len(rows) == 30
    # A random opponent is no constant one.
    assert len({row["returns"]["player_0"] for row in rows}) > 1
    with Image.open(gif) as picture:
        assert picture.n_frames == 6


def test_rommeo_cross_play_writes_a_matrix_and_a_picture(games, tmp_path):
    picture, table = tmp_path / "matrix.png", tmp_path / "matrix.json"
    command = ["cross-play", *games, "--episodes", "1"]
    main([*command, "--picture", str(picture), "--json", str(table)])
    rows = json.loads(table.read_text())
    assert [(row["first_agent"], row["others"]) for row in rows] == [
        (one, other) for one in games for other in games
    ]
    mixed = Stage(games[0], {"player_1": games[1]}).play(1)
    assert rows[1]["return"] == sum(mixed.returns[0].values())
    assert picture.stat().st_size > 0


def test_rommeo_export_writes_what_is_asked_for(games, tmp_path):
    program, weights = tmp_path / "policy.pt2", tmp_path / "policy.safetensors"
    main(["export", games[0], "player_0", "--program", str(program), "--weights", str(weights)])
    action = torch.export.load(program).module()(torch.ones(3, 1))
    expected = Player.from_checkpoint(games[0], "player_0").act([np.ones(1, np.float32)] * 3)
    np.testing.assert_array_equal(action, expected)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["evaluate", "{0}", "--opponent", "player_2=random"], "unknown agent 'player_2'"),
        (["evaluate", "{0}", "--opponent", "random"], "allowed: AGENT=CHECKPOINT"),
        (["evaluate", "{0}", "--episodes", "0"], "--episodes 0: allowed: at least 1"),
        (["evaluate", "/nowhere"], "/nowhere is no checkpoint"),
        (["cross-play", "{0}"], "1 checkpoints: allowed: at least 2"),
        (["export", "{0}", "player_0"], "Nothing to write"),
        (["export", "{0}", "nobody", "--weights", "x"], "unknown policy 'nobody'"),
    ],
)
def test_misuse_is_told_in_one_line(games, command, message, capsys):
    with pytest.raises(SystemExit) as ended:
        main([word.format(*games) for word in command])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1


def test_a_policy_that_does_not_fit_is_refused(trained, games, tmp_path):
    with pytest.raises(ValueError, match=r"unknown agent 'player_1'"):
        Stage(games[0], {"player_1": trained[1]}).play(1)
    algorithm = game_config("max_of_two_quadratics").build_algo()
    algorithm.save_to_path(str(tmp_path))
    algorithm.stop()
    with pytest.raises(ValueError, match=r"'in_place_of_player_1' does not fit this game"):
        Stage(games[0], {"player_1": tmp_path}).play(1)
