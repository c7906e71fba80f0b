"""The Merkle tree of RFC 6962 section 2.1 (the same in RFC 9162): roots, inclusion and consistency proofs.

Pure. The tree is read through `Reader`: the hash of the complete subtree number `index` at `level`
(2**level leaves, level 0 being a leaf's own hash). Complete subtrees never change once they exist,
so they are stored once; a root at any size is put together from at most log2(size) of them.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

Reader: TypeAlias = Callable[[int, int], bytes]

HASH_BYTES = 32

EMPTY_ROOT = hashlib.sha256(b"").digest()
"""The root of a tree without leaves (RFC 6962 section 2.1)."""


class Node(NamedTuple):
    """A complete subtree of 2**level leaves, the `number`-th of its level."""

    level: int
    number: int
    hash: bytes


def leaf_hash(body: bytes) -> bytes:
    """Return SHA-256(0x00 || body)."""
    return hashlib.sha256(b"\x00" + body).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def completed(index: int, leaf: bytes, read: Reader) -> tuple[Node, ...]:
    """Return the subtrees above leaf `index` that it completes, lowest first; `read` gives the older ones."""
    nodes: list[Node] = []
    level, current = 0, leaf
    while index >> level & 1:
        current = node_hash(read(level, (index >> level) - 1), current)
        level += 1
        nodes.append(Node(level, index >> level, current))
    return tuple(nodes)


def root(size: int, read: Reader) -> bytes:
    """Return the root over the first `size` leaves."""
    return _subtree(0, size, read) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, read: Reader) -> tuple[bytes, ...]:
    """Return PATH(index, D[size]) of RFC 6962 section 2.1.1; ValueError when the leaf is not in the tree."""
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not among {size}")
    proof: list[bytes] = []
    start, stop = 0, size
    while stop - start > 1:
        middle = start + _split(stop - start)
        if index < middle:
            proof.append(_subtree(middle, stop, read))
            stop = middle
        else:
            proof.append(_subtree(start, middle, read))
            start = middle
    return tuple(reversed(proof))


def consistency_proof(old: int, size: int, read: Reader) -> tuple[bytes, ...]:
    """Return PROOF(old, D[size]) of RFC 6962 section 2.1.2; ValueError unless 0 < old <= size."""
    if not 0 < old <= size:
        raise ValueError(f"no consistency proof from {old} to {size}")
    proof: list[bytes] = []
    start, stop, old_is_whole = 0, size, True
    while old != stop:
        middle = start + _split(stop - start)
        if old <= middle:
            proof.append(_subtree(middle, stop, read))
            stop = middle
        else:
            proof.append(_subtree(start, middle, read))
            start, old_is_whole = middle, False
    if not old_is_whole:
        proof.append(_subtree(start, stop, read))
    return tuple(reversed(proof))


def verify_inclusion(*, leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Check an inclusion proof by RFC 9162 section 2.1.3.2; `leaf` is the leaf's hash."""
    if not 0 <= index < size:
        return False
    number, last, current = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if number & 1 or number == last:
            current = node_hash(sibling, current)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            current = node_hash(current, sibling)
        number, last = number >> 1, last >> 1
    return last == 0 and current == root


def verify_consistency(*, old: int, size: int, old_root: bytes, root: bytes, proof: Sequence[bytes]) -> bool:
    """Check a consistency proof by RFC 9162 section 2.1.4.2. From the empty tree only the empty root goes."""
    if old == 0:
        return size >= 0 and not proof and old_root == EMPTY_ROOT
    if not 0 < old <= size:
        return False
    if old == size:
        return not proof and old_root == root
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    number, last = old - 1, size - 1
    while number & 1:
        number, last = number >> 1, last >> 1
    if not path:
        return False
    first = second = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if number & 1 or number == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            second = node_hash(second, sibling)
        number, last = number >> 1, last >> 1
    return last == 0 and first == old_root and second == root


def _split(count: int) -> int:
    """Return the largest power of two smaller than `count` (two or more)."""
    power: int = 1 << ((count - 1).bit_length() - 1)
    return power


def _subtree(start: int, stop: int, read: Reader) -> bytes:
    """Return the hash over leaves [start, stop), cut as the RFC cuts; `start` is a multiple of its largest part."""
    count = stop - start
    if count & (count - 1) == 0:
        level = count.bit_length() - 1
        return read(level, start >> level)
    middle = start + _split(count)
    return node_hash(_subtree(start, middle, read), _subtree(middle, stop, read))
