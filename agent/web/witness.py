"""The witness's side of the HTTP API: C2SP tlog-witness, and what an agent needs to come for a cosignature itself.

    POST /api/v1/ledger/add-checkpoint          cosign a log's checkpoint (tlog-witness; /api/v1/ledger is the prefix)
    GET  /api/v1/ledger/checkpoint?old=N        this ledger's checkpoint, as a request to cosign from N entries on
    GET  /api/v1/ledger/witnessed?origin=NAME   the newest checkpoint of a log that was cosigned here
    POST /api/v1/ledger/cosignature             a cosigned checkpoint of this ledger
    GET  /api/v1/ledger/evidence?since=NS&until=NS&witness=NAME
                                                a proof file of the evidence about that time, each entry under a
                                                checkpoint that the witness cosigned

Plain text, as the specifications have it. Nobody is asked who he is: every text carries the signature that
makes it worth something, and anything else changes nothing.
"""

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from agent.keys import NoteError
from agent.ledger import LedgerFullError, LedgerStoppedError
from agent.ledger.cosignature import REQUEST_BYTES, Held, Refusal, Request
from agent.ledger.storage import StorageError
from agent.ledger.witnessing import Cosigned

PREFIX: Final = "/api/v1/ledger"
SIZE_TYPE: Final = "text/x.tlog.size"
_HEADERS: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


class Witness(Protocol):
    """What the ledger answers; see `agent.daemon.cosigning`."""

    async def add_checkpoint(self, text: str) -> Cosigned | Refusal:
        """Cosign, or refuse; NoteError for a text that asks nothing."""
        ...

    async def request(self, old: int) -> Request | Refusal:
        """Return this ledger's checkpoint with its proof."""
        ...

    async def evidence(self, since: int, until: int, witness: str) -> str:
        """Return a proof file of this ledger's evidence about a time."""
        ...

    async def held(self, origin: str) -> Held | None:
        """Return what was cosigned here of another log."""
        ...

    async def keep(self, note: str) -> Cosigned:
        """Keep a cosignature of this ledger; NoteError when it is nobody's."""
        ...


Answer = Callable[[HttpRequest], Awaitable[Response]]


def routes(witness: Witness) -> list[Route]:
    """Return the routes."""

    async def add_checkpoint(request: HttpRequest) -> Response:
        told = await witness.add_checkpoint(await _text(request))
        return _refused(told) if isinstance(told, Refusal) else _plain(told.line)

    async def checkpoint(request: HttpRequest) -> Response:
        told = await witness.request(_number(request, "old"))
        return _refused(told) if isinstance(told, Refusal) else _plain(told.text())

    async def witnessed(request: HttpRequest) -> Response:
        held = await witness.held(request.query_params.get("origin", ""))
        return _plain("no log of that name was cosigned here\n", 404) if held is None else _plain(held.note)

    async def evidence(request: HttpRequest) -> Response:
        since, until = _number(request, "since"), _number(request, "until")
        return _plain(await witness.evidence(since, until, request.query_params.get("witness", "")))

    async def cosignature(request: HttpRequest) -> Response:
        kept = await witness.keep(await _text(request))
        return _plain(kept.line)

    return [
        Route(f"{PREFIX}/add-checkpoint", _guarded(add_checkpoint), methods=["POST"]),
        Route(f"{PREFIX}/checkpoint", _guarded(checkpoint), methods=["GET"]),
        Route(f"{PREFIX}/witnessed", _guarded(witnessed), methods=["GET"]),
        Route(f"{PREFIX}/evidence", _guarded(evidence), methods=["GET"]),
        Route(f"{PREFIX}/cosignature", _guarded(cosignature), methods=["POST"]),
    ]


def _guarded(answer: Answer) -> Answer:
    """Return the endpoint with its refusals: what is no note is the asker's fault, a stopped ledger is ours."""

    async def endpoint(request: HttpRequest) -> Response:
        try:
            return await answer(request)
        except NoteError as error:
            return _plain(f"{error}\n", 400)
        except (LedgerStoppedError, LedgerFullError, StorageError) as error:
            return _plain(f"{error}\n", 503)

    return endpoint


def _number(request: HttpRequest, name: str) -> int:
    """Return a query parameter that is a number, 0 where it is absent; NoteError when it is none."""
    text = request.query_params.get(name, "0")
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise NoteError(f"{name}={text!r} is not usable; write a number")
    return int(text)


async def _text(request: HttpRequest) -> str:
    """Return the body; NoteError when it is too large or not UTF-8."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > REQUEST_BYTES:
            raise NoteError(f"more than {REQUEST_BYTES} bytes")
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise NoteError("not UTF-8") from error


def _refused(refusal: Refusal) -> Response:
    if refusal.status == 409 and refusal.size is not None:
        return Response(f"{refusal.size}\n", 409, headers=_HEADERS, media_type=SIZE_TYPE)
    return _plain(f"{refusal.reason}\n", refusal.status)


def _plain(text: str, status: int = 200) -> Response:
    return Response(text, status, headers=_HEADERS, media_type="text/plain")
