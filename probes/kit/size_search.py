"""The search for the largest packet that passes: which sizes to send next, and what the answers mean. Pure.

What must stay true: a size counts as passing only when it was answered, and as not passing only after TRIES packets
of it stayed unanswered or a router said that it is too big; what a router says is a hint where to look, never a
measurement, so that a false one costs a few packets and changes nothing.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

TRIES: Final = 3  # lost packets are no hole: at 5 % loss each way three in a row are one search in a thousand
BREADTH: Final = 8  # sizes in one step: four steps find one of a thousand, in the time of four silences


class TooBig(msgspec.Struct, frozen=True, kw_only=True):
    """A router's word: it cannot forward more than `mtu` bytes."""

    by: str
    mtu: int


class SizeSearch:
    """Sizes (bytes on the wire, with IP header) from `least`, which should always pass, to `largest`."""

    def __init__(self, least: int, largest: int, expect: int = 0, breadth: int = BREADTH) -> None:
        """`expect`: a size whose verdict comes first, 0 for none; `breadth`: how many sizes a step has."""
        self._least = least
        self.largest = largest
        self._expect = expect
        self._breadth = breadth
        self.capped = False
        self.working = 0
        self.tries: dict[int, int] = {}
        self.told: dict[int, TooBig] = {}

    def answered(self, size: int) -> None:
        """Note that a packet of `size` came back."""
        self.working = max(self.working, size)

    def too_big(self, size: int, by: str, mtu: int) -> None:
        """Note that `by` says of a packet of `size` that it is too big, and its next hop's MTU."""
        self.told[size] = TooBig(by=by, mtu=mtu)

    def cap(self, size: int) -> None:
        """Note that nothing above `size` can be sent at all: the search ends there."""
        self.capped = True
        self.largest = min(self.largest, size)

    @property
    def beyond(self) -> int:
        """Return the smallest size above the working one that did not pass so far."""
        above = (size for size in (*self.tries, *self.told) if size > self.working)
        return min((*above, self.largest + 1))

    def certain(self, size: int) -> bool:
        """Return whether the verdict over `size` stands: it passes, or it does not.

        Silence of smaller packets counts too: what is too large for them is too large for it.
        """
        if size <= self.working or size > self.largest or size in self.told:
            return True
        return sum(count for tried, count in self.tries.items() if self.working < tried <= size) >= TRIES

    @property
    def exact(self) -> bool:
        """Return whether nothing is left to find out."""
        return self.working >= self.largest or (self.beyond == self.working + 1 and self.certain(self.beyond))

    @property
    def router(self) -> TooBig | None:
        """Return who tells senders of the limit; None for a hole that nobody speaks of, or speaks of wrongly.

        A sender who believes a router's MTU of more than passes runs into silence all the same.
        """
        words = (word for size, word in self.told.items() if size > self.working)
        return next((word for word in words if word.mtu <= self.working or not self.certain(word.mtu)), None)

    @property
    def hole(self) -> bool:
        """Return whether it is certain that packets above the working size vanish without a word."""
        return self.working < self.largest and self.certain(self.largest) and self.router is None

    def next(self) -> tuple[int, ...]:
        """Return the sizes of the next step (`breadth` + 1 at most), each counted as tried; none when all is known."""
        sizes = self._sizes()
        for size in sizes:
            self.tries[size] = self.tries.get(size, 0) + 1
        return sizes

    def _sizes(self) -> tuple[int, ...]:
        if not self.tries:
            return tuple(sorted({self._least, self._expect or self._least, self.largest}))
        if not self.working:
            return () if self.certain(self._least) else (self._least, *self._doubted(self._least))
        if self.exact:
            return ()
        beyond = self.beyond
        if beyond == self.working + 1:
            return (beyond,) * (TRIES - self.tries.get(beyond, 0))
        inside = range(self.working + 1, beyond)
        hints = [size for word in self.told.values() for size in (word.mtu, word.mtu + 1) if size in inside]
        chosen = hints[: self._breadth] or _spread(inside, self._breadth)
        return tuple(sorted({*chosen, *self._doubted(beyond)}))

    def _doubted(self, most: int) -> Iterable[int]:
        """Return the expected size as long as its verdict does not stand: it matters most, and time may run out."""
        return (self._expect,) if self._expect >= most and not self.certain(self._expect) else ()


def _spread(inside: range, count: int) -> Iterable[int]:
    """Return at most `count` sizes that part `inside` evenly."""
    if len(inside) <= count:
        return inside
    return (inside[(n + 1) * len(inside) // (count + 1)] for n in range(count))
