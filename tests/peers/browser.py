"""A headless Chromium over its debugging pipe: no driver package, no port.

Speaks the Chrome DevTools Protocol in NUL-ended JSON over file descriptors 3 (to it) and 4 (from it).
"""

import base64
import json
import os
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Flags that keep Chromium from calling home on a closed network.
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
)
# A loaded machine starts Chromium in several seconds.
ANSWER_SECONDS = 30.0


class Browser:
    """One Chromium; `complaints` are errors of pages: refused content, exceptions, failed requests."""

    def __init__(self, profile: str) -> None:
        to_read, self._write = os.pipe()
        self._read, from_write = os.pipe()
        script = f"exec chromium {' '.join(FLAGS)} --user-data-dir={profile} 3<&{to_read} 4>&{from_write}"
        self._process = subprocess.Popen(
            ["bash", "-c", script],
            pass_fds=(to_read, from_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(from_write)
        self._buffer = b""
        self._number = 0
        self.complaints: list[str] = []

    def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """Send one command and return its result."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return dict(answer["result"])
            self._note(answer)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], ANSWER_SECONDS)
            data = os.read(self._read, 1 << 16) if ready else b""
            if not data:
                raise RuntimeError("the browser has ended or hangs")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\0")
        return dict(json.loads(line))

    def _note(self, event: dict[str, Any]) -> None:
        if event.get("method") == "Log.entryAdded":
            entry = event["params"]["entry"]
            self.complaints.append(f"{entry['text']} {entry.get('url', '')}")
        if event.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(str(event["params"]["exceptionDetails"]))

    def close(self) -> None:
        """End the browser and wait for it."""
        self.call("Browser.close")
        self._process.wait(10)
        os.close(self._read)
        os.close(self._write)

    @contextmanager
    def tab(
        self,
        url: str,
        *,
        width: int = 1280,
        height: int = 900,
        mobile: bool = False,
        dark: bool = False,
        script: bool = True,
    ) -> "Iterator[Tab]":
        """Open a page of that size."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        tab = Tab(self, session, width, mobile=mobile)
        for domain in ("Page", "Log", "Runtime"):
            self.call(f"{domain}.enable", session)
        tab.resize(height)
        feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", session, features=[feature])
        self.call("Emulation.setScriptExecutionDisabled", session, value=not script)
        self.call("Page.navigate", session, url=url)
        tab.wait(script=script)
        try:
            yield tab
        finally:
            self.call("Target.closeTarget", targetId=target)


class Tab:
    """One page in the browser."""

    def __init__(self, browser: Browser, session: str, width: int, *, mobile: bool) -> None:
        self._browser = browser
        self._session = session
        self.width = width
        self.mobile = mobile

    def resize(self, height: int) -> None:
        """Set the height of the screen in CSS pixels."""
        metrics = {"width": self.width, "height": height, "deviceScaleFactor": 1, "mobile": self.mobile}
        self._browser.call("Emulation.setDeviceMetricsOverride", self._session, **metrics)

    def wait(self, *, script: bool) -> None:
        """Wait until the page stands with its styles; without JavaScript there is nothing to ask."""
        if not script:
            time.sleep(1.0)
            return
        deadline = time.monotonic() + ANSWER_SECONDS
        while not self.value("document.readyState === 'complete' && location.href !== 'about:blank'"):
            if time.monotonic() > deadline:
                raise RuntimeError("the page does not load")
            time.sleep(0.02)

    def value(self, expression: str) -> Any:
        """Return the JSON value of a JavaScript expression."""
        asked = self._browser.call("Runtime.evaluate", self._session, expression=expression, returnByValue=True)
        return asked["result"].get("value")

    def text(self, selector: str) -> str:
        """Return the visible text of the first element that matches, or nothing."""
        return str(self.value(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"))

    def until(self, selector: str, words: str, seconds: float = 10.0) -> float:
        """Wait until the element's text holds `words`; return how long that took, in seconds."""
        begin = time.monotonic()
        while words not in self.text(selector):
            if time.monotonic() - begin > seconds:
                raise AssertionError(f"{selector} says {self.text(selector)!r}, not {words!r}")
            time.sleep(0.05)
        return time.monotonic() - begin

    def picture(self, top: int, height: int) -> bytes:
        """Return a part of the page as PNG."""
        clip = {"x": 0, "y": top, "width": self.width, "height": height, "scale": 1}
        answer = self._browser.call("Page.captureScreenshot", self._session, clip=clip)
        return base64.b64decode(answer["data"])
