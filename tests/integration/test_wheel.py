"""The wheel works outside the checkout."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    # From a copy, so that the build leaves nothing behind in the checkout.
    source = folder / "source"
    subprocess.run(["git", "clone", "--quiet", "--local", str(CHECKOUT), str(source)], check=True)
    subprocess.run([sys.executable, *command, "-w", str(folder), str(source)], check=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_puts_a_single_name_into_site_packages(wheel: Path):
    names = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in names if not name.endswith(".dist-info")} == {"rommeo_rllib"}


@pytest.mark.slow
def test_an_environment_with_only_the_wheel_trains_from_the_command_line(
    wheel: Path, tmp_path: Path
):
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=False)
    (site_packages,) = environment.glob("lib/python*/site-packages")
    zipfile.ZipFile(wheel).extractall(site_packages)
    # Dependencies come from this environment's folder; its .pth files, by which it finds the
    # checkout, are not read from there.
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    table = tmp_path / "table.json"
    command = [
        str(environment / "bin" / "python"),
        *("-m", "rommeo_rllib.cli", "train", "max_of_two_quadratics/rommeo_ac"),
        *("--stop-steps", "75", "--storage", str(tmp_path / "results"), "--json", str(table)),
    ]
    outside = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    subprocess.run(command, check=True, cwd=tmp_path, env=outside, timeout=240)
    (row,) = json.loads(table.read_text())
    assert row["env_steps"] == 75
    assert row["seed"] == 0
