"""What msgspec raises over JSON that others wrote: malformed, not UTF-8, or nested beyond reason."""

from typing import Final

import msgspec

JSON_ERRORS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""For an `except` clause. What is too deep is refused also where nobody reads the value."""
