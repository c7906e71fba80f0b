"""The tree, by the reference vectors of Certificate Transparency and by exhaustive small trees."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.ledger import merkle

# The leaves and roots of the reference implementation (certificate-transparency, merkle_tree_test).
LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
# (index, size, path), from the same test.
PATHS = [
    (0, 1, []),
    (
        0,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        5,
        8,
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (
        1,
        5,
        [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]
# (old, size, proof), from the same test.
CONSISTENCY = [
    (1, 1, []),
    (
        1,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        6,
        8,
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (
        2,
        5,
        [
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]
MOST = 33


class Tree:
    """A tree in memory that stores complete subtrees as they arise, as the ledger does."""

    def __init__(self, bodies: list[bytes]) -> None:
        self.nodes: dict[tuple[int, int], bytes] = {}
        for index, body in enumerate(bodies):
            leaf = merkle.leaf_hash(body)
            for level, number, hash_ in ((0, index, leaf), *merkle.completed(index, leaf, self.read)):
                assert (level, number) not in self.nodes
                self.nodes[level, number] = hash_

    def read(self, level: int, index: int) -> bytes:
        """Return a stored subtree."""
        return self.nodes[level, index]


def whole(count: int) -> Tree:
    """Return a tree of so many different leaves."""
    return Tree([b"%d" % number for number in range(count)])


def definition(hashes: list[bytes]) -> bytes:
    """Return the root straight from the definition of RFC 6962 section 2.1."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return merkle.node_hash(definition(hashes[:split]), definition(hashes[split:]))


def test_roots_are_those_of_the_reference() -> None:
    """Every size of the reference tree has the published root."""
    tree = Tree(LEAVES)
    assert [merkle.root(size, tree.read).hex() for size in range(9)] == ROOTS


@pytest.mark.parametrize(("index", "size", "path"), PATHS)
def test_inclusion_paths_are_those_of_the_reference(index: int, size: int, path: list[str]) -> None:
    """The published paths come out, and are accepted."""
    proof = merkle.inclusion_proof(index, size, Tree(LEAVES).read)
    assert [one.hex() for one in proof] == path
    assert merkle.verify_inclusion(
        leaf=merkle.leaf_hash(LEAVES[index]), index=index, size=size, proof=proof, root=bytes.fromhex(ROOTS[size])
    )


@pytest.mark.parametrize(("old", "size", "path"), CONSISTENCY)
def test_consistency_proofs_are_those_of_the_reference(old: int, size: int, path: list[str]) -> None:
    """The published proofs come out, and are accepted."""
    proof = merkle.consistency_proof(old, size, Tree(LEAVES).read)
    assert [one.hex() for one in proof] == path
    roots = {"old_root": bytes.fromhex(ROOTS[old]), "root": bytes.fromhex(ROOTS[size])}
    assert merkle.verify_consistency(old=old, size=size, proof=proof, **roots)


def test_every_root_and_proof_of_small_trees() -> None:
    """Up to 33 leaves every root follows the definition and every proof is accepted."""
    tree = whole(MOST)
    leaves = [tree.read(0, index) for index in range(MOST)]
    roots = [merkle.root(size, tree.read) for size in range(MOST + 1)]
    assert roots == [definition(leaves[:size]) for size in range(MOST + 1)]
    for size in range(1, MOST + 1):
        for index in range(size):
            proof = merkle.inclusion_proof(index, size, tree.read)
            assert merkle.verify_inclusion(leaf=leaves[index], index=index, size=size, proof=proof, root=roots[size])
        for old in range(1, size + 1):
            proof = merkle.consistency_proof(old, size, tree.read)
            assert merkle.verify_consistency(old=old, size=size, old_root=roots[old], root=roots[size], proof=proof)


@given(data=st.data(), size=st.integers(1, MOST))
def test_a_changed_inclusion_proof_is_refused(data: st.DataObject, size: int) -> None:
    """Another leaf, place, size, path or root is not accepted."""
    tree = whole(MOST)
    index = data.draw(st.integers(0, size - 1))
    good = {
        "leaf": tree.read(0, index),
        "index": index,
        "size": size,
        "proof": merkle.inclusion_proof(index, size, tree.read),
        "root": merkle.root(size, tree.read),
    }
    bad = dict(good)
    match data.draw(st.sampled_from(["leaf", "index", "root", "flip", "longer", "shorter"])):
        case "leaf":
            bad["leaf"] = merkle.leaf_hash(b"another")
        case "index":
            bad["index"] = data.draw(st.integers(-1, MOST).filter(lambda one: one != index))
        case "root":
            bad["root"] = merkle.root(size + 1 if size < MOST else size - 1, tree.read)
        case "flip":
            bad["proof"] = _flipped(data, good["proof"])  # type: ignore[arg-type]
        case "longer":
            bad["proof"] = (*good["proof"], bytes(32))  # type: ignore[misc]
        case _:
            bad["proof"] = tuple(good["proof"])[:-1]  # type: ignore[arg-type]
    if bad != good:
        assert not merkle.verify_inclusion(**bad)  # type: ignore[arg-type]


@given(data=st.data(), size=st.integers(2, MOST))
def test_a_changed_consistency_proof_is_refused(data: st.DataObject, size: int) -> None:
    """Another size, root or path is not accepted."""
    tree = whole(MOST)
    old = data.draw(st.integers(1, size - 1))
    proof = merkle.consistency_proof(old, size, tree.read)
    good = {
        "old": old,
        "size": size,
        "old_root": merkle.root(old, tree.read),
        "root": merkle.root(size, tree.read),
        "proof": proof,
    }
    bad = dict(good)
    match data.draw(st.sampled_from(["old", "old_root", "root", "flip", "longer", "shorter", "none"])):
        case "old":
            bad["old"] = data.draw(st.integers(-1, size + 1).filter(lambda one: one != old))
        case "old_root":
            bad["old_root"] = bytes(32)
        case "root":
            bad["root"] = bytes(32)
        case "flip":
            bad["proof"] = _flipped(data, proof)
        case "longer":
            bad["proof"] = (*proof, bytes(32))
        case "shorter":
            bad["proof"] = proof[:-1]
        case _:
            bad["proof"] = ()
    assert not merkle.verify_consistency(**bad)  # type: ignore[arg-type]


def _flipped(data: st.DataObject, proof: tuple[bytes, ...]) -> tuple[bytes, ...]:
    if not proof:
        return (bytes(32),)
    place = data.draw(st.integers(0, len(proof) - 1))
    changed = bytes([proof[place][0] ^ 1]) + proof[place][1:]
    return (*proof[:place], changed, *proof[place + 1 :])


def test_from_the_empty_tree_only_the_empty_root_goes() -> None:
    """Every tree continues the empty one, with no proof and its one root."""
    root = merkle.root(3, whole(3).read)
    assert merkle.verify_consistency(old=0, size=3, old_root=merkle.EMPTY_ROOT, root=root, proof=())
    assert not merkle.verify_consistency(old=0, size=3, old_root=bytes(32), root=root, proof=())


@pytest.mark.parametrize(("index", "size"), [(3, 3), (-1, 3), (0, 0)])
def test_no_path_of_a_leaf_outside_the_tree(index: int, size: int) -> None:
    """Asking for it is a mistake of the caller."""
    with pytest.raises(ValueError, match="is not among"):
        merkle.inclusion_proof(index, size, whole(3).read)


@pytest.mark.parametrize(("old", "size"), [(0, 3), (4, 3)])
def test_no_consistency_proof_from_nothing_or_from_more(old: int, size: int) -> None:
    """Asking for it is a mistake of the caller."""
    with pytest.raises(ValueError, match="no consistency proof"):
        merkle.consistency_proof(old, size, whole(4).read)
