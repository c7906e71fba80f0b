"""The status page in a real browser: live, without JavaScript, on a phone, and when the agent is gone."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from starlette.applications import Starlette

from agent.snapshot import Snapshot
from agent.web.page import routes
from tests.agent import samples
from tests.agent.samples import SNAPSHOTS
from tests.peers.browser import Browser

pytestmark = pytest.mark.peer


# The names of the landmarks, as a screen reader takes them from their headings.
NAMES = """[...document.querySelectorAll('section[aria-labelledby]')]
    .map(section => document.getElementById(section.getAttribute('aria-labelledby')).innerText)"""


class Site:
    """The page on a loopback port, with a snapshot that the test changes."""

    def __init__(self) -> None:
        self.snapshot: Snapshot = samples.HEALTHY
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/?lang=en"
        app = Starlette(
            routes=routes(lambda: self.snapshot, lambda: samples.NOW + 0.5 + time.monotonic() % 1, tick_seconds=0.2)
        )
        # Streams never end by themselves: a stop that waits for them would never come.
        config = uvicorn.Config(app, log_level="error", lifespan="off", timeout_graceful_shutdown=1, ws="none")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, args=([self.listener],))

    def stop(self) -> None:
        """End the server."""
        self.server.should_exit = True
        self.thread.join(10)
        self.listener.close()


@contextmanager
def site() -> Iterator[Site]:
    """Serve the page."""
    served = Site()
    served.thread.start()
    try:
        yield served
    finally:
        served.stop()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for the module."""
    started = Browser(str(tmp_path_factory.mktemp("profile")))
    yield started
    started.close()


@pytest.fixture(autouse=True)
def _no_complaints(browser: Browser) -> Iterator[None]:
    """Nothing is refused by the content policy and no script fails, in any test."""
    browser.complaints.clear()
    yield
    assert browser.complaints == []


def test_an_incident_appears_without_reload(browser: Browser) -> None:
    """Finding, card, segment and banner change in place within a few seconds, and go again."""
    with site() as served, browser.tab(served.url) as tab:
        tab.until("h1", "The whole chain works")
        tab.until("#live", "Live, as of")
        tab.value("window.mark = 'same page'; document.querySelector('#lines').open = true; 1")
        served.snapshot = SNAPSHOTS["carrier"]
        tab.until("h1", "1 open incident: ERP and HR self-service down")
        assert tab.value("document.title") == "1 open incident: ERP and HR self-service down · cloud · demarc"
        assert "what remains is carrier, owned by GlasNet alone" in tab.text("#incidents")
        assert "fails" in tab.text(".is-failed")
        assert tab.value("document.querySelector('#lines').open") is True
        served.snapshot = SNAPSHOTS["stopped"]
        tab.until("#banners", "The ledger has stopped recording")
        assert tab.text("#incidents") == ""
        assert tab.value("window.mark") == "same page"


def test_a_lost_agent_is_said(browser: Browser) -> None:
    """When the agent is gone the page says since when, and does not go on looking alive."""
    with site() as served, browser.tab(served.url) as tab:
        tab.until("#live", "Live, as of")
        served.stop()
        tab.until("#live", "Connection to the agent lost since 15:03:05", seconds=15)
        browser.complaints[:] = [c for c in browser.complaints if "/events" not in c]


@pytest.mark.parametrize("name", SNAPSHOTS)
@pytest.mark.parametrize("width", [360, 390, 768])
def test_nothing_is_wider_than_a_small_screen(browser: Browser, name: str, width: int) -> None:
    """No sample makes a phone scroll sideways."""
    with site() as served:
        served.snapshot = SNAPSHOTS[name]
        with browser.tab(served.url, width=width, height=800, mobile=True) as tab:
            tab.until(".brand", "demarc")
            assert tab.value("document.documentElement.scrollWidth") <= width


def test_without_javascript_the_page_is_whole(browser: Browser, tmp_path: Path) -> None:
    """Everything is there without JavaScript, and the page reloads itself."""
    with site() as served:
        served.snapshot = SNAPSHOTS["vpn"]
        with browser.tab(served.url, script=False) as tab:
            time.sleep(0.5)
            picture = tmp_path / "page.png"
            picture.write_bytes(tab.picture(0, 900))
            # A rendered page of this size is no blank sheet, which is some 4 kB.
            assert picture.stat().st_size > 30_000


def test_tab_reaches_the_findings(browser: Browser) -> None:
    """The first stop of the keyboard skips to the findings, landmarks are named."""
    with site() as served, browser.tab(served.url) as tab:
        tab.until("h1", "The whole chain works")
        assert tab.value("document.querySelector('a').getAttribute('href')") == "#incidents"
        named = tab.value(NAMES)
        assert {"The chain", "Services", "VPN", "Other measuring points", "Who vouches for this record"} < set(named)
        assert all(named)
