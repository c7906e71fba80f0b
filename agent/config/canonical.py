"""The canonical form of a chain, and its hash: two parties can tell that they agree on one text.

The canonical form is RFC 8785 (JSON Canonicalization Scheme) of this object, UTF-8, no line feed:

    version, effective, timezone, director, description, reference        as in the file
    parties    {id: {name, contact, language, support, description, reference}}
    segments   {id: {owners, side, filters, lead, quote, until, description, reference}}
    vantages   {id: {segment, operator, key (where given), description, reference}}
    witnesses  {id: {party, key, within, description, reference}}, where there are any
    services   {id: {name, hours, page: {when, after, degraded where true},
                     norm: {availability, delay and loss where given}, description, reference}}
    confirm    {rounds, spacing, skew}
    probes     {id: {type, from, path, back, resolve, service, interval, timeout, settings,
                     approved and told_by (where given), description, reference}}

Every default is filled in; what is absent without a default is null. Durations are numbers of
seconds, percentages numbers from 0 to 1. `owners` is a set and is sorted; `path`, `back` and
`resolve` keep their order. `settings` holds every key of the probe type, defaults included. The keys
reserved for later (`custodian`, `people`, ...) appear where the file has them, as it has them.
Key order, comments, quoting, aliases and line ends leave no trace. The hash is SHA-256, lower-case
hex. `description` is part of it: the parties agree on the explanation too.
"""

import hashlib
import json
import math
from enum import Enum
from json.encoder import encode_basestring
from typing import Any

import msgspec
from msgspec import UNSET

from agent.config.forms import RESERVED_KEYS, ChainForm, ProbeForm

_LEAVES = frozenset({str, int, float, bool, type(None)})


def plain(value: Any) -> Any:
    """Return dict, list, str, int, float, bool or None for a settings value."""
    if type(value) in _LEAVES:
        return value
    match value:
        case Enum():
            return value.value
        case msgspec.Struct():
            return {f: plain(getattr(value, f)) for f in value.__struct_fields__}
        case dict():
            return {str(key): plain(item) for key, item in value.items()}
        case tuple() | list():
            return [plain(item) for item in value]
        case set() | frozenset():
            return sorted(plain(item) for item in value)
        case _:
            return value


def canonical_json(value: Any) -> bytes:
    """Return RFC 8785 bytes of plain JSON values; ValueError for NaN and infinity."""
    return _text(value).encode()


def sha256_hex(value: Any) -> str:
    """Return the hash of the canonical JSON of `value`."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def settings_hash(form: ProbeForm, settings: msgspec.Struct) -> str:
    """Return what changes when a probe becomes another measurement: its type, settings or path."""
    return sha256_hex({"type": form.type, "settings": plain(settings), "path": list(form.path)})


def canonical_chain(form: ChainForm, probes: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the object described above; `probes` holds the resolved probes."""
    body = _entry(form)
    body["services"] = {name: _entry(service) for name, service in form.services.items()}
    for name, service in body["services"].items():
        service["name"] = service["name"] or name
        # What came later is left out where it is not used: such a chain hashes as it did before.
        service["norm"] = {k: v for k, v in service["norm"].items() if k == "availability" or v is not None}
        service["page"] = {k: v for k, v in service["page"].items() if k != "degraded" or v}
    body["parties"] = {name: _entry(party) | {"name": party.name or name} for name, party in form.parties.items()}
    body["segments"] = {name: _segment(segment) for name, segment in form.segments.items()}
    body["vantages"] = {name: _vantage(vantage) for name, vantage in form.vantages.items()}
    if body["witnesses"]:
        body["witnesses"] = {name: _entry(witness) for name, witness in form.witnesses.items()}
    else:
        del body["witnesses"]
    body["probes"] = probes
    return body


def canonical_probe(form: ProbeForm, settings: msgspec.Struct, interval: float, timeout: float) -> dict[str, Any]:
    """Return the canonical form of one probe, with the type's defaults filled in."""
    # As with keys: hashes of before stay.
    later = {"approved": dict(form.approved), "told_by": form.told_by}
    return {key: value for key, value in later.items() if value} | {
        "type": form.type,
        "from": form.from_,
        "path": list(form.path),
        "back": list(form.back),
        "resolve": list(form.resolve),
        "service": form.service,
        "interval": interval,
        "timeout": timeout,
        "settings": plain(settings),
        "description": form.description,
        "reference": form.reference,
    }


def _entry(form: msgspec.Struct) -> dict[str, Any]:
    """Return a form's fields; reserved keys only where the file has them."""
    values: dict[str, Any] = {}
    for name in form.__struct_fields__:
        value = getattr(form, name)
        if name in RESERVED_KEYS:
            if value is not UNSET:
                values[name] = value
        else:
            values[name] = plain(value)
    return values


def _vantage(form: Any) -> dict[str, Any]:
    values = _entry(form)
    if not values["key"]:
        del values["key"]  # a chain without keys hashes as it did before there were any
    return values


def _segment(form: Any) -> dict[str, Any]:
    values = _entry(form)
    values["owners"] = sorted(values.pop("owner"))
    return values


def _text(value: Any) -> str:
    if isinstance(value, str):
        return encode_basestring(value)
    if isinstance(value, dict):
        members = sorted(value.items(), key=_code_units)
        return "{" + ",".join([f"{encode_basestring(key)}:{_text(item)}" for key, item in members]) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join([_text(item) for item in value]) + "]"
    if isinstance(value, float):
        return _number(value)
    return json.dumps(value)


def _code_units(member: tuple[str, Any]) -> bytes:
    return member[0].encode("utf-16-be")


def _number(value: float) -> str:
    """Write a double as ECMAScript does (RFC 8785, section 3.2.2.3; ECMA-262, Number::toString)."""
    if not math.isfinite(value):
        raise ValueError("JSON knows no infinity and no NaN")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    # The value is 0.DIGITS times ten to the power `point`.
    point = len(whole.lstrip("0")) + int(exponent or 0)
    if not whole.lstrip("0"):
        point -= len(fraction) - len(fraction.lstrip("0"))
    digits = digits.rstrip("0")
    return sign + _placed(digits, point)


def _placed(digits: str, point: int) -> str:
    count = len(digits)
    if count <= point <= 21:
        return digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return "0." + "0" * -point + digits
    exponent = f"e{'+' if point > 0 else '-'}{abs(point - 1)}"
    return digits[0] + (f".{digits[1:]}" if count > 1 else "") + exponent
