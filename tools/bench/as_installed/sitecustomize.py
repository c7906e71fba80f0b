"""Hides packages from every Python that finds this folder on its path: an import of them fails as if not installed."""

import os
import sys

for _name in filter(None, os.environ.get("DEMARC_BENCH_HIDDEN", "").split(",")):
    sys.modules[_name] = None  # type: ignore[assignment]  # the documented way to have an import fail
