"""What a strongSwan gateway says of its own configuration, as facts to be compared with the approved ones.

Pure. What must stay true: only the names in the tables below leave this module, and none of them holds a key
(`list-conn` and `list-sa` name no secret, VICI README sections list-conn and list-sa; the tables are the second
lock). A fact that the daemon does not tell is absent: algorithms are told of established SAs only, and a child's
Diffie-Hellman group only once it was rekeyed.
"""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from probes.kit.vici import Section

# Key of a section -> name of the fact. Lists are sorted where their order has no meaning.
_CONNECTION: Final[Mapping[str, str]] = MappingProxyType(
    {
        "version": "ike version",
        "local_addrs": "local addresses",
        "remote_addrs": "remote addresses",
        "rekey_time": "ike rekey seconds",
        "reauth_time": "ike reauth seconds",
        "dpd_delay": "dpd delay seconds",
        "dpd_timeout": "dpd timeout seconds",
        "unique": "unique",
    }
)
_AUTHENTICATION: Final[Mapping[str, str]] = MappingProxyType(
    {"class": "authentication", "id": "identity", "certs": "certificates", "cacerts": "authorities"}
)
_CHILD: Final[Mapping[str, str]] = MappingProxyType(
    {
        "mode": "mode",
        "local-ts": "local selectors",
        "remote-ts": "remote selectors",
        "rekey_time": "rekey seconds",
        "rekey_bytes": "rekey bytes",
        "rekey_packets": "rekey packets",
        "dpd_action": "dpd action",
        "close_action": "close action",
    }
)
_ENDS: Final[Mapping[str, str]] = MappingProxyType({"local-host": "local endpoint", "remote-host": "remote endpoint"})
_ESTABLISHED: Final = frozenset({"ESTABLISHED", "REKEYING"})
_INSTALLED: Final = frozenset({"INSTALLED", "UPDATING", "REKEYING"})


def facts(conns: Iterable[Section], sas: Iterable[Section] = ()) -> dict[str, str]:
    """Return the facts that `list-conn` and `list-sa` events tell.

    Names begin with the connection (`site ike version`) or the child (`site/net mode`). Which connections and children
    are configured are facts of their own, so that one that is gone shows as a change.
    """
    found: dict[str, str] = {}
    names: list[str] = []
    for name, conn in _sections(conns):
        children = list(_sections([_section(conn.get("children"))]))
        names.append(name)
        found[f"{name} children"] = ", ".join(sorted(child for child, _ in children)) or "none"
        found.update(_connection(name, conn))
        for child, body in children:
            found.update(_told(f"{name}/{child}", body, _CHILD))
    if names:
        found["connections"] = ", ".join(sorted(names))
    found.update(_negotiated(sas))
    return found


def _connection(name: str, conn: Section) -> Iterator[tuple[str, str]]:
    yield from _told(name, conn, _CONNECTION)
    for side in ("local", "remote"):
        # Rounds of authentication are `local-1`, `local-2` (5.x) or `local`, each a section of its own.
        rounds = [body for key, body in conn.items() if key.split("-")[0] == side and isinstance(body, Mapping)]
        for key, label in _AUTHENTICATION.items():
            values = [value for body in rounds if (value := _text(_section(body).get(key)))]
            if values:
                yield f"{name} {side} {label}", " then ".join(values)


def _negotiated(sas: Iterable[Section]) -> dict[str, str]:
    """Return what established SAs were negotiated to: algorithms and endpoints; of several SAs, all."""
    found: dict[str, set[str]] = {}
    for name, sa in _sections(sas):
        if _text(sa.get("state")) in _ESTABLISHED:
            _add(found, f"{name} ike proposal", _suite(sa, "prf-alg", "dh-group"))
            for key, label in _ENDS.items():
                _add(found, f"{name} {label}", _text(sa.get(key)))
        for key, child in _sections([_section(sa.get("child-sas"))]):
            if _text(child.get("state")) in _INSTALLED:
                whole = f"{name}/{_text(child.get('name')) or key}"
                _add(found, f"{whole} esp proposal", _suite(child))
                for side in ("local", "remote"):  # the peer may have narrowed what is configured (RFC 7296 section 2.9)
                    _add(found, f"{whole} negotiated {side} selectors", _text(child.get(f"{side}-ts")))
                _add(found, f"{whole} pfs group", _text(child.get("dh-group")))
    return {name: ", ".join(sorted(values)) for name, values in found.items()}


def _add(found: dict[str, set[str]], name: str, value: str) -> None:
    if value:
        found.setdefault(name, set()).add(value)


def _suite(sa: Section, *more: str) -> str:
    """Return the algorithms of an SA as a proposal is written: cipher, integrity, and what `more` names."""
    cipher = "-".join(part for part in (_text(sa.get("encr-alg")), _text(sa.get("encr-keysize"))) if part)
    integrity = "-".join(part for part in (_text(sa.get("integ-alg")), _text(sa.get("integ-keysize"))) if part)
    return "/".join(part for part in (cipher, integrity, *(_text(sa.get(key)) for key in more)) if part)


def _told(prefix: str, section: Section, table: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for key, label in table.items():
        if text := _text(section.get(key)):
            yield f"{prefix} {label}", text


def _sections(messages: Iterable[Section]) -> Iterator[tuple[str, Section]]:
    for message in messages:
        for name, value in message.items():
            if isinstance(value, Mapping):
                yield name, _section(value)


def _section(value: object) -> Section:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    """Return a value as text, a list sorted; "" for another shape."""
    if isinstance(value, list):
        return ", ".join(sorted(_text(item) for item in value if isinstance(item, bytes)))
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""
