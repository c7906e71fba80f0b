"""Checks exports and proofs of a ledger offline, against a policy, and shares no code with what writes the ledger.

One mistake can so not hide another: this is the second reading of FORMAT.md. It needs `cryptography` and
nothing else of ours; `script` makes one file of it, for the handover bundle and for who doubts us.
"""

import ast
from importlib.resources import files

from agent.ledger.verifier.checks import Verdict, check_export, check_file, check_proof
from agent.ledger.verifier.forms import Bad
from agent.ledger.verifier.trust import LOG, Policy, parse_key, parse_policy, read_checkpoint
from agent.ledger.verifier.words import told

__all__ = [
    "LOG",
    "Bad",
    "Policy",
    "Verdict",
    "check_export",
    "check_file",
    "check_proof",
    "parse_key",
    "parse_policy",
    "read_checkpoint",
    "script",
    "told",
]

MODULES = ("forms", "tree", "trust", "checks", "words")
"""In the order in which one uses another."""

_HEAD = '''#!/usr/bin/env python3
"""Checks exports and proofs of a demarc ledger, offline. Made of demarc's own modules; FORMAT.md says what it reads.

    python3 verify.py --policy policy.txt ledger.jsonl incident.json

It needs Python 3.11 or later and the package `cryptography`, nothing of demarc.
"""
'''


def script() -> str:
    """Return the verifier as one file: the modules one after another, without what they import of each other."""
    parts = [_HEAD]
    for name in MODULES:
        text = files(__name__).joinpath(f"{name}.py").read_text(encoding="utf-8")
        docstring, *rest = ast.parse(text).body
        own = [node for node in (docstring, *rest) if node is docstring or _ours(node)]
        dropped = {number for node in own for number in range(node.lineno, (node.end_lineno or node.lineno) + 1)}
        lines = [line for number, line in enumerate(text.splitlines(), 1) if number not in dropped]
        parts.append(
            f"# {name}: {ast.get_docstring(ast.parse(text)) or name}".replace("\n", "\n# ").replace("# \n", "#\n")
        )
        parts.append("\n".join(lines).strip("\n") + "\n")
    return "\n".join(parts) + '\n\nif __name__ == "__main__":\n    sys.exit(main())\n'


def _ours(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and (node.module or "").startswith(__name__)
