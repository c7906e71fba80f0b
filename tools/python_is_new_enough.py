"""Refuse an interpreter older than demarc needs, and say what to do."""

import sys

NEEDED = (3, 11)

if sys.version_info < NEEDED:
    sys.exit(
        f"demarc needs Python {NEEDED[0]}.{NEEDED[1]} or newer, this is {sys.version.split()[0]}; "
        "install one and run: make PYTHON=/path/to/python3"
    )
