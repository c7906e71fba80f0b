"""The tree as another implementation reckons it: pymerkle, which knows nothing of ours."""

import itertools

from pymerkle import InmemoryTree

from agent.ledger import merkle

SIZE = 40


def test_pymerkle_agrees() -> None:
    """Every root and inclusion proof up to forty leaves, and consistency between its roots."""
    leaves = [merkle.leaf_hash(b"%d" % number) for number in range(SIZE)]
    tree = InmemoryTree(algorithm="sha256")
    for number in range(SIZE):
        tree.append_entry(b"%d" % number)

    def read(level: int, index: int) -> bytes:
        if level == 0:
            return leaves[index]
        return merkle.node_hash(read(level - 1, 2 * index), read(level - 1, 2 * index + 1))

    for size in range(1, SIZE + 1):
        assert merkle.root(size, read) == tree.get_root(size)
        for index in range(size):
            path = [bytes.fromhex(one) for one in tree.prove_inclusion(index + 1, size).serialize()["path"]]
            path.remove(leaves[index])  # pymerkle's path holds the leaf itself too
            assert merkle.inclusion_proof(index, size, read) == tuple(path)
    # Its consistency proofs have a form of their own; ours must lead from root to root of its.
    for old, size in itertools.combinations(range(1, SIZE + 1), 2):
        roots = {"old_root": tree.get_root(old), "root": tree.get_root(size)}
        assert merkle.verify_consistency(old=old, size=size, proof=merkle.consistency_proof(old, size, read), **roots)
