"""What the command line says about a run."""

from pathlib import Path

import msgspec


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """Paths and addresses of one run; `web_config` is None when the web server speaks plain HTTP."""

    config_file: Path
    listen: str = ":10199"
    web_config: Path | None = None
