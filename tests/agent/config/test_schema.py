"""The JSON Schema for editors: it accepts what the loader accepts, and sees misspelt keys."""

from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # no stubs in the development tools
import msgspec
import pytest
import yaml

from agent.config import InstalledTypes
from agent.config.document import core_value
from agent.config.schema import schema, specs
from probes.kit.spec import ProbeModule
from tests.agent.config.fakes import TYPES

DESIGN = (Path(__file__).parent / "design.yml").read_bytes()


def tree(data: bytes) -> Any:
    """Return plain values by the core schema, as an editor's YAML server sees them."""

    class Loader(yaml.SafeLoader):
        yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own way

    def plain(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> Any:
        return core_value(node.value) if node.style is None else loader.construct_scalar(node)

    Loader.add_constructor("tag:yaml.org,2002:str", plain)
    return yaml.load(data, Loader=Loader)


VALIDATOR = jsonschema.Draft202012Validator(schema(TYPES))


def test_the_schema_is_one() -> None:
    """The schema is valid by its own dialect, with the fakes and with the installed types."""
    jsonschema.Draft202012Validator.check_schema(schema(TYPES))
    jsonschema.Draft202012Validator.check_schema(schema(InstalledTypes()))


def test_the_example() -> None:
    """The contract's example and an agent file are accepted."""
    assert not list(VALIDATOR.iter_errors(tree(DESIGN)))
    assert not list(VALIDATOR.iter_errors({"vantage": "cloud", "chain": "chain.yml", "data": "/d"}))


BAD = [
    ("key", b"director:", b"directr:"),
    ("side", b"side: transit", b"side: road"),
    ("name", b"  client:", b"  -client:"),
    ("duration", b"spacing: 1s", b"spacing: 1sec"),
    ("percentage", b"99.5%", b"99.5"),
    ("probe key", b"target: 10.10.0.1", b"targt: 10.10.0.1"),
    ("probe type", b"type: http, from: cloud", b"type: htp, from: cloud"),
    ("setting of another type", b"target: 10.10.0.1", b"verify: true, target: 10.10.0.1"),
    ("number as text", b"director: msp", b"director: 5"),
]


@pytest.mark.parametrize(("old", "new"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_mistakes(old: bytes, new: bytes) -> None:
    """An editor underlines what the loader would refuse."""
    assert old in DESIGN
    assert list(VALIDATOR.iter_errors(tree(DESIGN.replace(old, new))))


def test_types_that_cannot_be_imported() -> None:
    """A type that lacks something here is left out; the others are there."""
    assert [spec.type for spec in specs(TYPES)] == ["icmp", "http", "picky", "sync"]


class OneModule(msgspec.Struct, frozen=True):
    """A registry with a module that is no probe type."""

    def names(self) -> tuple[str, ...]:
        """Return its one name."""
        return ("parts",)

    def load(self, name: str) -> ProbeModule | None:
        """Find no type in it."""
        return None


def test_modules_that_are_no_type() -> None:
    """A module of the probes package without a specification is no type."""
    assert specs(OneModule()) == ()
