"""What is said over a connection, apart from the connection: bytes in, what follows from them out."""

from typing import Protocol

import msgspec

from probes.kit.trouble import Trouble


class Say(msgspec.Struct, frozen=True):
    """Send this and go on listening."""

    data: bytes


class Done(msgspec.Struct, frozen=True):
    """All has been said; `whole` is false when the rest was not worth hearing."""

    whole: bool = True


class Dialogue(Protocol):
    """One side of a conversation, without a socket. Any bytes lead to a value; what is kept of them is bounded."""

    @property
    def first(self) -> bytes:
        """Return what to say at once; b"" when the peer speaks first."""
        ...

    def feed(self, data: bytes) -> Say | Done | Trouble | None:
        """Take bytes (b"": the peer closed); None while more must come. After the end it is not called again."""
        ...
