"""Screenshots of the status page for every sample snapshot, desktop and phone, to be looked at.

    python -m tools.page_shots FOLDER [NAME ...]

Prints what the browser complains of; complaints make it exit 1.
"""

import sys
import tempfile
import time
from pathlib import Path

from tests.agent import samples
from tests.peers.browser import Browser
from tests.peers.test_page_in_browser import site

# A phone's page is long and narrow: pictures of this height are still readable.
PIECE = 1300


def shoot(
    browser: Browser, url: str, file: Path, *, mobile: bool = False, dark: bool = False, script: bool = True
) -> None:
    """Take pictures of the whole page: one on a desktop, pieces on a phone."""
    width, height = (390, 844) if mobile else (1280, 900)
    with browser.tab(url, width=width, height=height, mobile=mobile, dark=dark, script=script) as tab:
        time.sleep(0.9)
        high = max(height, tab.value("document.documentElement.scrollHeight") if script else 2 * PIECE)
        tab.resize(high)
        piece = PIECE if mobile else high
        for number, top in enumerate(range(0, high, piece)):
            name = f"{file.stem}-{number}" if number else file.stem
            file.with_stem(name).write_bytes(tab.picture(top, min(piece, high - top)))


def main() -> int:
    """Take all pictures, or those of the named samples."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as profile, site() as served:
        browser = Browser(profile)
        for name in sys.argv[2:] or samples.SNAPSHOTS:
            served.snapshot = samples.SNAPSHOTS[name]
            shoot(browser, served.url, folder / f"{name}-desktop.png")
            shoot(browser, served.url, folder / f"{name}-phone.png", mobile=True)
            if name in ("carrier", "vpn"):
                dutch = served.url.replace("lang=en", "lang=nl")
                shoot(browser, dutch, folder / f"{name}-dark-nl.png", dark=True)
                shoot(browser, served.url, folder / f"{name}-noscript.png", script=False)
        browser.close()
    print("\n".join(browser.complaints) or f"pictures in {folder}, no complaints")
    return 1 if browser.complaints else 0


if __name__ == "__main__":
    sys.exit(main())
