"""Screenshots of the status page for every sample snapshot, desktop and phone, to be looked at.

    python -m tools.page_shots FOLDER [NAME ...]

Serves the samples on a loopback port and drives headless Chromium over its debugging pipe (no
driver package needed). Prints what the browser complains of; complaints make it exit 1.
"""

import base64
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette

from agent.snapshot import Snapshot
from agent.web.page import routes
from tests.agent import samples

# flags that keep Chromium from calling home on a closed network
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-pipe",
)  # fmt: skip
SIZES = {"desktop": (1280, 900, False), "phone": (390, 844, True)}
# A phone's page is long and narrow: pictures of this height are still readable side by side.
PIECE = 1300


class Browser:
    """One Chromium, spoken to in NUL-ended JSON over file descriptors 3 (to it) and 4 (from it)."""

    def __init__(self, profile: str) -> None:
        to_read, self._write = os.pipe()
        self._read, from_write = os.pipe()
        script = f"exec chromium {' '.join(FLAGS)} --user-data-dir={profile} 3<&{to_read} 4>&{from_write}"
        self._process = subprocess.Popen(
            ["bash", "-c", script], pass_fds=(to_read, from_write), stderr=subprocess.DEVNULL
        )
        os.close(to_read)
        os.close(from_write)
        self._buffer = b""
        self._number = 0
        self.complaints: list[str] = []

    def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """Send one command and return its result, noting complaints that arrive before it."""
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
            data = os.read(self._read, 1 << 16)
            if not data:
                raise RuntimeError("the browser has ended")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\0")
        return dict(json.loads(line))

    def _note(self, event: dict[str, Any]) -> None:
        if event.get("method") == "Log.entryAdded":
            self.complaints.append(str(event["params"]["entry"]["text"]))
        if event.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(str(event["params"]["exceptionDetails"]))

    def close(self) -> None:
        """End the browser."""
        self.call("Browser.close")
        self._process.wait(10)


def shoot(browser: Browser, url: str, file: Path, size: str, *, dark: bool = False, script: bool = True) -> None:
    """Take one picture of the whole page as high as it is."""
    width, height, mobile = SIZES[size]
    target = browser.call("Target.createTarget", url="about:blank")["targetId"]
    session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    for domain in ("Page", "Log", "Runtime"):
        browser.call(f"{domain}.enable", session)
    metrics = {"deviceScaleFactor": 1, "mobile": mobile}
    browser.call("Emulation.setDeviceMetricsOverride", session, width=width, height=height, **metrics)
    feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.call("Emulation.setEmulatedMedia", session, features=[feature])
    browser.call("Emulation.setScriptExecutionDisabled", session, value=not script)
    browser.call("Page.navigate", session, url=url)
    time.sleep(0.9)
    tree = "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
    high = PIECE
    if script:
        asked = browser.call("Runtime.evaluate", session, expression=tree, returnByValue=True)
        wide, high = asked["result"]["value"]
        if wide > width:
            browser.complaints.append(f"{file.name}: {wide} px wide, {width} is the screen")
    browser.call("Emulation.setDeviceMetricsOverride", session, width=width, height=max(height, high), **metrics)
    for number, top in enumerate(range(0, high, PIECE) if mobile else (0,)):
        bottom = min(high, top + PIECE) if mobile else max(high, height)
        clip = {"x": 0, "y": top, "width": width, "height": bottom - top, "scale": 1}
        picture = browser.call("Page.captureScreenshot", session, clip=clip)["data"]
        file.with_stem(f"{file.stem}-{number}" if number else file.stem).write_bytes(base64.b64decode(picture))
    browser.call("Target.closeTarget", targetId=target)


def serve(get: Callable[[], Snapshot], get_now: Callable[[], float]) -> tuple[uvicorn.Server, int]:
    """Serve the page on a free loopback port in a thread."""
    app = Starlette(routes=routes(get, get_now))
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.02)
    return server, int(server.servers[0].sockets[0].getsockname()[1])


def main() -> int:
    """Take all pictures, or those of the named samples."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    shown = {"snapshot": samples.HEALTHY}
    _, port = serve(lambda: shown["snapshot"], lambda: samples.NOW + 0.5)
    with tempfile.TemporaryDirectory() as profile:
        browser = Browser(profile)
        for name in sys.argv[2:] or samples.SNAPSHOTS:
            shown["snapshot"] = samples.SNAPSHOTS[name]
            for size in SIZES:
                shoot(browser, f"http://127.0.0.1:{port}/?lang=en", folder / f"{name}-{size}.png", size)
            if name in ("carrier", "vpn"):
                shoot(
                    browser, f"http://127.0.0.1:{port}/?lang=nl", folder / f"{name}-dark-nl.png", "desktop", dark=True
                )
                shoot(browser, f"http://127.0.0.1:{port}/", folder / f"{name}-noscript.png", "phone", script=False)
        browser.close()
    print("\n".join(browser.complaints) or f"pictures in {folder}, no complaints")
    return 1 if browser.complaints else 0


if __name__ == "__main__":
    sys.exit(main())
