"""The HTTP port with those who use it: a PACS that sends by DICOMweb, a person with a browser."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import ROOT
from tests.e2e.browser import Chromium
from tests.e2e.orthanc import Orthanc
from tests.node_http import TOKEN, part10
from tests.node_world import Node, node, push, study

pytestmark = pytest.mark.e2e

SCREENSHOTS = ROOT / "out" / "pages"
WAIT_MS = 60_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the node has its data and the token its file."""
    made = tmp_path_factory.mktemp("http")
    (made / "token").write_text(TOKEN)
    (made / "token").chmod(0o600)
    return made


@pytest.fixture(scope="module")
def one(folder: Path) -> Iterator[Node]:
    """A node with a token."""
    with node(folder, HTTP_TOKEN_FILE=folder / "token") as made:
        yield made


@pytest.fixture(scope="module")
def browser(tool: Callable[[str], Path]) -> Iterator[Chromium]:
    """Debian's Chromium."""
    with Chromium(tool("chromium")) as chromium:
        yield chromium


def base(one: Node) -> str:
    """Where the node's pages are."""
    return f"http://127.0.0.1:{one.ready['http_port']}"


def logged_in(browser: Chromium, one: Node, **options: Any) -> tuple[Page, list[str]]:
    """The list of studies, and what the browser complained about meanwhile."""
    page = browser.page(**options)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.append(request.url))
    page.goto(base(one))
    expect(page.get_by_label("Token")).to_be_focused()  # by the page; sooner Chromium complains
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Studies")).to_be_visible()
    return page, complaints


def test_orthanc_sends_a_study_by_dicomweb(
    one: Node, tool: Callable[[str], Path], tmp_path: Path
) -> None:
    """Its plugin stores a study at the node with the token, and the study is reported."""
    sent = study(6)
    with Orthanc(tool("Orthanc"), tmp_path / "orthanc", {}) as pacs:
        for dataset in sent:
            resource = pacs.upload(part10(dataset))
        headers = {"Authorization": f"Bearer {TOKEN}"}
        server = {"Url": f"{base(one)}/dicom-web/", "HttpHeaders": headers}
        ask(pacs, "/dicom-web/servers/node", server, method="PUT")
        ask(pacs, "/dicom-web/servers/node/stow", {"Resources": [resource], "Synchronous": True})
    known = one.wait_for(str(sent[0].StudyInstanceUID), "sent")
    assert (known["images"], known["reports"][0]["outcome"]) == (6, "reported")
    assert "Secret" not in one.log.read_text()


def test_a_failed_study_is_revived_by_a_click(one: Node, browser: Chromium) -> None:
    """Failed, then "Analyse again", then sent: the page shows it without being loaded anew."""
    sent = study(3, StudyDescription="flaky", PatientName="Ångström^Åsa", StudyDate="20260203")
    push(sent, one.port)
    one.wait_for(str(sent[0].StudyInstanceUID), "failed")
    page, complaints = logged_in(browser, one)
    mine = page.locator("li.study").filter(has_text=str(sent[0].StudyInstanceUID))
    expect(mine.locator(".state")).to_have_text("failed")
    expect(mine.locator("h2")).to_have_text("Ångström, Åsa")
    picture(page, "failed")
    mine.get_by_role("button", name="Analyse again").click()
    expect(page.get_by_role("status")).to_have_text("It is being done again.")
    expect(mine.locator(".state")).to_have_text("sent", timeout=WAIT_MS)
    expect(mine.locator(".sentence")).to_contain_text("No finding like a sacral")
    assert one.study(str(sent[0].StudyInstanceUID))["reports"][0]["outcome"] == "reported"
    assert complaints == []
    picture(page, "revived")


def test_the_page_fits_a_telephone_and_the_dark(one: Node, browser: Chromium) -> None:
    """No sideways scrolling at 360 pixels; another background where the reader wants it dark."""
    page, complaints = logged_in(browser, one, width=360, height=740, dark=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    picture(page, "narrow-dark")
    light_page, _ = logged_in(browser, one, width=820)
    assert light_page.evaluate("getComputedStyle(document.body).backgroundColor") != dark
    assert complaints == []


def test_an_injected_script_does_not_run(one: Node, browser: Chromium) -> None:
    """A patient's name that is markup is text; even markup put into the page runs nothing."""
    sent = study(1, PatientName="<h1>Markup</h1>", StudyDescription="break")
    push(sent, one.port)
    one.wait_for(str(sent[0].StudyInstanceUID), "failed")
    page, _ = logged_in(browser, one)
    expect(page.locator("h2").filter(has_text="<h1>Markup</h1>")).to_be_visible()
    assert page.locator("main h1").count() == 1
    page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.ran = 1\">')"
    )
    page.wait_for_timeout(300)
    assert page.evaluate("window.ran") is None


def test_logging_out_shows_the_login(one: Node, browser: Chromium) -> None:
    """And the way back shows nothing."""
    page, _ = logged_in(browser, one)
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def ask(pacs: Orthanc, path: str, document: dict[str, Any], *, method: str = "POST") -> None:
    """A request to the PACS's own interface."""
    url = f"http://127.0.0.1:{pacs.http_port}{path}"
    request = Request(url, data=json.dumps(document).encode(), method=method)
    request.add_header("Content-Type", "application/json")
    with urlopen(request, timeout=60) as answer:
        assert answer.status == 200


def picture(page: Page, name: str) -> None:
    """Keep what is to be seen, for a look at it."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)
