"""POST /api/v1/drift/approvals: a person of this host approves facts as they were shown, over the unix socket only.

What must stay true: nobody on the network approves anything, and on this host only root and the agent's own user do.
Answers 201, or problem JSON (RFC 9457) that says why not.
"""

import pwd
from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent.drift.value import Approve, SignedApproval
from agent.web.api import Problem, refusal
from agent.web.entering import allow, body_of
from probes.kit.json_errors import JSON_ERRORS

Approval = Approve | SignedApproval


class Approver(Protocol):
    """Takes approvals; raises ValueError that says why not."""

    def approve(self, wanted: Approve, person: str, /) -> None:
        """Take what a user of this host approves."""
        ...

    def approve_signed(self, handed: SignedApproval, /) -> None:
        """Take what a person of the chain file signed."""
        ...


def routes(approver: Approver) -> list[Route]:
    """Return the routes, for approvals of this host's users and for signed ones."""

    def endpoint(read: type[Approval]) -> Callable[[Request], Awaitable[Response]]:
        async def approve(request: Request) -> Response:
            try:
                allow(request)
                handed = _read(await body_of(request), read)
                _enter(approver, handed, request.state.peer_uid)
            except Problem as problem:
                return refusal(problem)
            except ValueError as error:
                return refusal(Problem(422, "Not approved", f"{error}."))
            return Response(msgspec.json.encode(handed), 201, media_type="application/json")

        return approve

    return [
        Route("/api/v1/drift/approvals", endpoint(Approve), methods=["POST"]),
        Route("/api/v1/drift/approvals/signed", endpoint(SignedApproval), methods=["POST"]),
    ]


def _enter(approver: Approver, handed: Approval, uid: int) -> None:
    if isinstance(handed, SignedApproval):
        approver.approve_signed(handed)
    else:
        approver.approve(handed, person(uid))


def person(uid: int) -> str:
    """Return the name of a user of this host, the number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _read(body: bytes, read: type[Approval]) -> Approval:
    try:
        return msgspec.json.decode(body, type=read)
    except JSON_ERRORS as error:
        keys = ", ".join(read.__struct_fields__)
        raise Problem(400, "No approval", f"{error}; its keys are {keys}.") from error
