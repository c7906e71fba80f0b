"""POST /api/v1/ledger/entries: what people of this host hand in for the ledger, over the unix socket only.

What must stay true: nobody on the network writes into the ledger, and on this host only root and the
agent's own user do. Answers 201 with the receipt, or problem JSON (RFC 9457) that says why not.
"""

import os
import sqlite3
from collections.abc import Awaitable, Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent.ledger import LedgerFullError, LedgerStoppedError, Receipt
from agent.ledger.correction import Refused
from agent.ledger.storage import StorageError
from agent.web.api import Problem, refusal

# Two proposals of the largest size with their signatures.
MOST_BYTES = 100_000

Submit = Callable[[bytes], Awaitable[Receipt]]


def routes(submit: Submit) -> list[Route]:
    """Return the route; `submit` records and raises Refused."""

    async def enter(request: Request) -> Response:
        try:
            allow(request)
            receipt = await submit(await body_of(request))
        except Problem as problem:
            return refusal(problem)
        except Refused as refused:
            return refusal(Problem(422, "Not recorded", str(refused)))
        except (StorageError, LedgerStoppedError, LedgerFullError, sqlite3.Error, OSError) as error:
            return refusal(Problem(503, "The ledger does not record", str(error)))
        return Response(msgspec.json.encode(receipt), 201, media_type="application/json")

    return [Route("/api/v1/ledger/entries", enter, methods=["POST"])]


def allow(request: Request) -> None:
    """Refuse (Problem) whoever may not write: not over the unix socket, not root and not the agent's user."""
    uid = getattr(request.state, "peer_uid", None)
    if uid is None:
        raise Problem(403, "Not from here", "The ledger takes entries over the agent's unix socket only.")
    if uid not in (0, os.getuid()):
        raise Problem(403, "Not by you", "Only root and the agent's own user may enter something into the ledger.")


async def body_of(request: Request) -> bytes:
    """Return the request's body; Problem when it is larger than MOST_BYTES."""
    found = b""
    async for chunk in request.stream():
        found += chunk
        if len(found) > MOST_BYTES:
            raise Problem(413, "Too large", f"A submission has at most {MOST_BYTES:,} bytes.")
    return found
