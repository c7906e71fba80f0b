"""Who may speak for a party in the record: `custodian` of the chain, `people` of a party.

    custodian: client
    parties:
      client:
        name: Gemeente Voorbeeld
        people:
          contract-manager: {role: contract manager, key: "ssh-ed25519 AAAA…", name: J. Jansen}

Pure. These keys were reserved before they meant something, so a file that has something else under them
stays valid: what is not of this form is passed over.
"""

from collections.abc import Mapping
from typing import Any

from agent.model import Person


def read_people(value: Any) -> dict[str, Person]:
    """Return the people of a party by their name in the file; a name, role or key that is missing is empty."""
    if not isinstance(value, Mapping):
        return {}
    return {
        name: Person(id=name, role=_text(entry, "role") or name, key=_text(entry, "key"), name=_text(entry, "name"))
        for name, entry in value.items()
        if isinstance(entry, Mapping)
    }


def read_custodian(value: Any, parties: Mapping[str, Any]) -> str:
    """Return the party that keeps the agreement, empty where the file names none."""
    return value if isinstance(value, str) and value in parties else ""


def _text(entry: Mapping[str, Any], key: str) -> str:
    value = entry.get(key, "")
    return value if isinstance(value, str) else ""
