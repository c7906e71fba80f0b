"""POST /api/v1/drift/approvals: a person of this host approves facts as they were shown, over the unix socket only.

What must stay true: nobody on the network approves anything, and on this host only root and the agent's own user do.
Answers 201, or problem JSON (RFC 9457) that says why not.
"""

import pwd
from collections.abc import Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent.drift.value import Approve
from agent.web.api import Problem, refusal
from agent.web.entering import allow, body_of

EnterApproval = Callable[[Approve, str], None]


def routes(enter: EnterApproval) -> list[Route]:
    """Return the route; `enter` takes the approval and the person, and raises ValueError that says why not."""

    async def approve(request: Request) -> Response:
        try:
            allow(request)
            wanted = _read(await body_of(request))
            enter(wanted, person(request.state.peer_uid))
        except Problem as problem:
            return refusal(problem)
        except ValueError as error:
            return refusal(Problem(422, "Not approved", f"{error}."))
        return Response(msgspec.json.encode(wanted), 201, media_type="application/json")

    return [Route("/api/v1/drift/approvals", approve, methods=["POST"])]


def person(uid: int) -> str:
    """Return the name of a user of this host, the number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _read(body: bytes) -> Approve:
    try:
        return msgspec.json.decode(body, type=Approve)
    except msgspec.DecodeError as error:
        raise Problem(400, "No approval", f"{error}; write probe, facts, party and, if you like, reason.") from error
