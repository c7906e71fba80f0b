"""The operational log: structlog to one stream, logfmt or JSON, one line an event.

What must stay true: no line holds a secret (a `Secret` renders as `***`, a URL loses its user
part), and writing never waits for the reader of the stream: a thread writes, and what does not
fit in its queue is dropped and counted.
"""

import logging
import queue
import re
import threading
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import Processor

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
Form = Literal["json", "logfmt"]

# A stalled reader may cost this many lines before lines are dropped; at 300 bytes each, 1.2 MB.
QUEUE_LINES = 4096
# Seconds to hand over what is queued at shutdown, out of the 5 s that the whole shutdown has.
CLOSE_SECONDS = 1.0

_USERINFO = re.compile(r"(?<=://)[^/@\s]+@")


class LineWriter:
    """Writes lines to a stream from a thread of its own. `write` never blocks."""

    def __init__(self, stream: TextIO, *, limit: int = QUEUE_LINES) -> None:
        self._stream = stream
        self._lines: queue.Queue[str | None] = queue.Queue(limit)
        self._thread = threading.Thread(target=self._pump, name="log", daemon=True)
        self._thread.start()
        self.dropped = 0

    def write(self, line: str) -> bool:
        """Queue one line (without its line feed); False when the queue is full and it was dropped."""
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self.dropped += 1
            return False
        return True

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Write what is queued, for at most `seconds`; later lines are lost."""
        try:
            self._lines.put(None, timeout=seconds)
        except queue.Full:
            return
        self._thread.join(seconds)

    def _pump(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                self._stream.write(line + "\n")
                self._stream.flush()
            except (OSError, ValueError):
                self.dropped += 1


class _Sink:
    """The end of structlog's chain: a logger whose every level is the writer's `write`."""

    def __init__(self, writer: LineWriter) -> None:
        self._writer = writer

    def msg(self, line: str) -> None:
        """Queue a rendered line."""
        self._writer.write(line)

    debug = info = warning = error = critical = exception = msg


def redact(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take the user part out of every URL; whatever is no plain value becomes its repr."""
    return {key: _plain(value) for key, value in event.items()}


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return _USERINFO.sub("***@", value)
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(part) for part in value]
    return _USERINFO.sub("***@", repr(value))


def processors(form: Form) -> list[Processor]:
    """Return the chain that makes one line: time, level, traceback, redaction, format."""
    renderer: Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.processors.LogfmtRenderer(key_order=["ts", "level", "msg"], bool_as_flag=False)
    )
    return [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        structlog.processors.format_exc_info,
        structlog.processors.EventRenamer("msg"),
        redact,
        renderer,
    ]


def configure(writer: LineWriter, *, level: str = "info", form: Form = "logfmt") -> None:
    """Send structlog's loggers, and the standard library's from `level` on, to `writer`.

    Called once by the command line. `level` is one of LEVELS.
    """
    chain = processors(form)
    structlog.configure(
        processors=chain,
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *_: _Sink(writer),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers = [_Bridge(chain, writer)]
    # Libraries chat at info; ours to hear from them is what went wrong.
    root.setLevel(max(LEVELS[level], logging.WARNING))


class _Bridge(logging.Handler):
    """Lines of the standard library's loggers in the same form."""

    def __init__(self, chain: list[Processor], writer: LineWriter) -> None:
        super().__init__()
        self._chain = chain
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        """Render and queue one record."""
        event: Any = {"event": record.getMessage(), "logger": record.name, "exc_info": record.exc_info}
        for processor in self._chain:
            event = processor(None, record.levelname.lower(), event)
        self._writer.write(event)
