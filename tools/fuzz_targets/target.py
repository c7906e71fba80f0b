"""What a target is."""

from collections.abc import Callable, Sequence

Run = Callable[[bytes], object]
"""Takes any bytes and raises nothing."""

Seeds = Sequence[bytes]
"""What the search begins with: one whole message of each form, at least."""

Make = Callable[[], tuple[Run, Seeds]]
"""Makes a target; its modules are imported in it, once they can be instrumented."""
