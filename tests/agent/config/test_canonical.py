"""The canonical form and the hashes: reproducible, and blind to what does not matter."""

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.config.canonical import canonical_json, plain
from agent.config.chain import canonical, examine_chain
from agent.config.problem import ConfigError
from probes.kit.result import Stage
from tests.agent.config.fakes import TYPES

DESIGN = (Path(__file__).parent / "design.yml").read_bytes()
TREE: dict[str, Any] = yaml.load(DESIGN, Loader=yaml.BaseLoader)  # all values as text, which `as_yaml` writes back


def bits(pattern: str) -> float:
    """Return the double of an IEEE-754 bit pattern in hex."""
    return float(struct.unpack(">d", bytes.fromhex(pattern))[0])


# RFC 8785, appendix B.
NUMBERS = [
    ("0000000000000000", "0"),
    ("8000000000000000", "0"),
    ("0000000000000001", "5e-324"),
    ("8000000000000001", "-5e-324"),
    ("7fefffffffffffff", "1.7976931348623157e+308"),
    ("ffefffffffffffff", "-1.7976931348623157e+308"),
    ("4340000000000000", "9007199254740992"),
    ("c340000000000000", "-9007199254740992"),
    ("4430000000000000", "295147905179352830000"),
    ("44b52d02c7e14af5", "9.999999999999997e+22"),
    ("44b52d02c7e14af6", "1e+23"),
    ("44b52d02c7e14af7", "1.0000000000000001e+23"),
    ("444b1ae4d6e2ef4e", "999999999999999700000"),
    ("444b1ae4d6e2ef4f", "999999999999999900000"),
    ("444b1ae4d6e2ef50", "1e+21"),
    ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
    ("3eb0c6f7a0b5ed8d", "0.000001"),
    ("41b3de4355555553", "333333333.3333332"),
    ("41b3de4355555554", "333333333.33333325"),
    ("becbf647612f3696", "-0.0000033333333333333333"),
    ("43143ff3c1cb0959", "1424953923781206.2"),
]


@pytest.mark.parametrize(("pattern", "text"), NUMBERS)
def test_numbers(pattern: str, text: str) -> None:
    """Numbers are written as RFC 8785's own samples say."""
    assert canonical_json(bits(pattern)).decode() == text


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_no_number(number: float) -> None:
    """What JSON cannot hold is refused."""
    with pytest.raises(ValueError, match="no infinity"):
        canonical_json(number)


def test_structure() -> None:
    """Keys are sorted by UTF-16 code units (RFC 8785, section 3.2.3) and nothing is escaped needlessly."""
    value = {"€": 1, "\r": [True, None, "\u0080"], "\U0001f600": 1.0, "\ufb33": 'a"b', "1": {}, "ö": -0.5}
    assert canonical_json(value).decode() == (
        '{"\\r":[true,null,"\u0080"],"1":{},"ö":-0.5,"€":1,"\U0001f600":1,"\ufb33":"a\\"b"}'
    )


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_read_back(number: float) -> None:
    """Any double reads back as itself."""
    assert float(canonical_json(number)) == number


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    stage: Stage = Stage.CONNECT
    members: frozenset[int] = frozenset({3, 1, 2})


def test_plain_settings() -> None:
    """Structs, enums and sets of settings become plain values in one order."""
    assert plain(Sample()) == {"stage": "connect", "members": [1, 2, 3]}


def chain_hash(data: bytes) -> str:
    """Return the hash of a chain file."""
    return examine_chain(data, "c", TYPES).loaded().hash


def test_hash_by_another_hand() -> None:
    """The hash is that of the documented object, serialised here by another program."""
    body = canonical(DESIGN, "c", TYPES)
    assert body["segments"]["vpn"]["owners"] == ["incumbent", "msp"]
    assert body["probes"]["erp"]["timeout"] == 1.0
    whole = json.loads(
        json.dumps(body), parse_float=lambda text: int(float(text)) if text.endswith(".0") else float(text)
    )
    text = json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(text.encode()).hexdigest() == chain_hash(DESIGN)


def test_the_hash_of_the_example() -> None:
    """The hash of the contract's example never changes by accident: parties compare it for years."""
    assert chain_hash(DESIGN) == "16e4cdfc2607813e977755601d43d38273a9b02e76dc2e1231f0a083710f62af"


def test_canonical_refuses_a_bad_file() -> None:
    """A file with problems has no canonical form."""
    with pytest.raises(ConfigError):
        canonical(b"a: 1", "c", TYPES)


SAME = [
    ("comment", b"director: msp", b"director: msp # us"),
    ("quotes", b"director: msp", b"director: 'msp'"),
    ("line ends", b"\n", b"\r\n"),
    ("nothing approved", b"{type: icmp,", b"{type: icmp, approved: {},"),
    ("unit of a duration", b"after: 2m", b"after: 120s"),
    ("bare seconds", b"interval: 5s", b"interval: 5"),
    ("default written out", b"{type: icmp,", b"{type: icmp, size: 56, timeout: 1s, back: [],"),
    ("order of owners", b"[msp, incumbent]", b"[incumbent, msp]"),
    ("one owner as a list", b"{owner: carrier,", b"{owner: [carrier],"),
    ("percentage", b"99.5%", b"99.50%"),
]


@pytest.mark.parametrize(("old", "new"), [case[1:] for case in SAME], ids=[case[0] for case in SAME])
def test_same_hash(old: bytes, new: bytes) -> None:
    """Writing the same chain otherwise leaves the hash as it is."""
    assert old in DESIGN
    assert chain_hash(DESIGN.replace(old, new)) == chain_hash(DESIGN)


OTHER = [
    ("director", b"director: msp", b"director: client"),
    ("owner", b"{owner: carrier,", b"{owner: msp,"),
    ("lead", b"lead: msp, ", b""),
    ("norm", b"99.5%", b"99.4%"),
    ("target", b"10.10.0.1", b"10.10.0.9"),
    ("order of a path", b"carrier, vpn, onprem-gw]", b"vpn, carrier, onprem-gw]"),
    ("setting", b"{type: http,", b"{type: http, verify: false,"),
    ("rounds", b"rounds: 5", b"rounds: 6"),
    ("approved facts", b"{type: icmp,", b"{type: icmp, approved: {path mtu: '1400'},"),
    ("description", b"{name: GlasNet}", b"{name: GlasNet, description: x}"),
    ("reserved key", b"director: msp", b"director: msp\ncustodian: client"),
    ("reserved key of a party", b"{name: GlasNet}", b"{name: GlasNet, people: [x]}"),
]


@pytest.mark.parametrize(("old", "new"), [case[1:] for case in OTHER], ids=[case[0] for case in OTHER])
def test_another_hash(old: bytes, new: bytes) -> None:
    """Agreeing on something else changes the hash."""
    assert old in DESIGN
    assert chain_hash(DESIGN.replace(old, new)) != chain_hash(DESIGN)


def shuffled(tree: Any, draw: st.DrawFn) -> Any:
    """Return the same tree with the keys of every mapping in another order."""
    if isinstance(tree, dict):
        keys = draw(st.permutations(sorted(tree)))
        return {key: shuffled(tree[key], draw) for key in keys}
    return tree


def as_yaml(tree: Any, indent: int, draw: st.DrawFn) -> str:
    """Write the tree in block style with comments here and there, leaves as the contract writes them."""
    if isinstance(tree, dict):
        comment = "  # " + draw(st.sampled_from(["a", "b: c", "["])) if draw(st.booleans()) else ""
        return comment + "".join(
            f"\n{' ' * indent}{key}:{as_yaml(value, indent + 2, draw)}" for key, value in tree.items()
        )
    if isinstance(tree, list):
        return " [" + ", ".join(tree) + "]"
    plain_words = ("true", "1", "5")
    return " " + (tree if tree in plain_words else json.dumps(tree))


@st.composite
def rewritten(draw: st.DrawFn) -> bytes:
    """Return the example with other key orders, comments, quotes and layout."""
    return as_yaml(shuffled(TREE, draw), 0, draw).encode()


@settings(deadline=None)
@given(rewritten())
def test_order_and_layout_leave_no_trace(data: bytes) -> None:
    """The same content in any key order, layout and commenting has the same hash."""
    assert chain_hash(data) == chain_hash(DESIGN)


def test_settings_hash() -> None:
    """A probe's settings hash follows its type, settings and path, and nothing else."""
    before = examine_chain(DESIGN, "c", TYPES).loaded().probes["gw"].settings_hash

    def after(old: bytes, new: bytes) -> str:
        return examine_chain(DESIGN.replace(old, new), "c", TYPES).loaded().probes["gw"].settings_hash

    gw = b"{type: icmp, from: cloud,  target: 10.10.0.1,    interval: 1s, path: [cloud-host, cloud-gw]}"
    assert after(b"1s, path: [cloud-host, cloud-gw]}", b"2s, description: x, path: [cloud-host, cloud-gw]}") == before
    assert after(gw, gw.replace(b"type: icmp", b"type: icmp, approved: {path mtu: '1400'}")) == before
    assert after(gw, gw.replace(b"type: icmp", b"type: icmp, size: 57")) != before
    assert after(gw, gw.replace(b"cloud-gw]", b"dns, cloud-gw]")) != before
    assert after(gw, gw.replace(b"icmp", b"sync")) != before


def test_margins_stand_only_where_they_are_given() -> None:
    """A chain without them hashes as before there were any; `degraded` stands only where it is true."""

    def erp(data: bytes) -> dict[str, Any]:
        service: dict[str, Any] = canonical(data, "c", TYPES)["services"]["erp"]
        return service

    assert erp(DESIGN)["norm"] == {"availability": 0.995}
    assert erp(DESIGN)["page"] == {"when": "hours", "after": 120.0}
    margins = erp(DESIGN.replace(b"99.5%", b"99.5%, delay: 15ms, loss: 2%"))
    assert margins["norm"] == {"availability": 0.995, "delay": 0.015, "loss": 0.02}
    assert erp(DESIGN.replace(b"after: 2m", b"after: 2m, degraded: true"))["page"]["degraded"] is True
