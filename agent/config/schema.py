"""JSON Schema (2020-12) of the chain file and the agent file, for editors.

Made from the same kinds that read the files. It checks shapes and words; references between
entries are `demarc check`'s work.
"""

from collections.abc import Iterable

from agent.config.forms import ChainForm, HostForm, ProbeForm
from agent.config.kinds import NAME, Schema, fields_of, object_schema
from agent.config.registry import ProbeTypes
from probes.kit.spec import Spec

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema(types: ProbeTypes) -> Schema:
    """Return one schema for both files: what has `chain` and no `segments` is an agent file."""
    return {
        "$schema": DIALECT,
        "title": "demarc chain file or agent file",
        "if": {"type": "object", "required": ["chain"], "not": {"required": ["segments"]}},
        "then": object_schema(fields_of(HostForm).values()),
        "else": chain_schema(specs(types)),
    }


def specs(types: ProbeTypes) -> tuple[Spec, ...]:
    """Return the specifications of the types that can be loaded here."""
    found = []
    for name in types.names():
        try:
            module = types.load(name)
        except ImportError:
            continue
        if module is not None:
            found.append(module.SPEC)
    return tuple(found)


def chain_schema(known: Iterable[Spec]) -> Schema:
    """Return the chain file's schema, with each type's own keys for its probes."""
    described = object_schema(fields_of(ChainForm).values())
    described["properties"]["probes"] = {
        "type": "object",
        "propertyNames": NAME.schema(),
        "additionalProperties": {
            "type": "object",
            "required": ["type"],
            "properties": {"type": {"enum": [spec.type for spec in known]}},
            "allOf": [_of_type(spec) for spec in known],
        },
    }
    return described


def _of_type(spec: Spec) -> Schema:
    common = object_schema(fields_of(ProbeForm).values())
    own = object_schema(fields_of(spec.settings).values())
    described = {key: {"description": text} for key, text in spec.key_help.items()}
    own["properties"] = {key: value | described.get(key, {}) for key, value in own["properties"].items()}
    probe = {
        **common,
        "properties": common["properties"] | own["properties"] | {"type": {"const": spec.type}},
        "required": common.get("required", []) + own.get("required", []),
    }
    return {"if": {"properties": {"type": {"const": spec.type}}}, "then": probe}
