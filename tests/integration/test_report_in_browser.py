"""A report's page in a real browser: no errors, no network, no page that moves sideways."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from made_up_results import made_up_experiment, made_up_group, made_up_run

from rommeo_rllib.reporting.report_page import report_page
from rommeo_rllib.reporting.report_scores import Judgement

pytestmark = pytest.mark.slow

webdriver = pytest.importorskip("selenium.webdriver")

_PHONE, _DESKTOP = 390, 1280
_OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def found(*names: str) -> str:
    paths = [path for name in names if (path := shutil.which(name))]
    if not paths:
        pytest.skip(f"There is no {' or '.join(names)} here (Debian: apt-get install {names[0]}).")
    return paths[0]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = found("chromium", "chromium-browser", "google-chrome")
    service = Service(found("chromedriver", "chromium-driver"))
    for option in (*_OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('browser')}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=service)
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a page with all that a page may have, and long names."""
    name = "alpha 20 to 0.1 in 250 env steps, linear; _model_config {'fcnet_hiddens': [64, 64]}"
    best = made_up_group([made_up_run(seed) for seed in range(3)], name=name)
    worse = [made_up_run(seed, ends_at=0.0) for seed in range(2)]
    other = made_up_group(
        worse, algorithm="DDPG", name="DDPG-with-a-name-that-cannot-be-broken" * 2
    )
    experiment = made_up_experiment(best, other, missing=["Trial 3 failed: the power is off."])
    file: Path = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(
        report_page([experiment], Judgement(9.0, greedy=False), "rommeo report x", None),
        encoding="utf-8",
    )
    return file.as_uri()


def show(browser: Any, address: str, *, width: int, scheme: str = "light", motion: str) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width == _PHONE}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    media = {"prefers-color-scheme": scheme, "prefers-reduced-motion": motion}
    features = [{"name": name, "value": value} for name, value in media.items()]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.get(address)


def part(browser: Any, name: str) -> Any:
    return browser.find_element("css selector", f'[data-part="{name}"]')


@pytest.mark.parametrize("width", [_PHONE, _DESKTOP])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_renders_without_errors_network_or_sideways_moves(browser, report, width, scheme):
    for kind in ("browser", "performance"):
        browser.get_log(kind)  # What came before is not this page's.
    show(browser, report, width=width, scheme=scheme, motion="reduce")
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    requests = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert [url for url in requests if not url.startswith("data:")] == [report]
    wide, body = browser.execute_script(
        "return [document.documentElement.scrollWidth, getComputedStyle(document.body)]"
        ".map((x) => x.backgroundColor || x)"
    )
    assert wide <= width
    assert (body == "rgb(255, 255, 255)") == (scheme == "light")
    drawings = browser.find_elements("css selector", "svg.figure")
    assert drawings
    assert all(drawing.size["width"] > 300 and drawing.size["height"] > 150 for drawing in drawings)


def test_motion_begins_by_itself_only_where_it_is_welcome(browser, report):
    for motion, said in (("reduce", "Play"), ("no-preference", "Pause")):
        show(browser, report, width=_DESKTOP, motion=motion)
        player = browser.find_element("css selector", "[data-learning-path] svg")
        browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", player)
        # By then whatever comes into sight has been told so.
        browser.execute_async_script("setTimeout(arguments[0], 300)")
        assert part(browser, "button").text == said, motion


def test_the_path_can_be_played_stopped_and_moved_by_hand(browser, report):
    show(browser, report, width=_PHONE, motion="reduce")
    assert "Env step 750" in part(browser, "said").text
    button, slider = part(browser, "button"), part(browser, "slider")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
    button.click()
    assert button.text == "Pause"
    button.click()
    assert button.text == "Play"
    stopped = slider.get_attribute("value")
    browser.execute_async_script("setTimeout(arguments[0], 100)")
    assert slider.get_attribute("value") == stopped
    browser.execute_script(
        "arguments[0].value = 0; arguments[0].dispatchEvent(new Event('input'))", slider
    )
    assert "Env step 25:" in part(browser, "said").text
