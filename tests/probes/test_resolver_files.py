"""hosts(5), resolv.conf(5) and the order of questions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.kit.resolver import RESOLVE_FAULTS, ResolveError, resolve_result
from probes.kit.resolver_files import Configuration, candidates, parse_hosts, parse_resolv_conf
from probes.kit.result import Outcome, Stage


def test_reads_resolv_conf() -> None:
    """Servers in order and at most three, the last search line, ndots."""
    text = """# made by hand
nameserver 10.10.0.53 ; a comment
nameserver fd00::53
nameserver not-an-address
domain old.example
search corp.lab. lab
nameserver 10.10.0.54
nameserver 10.10.0.55
options timeout:1 ndots:2 ndots:x
options ndots:99
"""

    assert parse_resolv_conf(text) == Configuration(
        servers=("10.10.0.53", "fd00::53", "10.10.0.54"), search=("corp.lab", "lab"), ndots=15
    )


def test_an_empty_file_names_no_server() -> None:
    """The defaults of an empty file."""
    assert parse_resolv_conf("") == Configuration()


def test_reads_hosts() -> None:
    """Every name of a line, the first line wins, families apart."""
    text = "127.0.0.1 localhost\n::1 localhost # loop\n10.20.0.20 ERP.corp.lab. erp\n10.9.9.9 erp\nx y\n\n"

    assert parse_hosts(text) == {
        ("localhost", 4): "127.0.0.1",
        ("localhost", 6): "::1",
        ("erp.corp.lab", 4): "10.20.0.20",
        ("erp", 4): "10.20.0.20",
    }


@given(st.text(max_size=120))
def test_any_text_is_read(text: str) -> None:
    """System files may hold anything."""
    parse_hosts(text)
    parse_resolv_conf(text)
    parse_resolv_conf("options ndots:" + text)
    parse_resolv_conf("search " + text)


CONFIGURATION = Configuration(search=("corp.lab", "lab"), ndots=1)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("erp", ("erp.corp.lab", "erp.lab", "erp")),
        ("erp.corp", ("erp.corp", "erp.corp.corp.lab", "erp.corp.lab")),
        ("erp.", ("erp.",)),
    ],
)
def test_order_of_questions(name: str, expected: tuple[str, ...]) -> None:
    """Short names go through the search list first; a final dot ends the search."""
    assert expected == candidates(name, CONFIGURATION)


@pytest.mark.parametrize("row", RESOLVE_FAULTS, ids=lambda row: str(row.name))
def test_each_fault_has_its_outcome(row: object) -> None:
    """What our host lacks is unknown, all else failed at resolve."""
    assert row in RESOLVE_FAULTS
    fault = next(found for found in RESOLVE_FAULTS if found is row)

    result = resolve_result(ResolveError(fault.name, "why"), 0.5)

    if fault.stage is None:
        assert (result.outcome, result.stage) == (Outcome.UNKNOWN, None)
    else:
        assert (result.outcome, result.stage) == (Outcome.FAILED, Stage.RESOLVE)
    assert (fault.name, "why") == (result.fault, result.detail)
