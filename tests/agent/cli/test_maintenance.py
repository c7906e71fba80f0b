"""`demarc maintenance` against a ledger: announced, listed, withdrawn, and what is refused."""

import asyncio
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result
from starlette.applications import Starlette

from agent.cli.maintenance import command
from agent.seal import Voice
from agent.web import entering
from agent.web.api import routes
from agent.web.server import serve
from tests.agent.daemon.test_entering import Desk
from tests.agent.ledger.people import PEOPLED
from tests.agent.samples import HEALTHY

SNAPSHOT = msgspec.structs.replace(HEALTHY, chain=PEOPLED)
AGREED = ("--party", "carrier", "--agreed", "client, 20 November")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Return a ledger and the way in."""
    return Desk(tmp_path)


def run(desk: Desk, *words: str) -> Result:
    """Run the command; what needs the running agent is served over its socket."""
    folder = desk.file.parent
    if words[0] == "list":
        return CliRunner().invoke(command, ["list", str(folder), *words[1:]])
    voice = Voice(vantage="cloud", chain="", time=0.0)
    app = Starlette(
        routes=[*entering.routes(desk.entering.submit), *routes(lambda: SNAPSHOT, lambda _: (), lambda: voice)]
    )
    place = folder / "demarc.sock"

    async def scene() -> Result:
        async with serve(app, "127.0.0.1:0", None, place):
            return await asyncio.to_thread(CliRunner().invoke, command, [*words, "--socket", str(place)])

    return asyncio.run(scene())


def test_from_announcement_to_withdrawal(desk: Desk) -> None:
    """In the chain's local time, under a name by which it can be taken back."""
    assert run(desk, "list").output == "no maintenance is announced\n"
    done = run(
        desk, "announce", "--from", "2026-12-01T22:00", "--to", "2026-12-02T02:00+00:00", "--service", "erp", *AGREED
    )
    assert done.exit_code == 0, done.output
    (window,) = json.loads(run(desk, "list", "--format", "json").output)
    shown = run(desk, "list").output
    assert "2026-12-01T21:00:00Z to 2026-12-02T02:00:00Z  carrier  erp; agreed: client, 20 November" in shown
    assert run(desk, "withdraw", window["id"], "--party", "carrier").exit_code == 0
    assert run(desk, "list").output == "no maintenance is announced\n"
    desk.close()


def test_the_hour_that_occurs_twice(desk: Desk) -> None:
    """A beginning means the first, an end the second, as for service hours."""
    run(desk, "announce", "--from", "2027-10-31T02:30", "--to", "2027-10-31T02:30", *AGREED)
    assert "2027-10-31T00:30:00Z to 2027-10-31T01:30:00Z  carrier  all services" in run(desk, "list").output
    desk.close()


# words -> what is said
WRONG: dict[str, tuple[list[str], str]] = {
    "no time": (["--from", "tomorrow", "--to", "2026-12-02T02:00", *AGREED], "write such as 2026-12-01T22:00"),
    "begun": (["--from", "2026-01-01T00:00", "--to", "2026-01-02T00:00", *AGREED], "a correction"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_goes_wrong_is_said(case: str, desk: Desk) -> None:
    """And nothing is recorded."""
    words, text = WRONG[case]
    result = run(desk, "announce", *words)
    assert result.exit_code != 0
    assert text in result.output
    assert run(desk, "list").output == "no maintenance is announced\n"
    desk.close()


def database(path: Path) -> None:
    """Write some other program's database."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (a)")


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda path: None, "no ledger at"),
        (lambda path: path.write_bytes(b"\xff" * 4096), "is no ledger (file is not a database)"),
        (Path.touch, "is no ledger (no such table"),
        (database, "is no ledger (no such table"),
    ],
    ids=["nothing", "something else", "an empty file", "another database"],
)
def test_no_ledger(tmp_path: Path, make: Callable[[Path], object], told: str) -> None:
    """Says so, of which file, and what to name instead."""
    make(tmp_path / "ledger.db")
    result = CliRunner().invoke(command, ["list", str(tmp_path)])
    assert result.exit_code == 1
    assert told in result.output
    assert str(tmp_path) in result.output
    assert "name the file `ledger.db` or the agent's data directory" in result.output
