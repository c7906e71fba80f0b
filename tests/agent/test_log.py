"""The operational log: one line an event, no secret in it, and a stalled reader costs lines, not time."""

import io
import json
import logging
import threading
from collections.abc import Iterator

import pytest
import structlog

from agent.log import LineWriter, configure
from probes.kit.secret import Secret


class Stalled(io.StringIO):
    """A stream whose reader does not read until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.released = threading.Event()

    def write(self, text: str) -> int:
        """Wait for the reader, then write."""
        self.entered.set()
        self.released.wait(10)
        return super().write(text)


class Broken(io.StringIO):
    """A stream whose reader has gone."""

    def write(self, text: str) -> int:
        """Fail as a closed pipe does."""
        raise BrokenPipeError(text[:0])


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Leave logging as it was for the other tests."""
    root = logging.getLogger()
    handlers, level, before = root.handlers, root.level, structlog.get_config()
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.configure(**before)


def logged(form: str, level: str = "info") -> tuple[io.StringIO, LineWriter]:
    """Return the stream and the writer of a configured log."""
    stream = io.StringIO()
    writer = LineWriter(stream)
    configure(writer, level=level, form=form)  # type: ignore[arg-type]  # the table of a test
    return stream, writer


def test_json() -> None:
    """A JSON line carries time, level, message and the fields."""
    stream, writer = logged("json")
    structlog.get_logger().warning("reload refused", file="chain.yml", line=3)
    writer.close()
    fields = json.loads(stream.getvalue())
    assert {k: fields[k] for k in ("level", "msg", "file", "line")} == {
        "level": "warning",
        "msg": "reload refused",
        "file": "chain.yml",
        "line": 3,
    }
    assert fields["ts"].endswith("Z")


def test_logfmt() -> None:
    """A logfmt line starts with ts, level, msg as Prometheus' do, and stays one line."""
    stream, writer = logged("logfmt")
    structlog.get_logger().info("two\nlines", ok=True)
    writer.close()
    assert stream.getvalue().count("\n") == 1
    assert " level=info msg=two\\nlines ok=true" in stream.getvalue()


@pytest.mark.parametrize("form", ["json", "logfmt"])
def test_no_secret_is_written(form: str) -> None:
    """Secrets are masked at any depth, and so is the user part of a URL."""
    stream, writer = logged(form)
    secret = Secret("hunter2")
    structlog.get_logger().info(
        "x", a=secret, b={"c": [secret]}, url="https://me:hunter2@host/x", e=ValueError("http://me:hunter2@host")
    )
    writer.close()
    assert "hunter2" not in stream.getvalue()
    assert "***" in stream.getvalue()


def test_levels() -> None:
    """What lies below the level is not written."""
    stream, writer = logged("json", "error")
    structlog.get_logger().warning("no")
    structlog.get_logger().error("yes")
    writer.close()
    assert [json.loads(line)["msg"] for line in stream.getvalue().splitlines()] == ["yes"]


def test_a_traceback_is_written() -> None:
    """A bug of ours is logged with its traceback, in one line."""
    stream, writer = logged("json")
    try:
        _ = 1 // int("0")
    except ZeroDivisionError:
        structlog.get_logger().exception("bug", probe="erp")
    writer.close()
    assert "ZeroDivisionError" in json.loads(stream.getvalue())["exception"]


def test_libraries_come_in_the_same_form() -> None:
    """A library's warning is a line like ours, its chatter is not written."""
    stream, writer = logged("json")
    logging.getLogger("library").warning("careful with %s", "this")
    logging.getLogger("library").info("chatter")
    writer.close()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["msg"], line["logger"], line["level"]) for line in lines] == [
        ("careful with this", "library", "warning")
    ]


def test_a_stalled_reader_costs_lines_and_no_time() -> None:
    """When the queue is full lines are dropped and counted; the rest comes when the reader does."""
    stream = Stalled()
    writer = LineWriter(stream, limit=2)
    assert writer.write("first")
    assert stream.entered.wait(10)
    assert [writer.write(str(number)) for number in range(5)] == [True, True, False, False, False]
    assert writer.dropped == 3
    writer.close(0.01)
    stream.released.set()
    writer.close()
    assert stream.getvalue().splitlines() == ["first", "0", "1"]


def test_a_broken_stream_is_no_exception() -> None:
    """A closed pipe loses lines; the agent goes on."""
    writer = LineWriter(Broken())
    writer.write("lost")
    writer.close()
    assert writer.dropped == 1
