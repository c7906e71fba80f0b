"""The tree of RFC 6962: the root over leaves as they come, and inclusion proofs. Pure."""

import hashlib


def leaf_hash(body: bytes) -> bytes:
    """Return SHA-256(0x00 || body) (RFC 6962 section 2.1)."""
    return hashlib.sha256(b"\x00" + body).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """The root over leaves as they come: the complete subtrees that make it up, largest first."""

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []

    def add(self, leaf: bytes) -> None:
        """Take the next leaf's hash."""
        rest = self.size
        while rest & 1:
            leaf = _node(self._peaks.pop(), leaf)
            rest >>= 1
        self._peaks.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """Return the root over what was taken."""
        if not self._peaks:
            return hashlib.sha256(b"").digest()
        *others, root = self._peaks
        for peak in reversed(others):
            root = _node(peak, root)
        return root


def included(leaf: bytes, index: int, size: int, proof: list[bytes], root: bytes) -> bool:
    """Check an inclusion proof (RFC 9162 section 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    number, last = index, size - 1
    for sibling in proof:
        if last == 0:
            return False
        if number & 1 or number == last:
            leaf = _node(sibling, leaf)
            while number and not number & 1:
                number, last = number >> 1, last >> 1
        else:
            leaf = _node(leaf, sibling)
        number, last = number >> 1, last >> 1
    return last == 0 and leaf == root
