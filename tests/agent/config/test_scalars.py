"""Single values: what is accepted, and the exact words of what is refused."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.config import scalars
from agent.config.document import Mapping, Scalar, parse
from probes.kit.spec import Duration


def scalar(written: str) -> Scalar:
    """Return the scalar node of a value as written in a file."""
    root = parse(f"a: {written}\n".encode(), "x").root
    assert isinstance(root, Mapping)
    node = root.entries["a"].node
    assert isinstance(node, Scalar)
    return node


GOOD: list[tuple[Callable[[Scalar], Any], str, object]] = [
    (scalars.text, '"1"', "1"),
    (scalars.text, "no", "no"),
    (scalars.text, '"a\\0"', "a\0"),
    (scalars.prose, '"a\\n\\tb"', "a\n\tb"),
    (scalars.line, "Gemeente Voorbeeld", "Gemeente Voorbeeld"),
    (scalars.name, "a-B_9.x", "a-B_9.x"),
    (scalars.integer, "0x10", 16),
    (scalars.number, "2", 2.0),
    (scalars.boolean, "true", True),
    (scalars.duration, "250ms", 0.25),
    (scalars.duration, "1s", 1.0),
    (scalars.duration, "2m", 120.0),
    (scalars.duration, "1h", 3600.0),
    (scalars.duration, "3d", 259200.0),
    (scalars.duration, "1.5s", 1.5),
    (scalars.duration, "0.3", 0.3),
    (scalars.duration, "2", 2.0),
    (scalars.duration, "300ms", 0.3),
    (scalars.percentage, "99.5%", 0.995),
    (scalars.percentage, "100 %", 1.0),
    (scalars.hours, "24/7", "24/7"),
    (scalars.local_time, "2027-01-15T00:00", "2027-01-15T00:00"),
    (scalars.local_time, "2027-01-15T00:00:30", "2027-01-15T00:00:30"),
    (scalars.day, "2028-02-29", "2028-02-29"),
    (scalars.url, '"https://10.20.0.30:10199/"', "https://10.20.0.30:10199"),
    (scalars.url, '"http://[fd00::1]:80/demarc"', "http://[fd00::1]:80/demarc"),
]


@pytest.mark.parametrize(("read", "written", "value"), GOOD)
def test_accepted(read: Callable[[Scalar], Any], written: str, value: object) -> None:
    """A value as the contract writes it is read."""
    assert read(scalar(written)) == value


def test_duration_type() -> None:
    """Durations come as the type that probe settings declare."""
    assert isinstance(scalars.duration(scalar("1s")), Duration)


BAD: list[tuple[Callable[[Scalar], Any], str, str]] = [
    (scalars.text, "4.10", '`4.10` is not text; write it in quotes: "4.10"'),
    (scalars.text, "", "has no value; write one or remove the key"),
    (scalars.text, "true", '`true` is not text; write it in quotes: "true"'),
    (scalars.prose, '"\\e[31m"', "`\\x1b[31m` holds a control character; remove it"),
    (scalars.line, '"  "', "is empty; write a value or remove the key"),
    (scalars.line, '"a\\nb"', "`a\\nb` has more than one line; write one line"),
    (scalars.name, "a b", "`a b` is no name; use letters, digits, `.`, `_`, `-`, and a letter or digit first"),
    (scalars.name, "-a", "`-a` is no name; use letters, digits, `.`, `_`, `-`, and a letter or digit first"),
    (scalars.name, "é", "`é` is no name; use letters, digits, `.`, `_`, `-`, and a letter or digit first"),
    (scalars.name, '"a\\n"', "`a\\n` is no name; use letters, digits, `.`, `_`, `-`, and a letter or digit first"),
    (scalars.name, "self", "the name `self` is reserved for the self-check; choose another"),
    (scalars.name, "a" * 64, f"`{'a' * 60}…` has 64 characters; a name has at most 63"),
    (scalars.integer, "1.5", "`1.5` is no whole number; write one such as 3, without quotes"),
    (scalars.integer, "true", "`true` is no whole number; write one such as 3, without quotes"),
    (scalars.integer, '"3"', "`3` is no whole number; write one such as 3, without quotes"),
    (scalars.integer, "9007199254740992", "`9007199254740992` is no whole number; write one such as 3, without quotes"),
    (scalars.number, ".nan", "`.nan` is no number; write one such as 0.5, without quotes"),
    (scalars.number, "false", "`false` is no number; write one such as 0.5, without quotes"),
    (scalars.boolean, "yes", "`yes` is neither true nor false; write true or false, without quotes"),
    (scalars.duration, "1sec", "`1sec` is no duration; write one such as 250ms, 1s, 2m, 1h or 3d"),
    (scalars.duration, "true", "`true` is no duration; write one such as 250ms, 1s, 2m, 1h or 3d"),
    (scalars.duration, "-1", "`-1` is not between 0s and ten years"),
    (scalars.duration, ".inf", "`.inf` is not between 0s and ten years"),
    (scalars.duration, "9999d", "`9999d` is not between 0s and ten years"),
    (scalars.percentage, "99.5", "`99.5` is no percentage; write one such as 99.5%"),
    (scalars.percentage, "101%", "`101%` is not above 0% and at most 100%"),
    (scalars.percentage, "0%", "`0%` is not above 0% and at most 100%"),
    (
        scalars.local_time,
        "2027-01-15",
        "`2027-01-15` is no local date and time; write one such as 2027-01-15T00:00, without offset",
    ),
    (
        scalars.local_time,
        "2027-01-15T00:00Z",
        "`2027-01-15T00:00Z` is no local date and time; write one such as 2027-01-15T00:00, without offset",
    ),
    (scalars.local_time, "2027-02-30T00:00", "`2027-02-30T00:00` does not exist: day is out of range for month"),
    (scalars.day, "1-7-2028", "`1-7-2028` is no date; write one such as 2028-07-01"),
    (scalars.day, "2027-02-29", "`2027-02-29` does not exist: day is out of range for month"),
    (scalars.url, "10.0.0.1:80", "`10.0.0.1:80` is no web address; write one such as https://10.20.0.30:10199"),
    (scalars.url, '"ftp://x"', "`ftp://x` is no web address; write one such as https://10.20.0.30:10199"),
    (scalars.url, '"https://"', "`https://` is no web address; write one such as https://10.20.0.30:10199"),
    (scalars.url, '"http://a:b@c"', "holds credentials; keep them out of the file (by file or systemd credential)"),
    (scalars.url, '"http://a:port"', "`http://a:port` is no URL: Port could not be cast to integer value as 'port'"),
    (scalars.url, '"http://[x"', "`http://[x` is no URL: Invalid IPv6 URL"),
    (scalars.url, '"http://a/?q=1"', "`http://a/?q=1` is more than a base address; remove what follows the path"),
]


@pytest.mark.parametrize(("read", "written", "text"), BAD)
def test_refused(read: Callable[[Scalar], Any], written: str, text: str) -> None:
    """What is refused says what to write instead."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole text is compared
        read(scalar(written))
    assert str(caught.value) == text


READERS = [
    scalars.text,
    scalars.prose,
    scalars.line,
    scalars.name,
    scalars.integer,
    scalars.number,
    scalars.boolean,
    scalars.duration,
    scalars.percentage,
    scalars.hours,
    scalars.local_time,
    scalars.day,
    scalars.url,
]


@settings(deadline=None)
@given(st.sampled_from(READERS), st.text(max_size=30))
def test_any_text(read: Callable[[Scalar], Any], written: str) -> None:
    """Any scalar is a value or a ValueError of one line, nothing else."""
    fault = ""
    try:
        read(Scalar(1, written, written))
    except ValueError as error:
        fault = str(error)
    assert "\n" not in fault


@settings(deadline=None)
@given(st.integers(0, 10_000_000))
def test_milliseconds_are_exact(count: int) -> None:
    """A duration in milliseconds is the double nearest to it."""
    assert scalars.duration(scalar(f"{count}ms")) == count / 1000
