"""Which half of Microsoft answers a request, and in which mood; `now` is an argument."""

from email.utils import formatdate

import msgspec

from lab.microsoft import arm, graph, identity, login
from lab.microsoft.exchange import Reply, Request, Tenant, json_reply
from lab.microsoft.state import State


def answer(request: Request, state: State, tenant: Tenant, now: float) -> Reply:
    """Return the reply to `request` at `now` (UTC epoch seconds)."""
    path = request.target.partition("?")[0]
    mood = "ok"
    if path == "/healthz":
        reply = Reply(status=200, body=b"ok\n", headers=(("Content-Type", "text/plain"),))
    elif path.startswith(("/v1.0/", "/beta/")):
        mood = state.mode
        reply = graph.broken(mood, state, request, now) or graph.answer(request, state, tenant, now)
    elif path.startswith("/subscriptions/"):
        mood = state.arm
        reply = arm.broken(mood, state, request) or arm.answer(request, state, tenant, now)
    elif path == identity.PATH:
        mood = state.identity
        reply = identity.token(request, state, tenant, now)
    elif path.endswith("/oauth2/v2.0/token"):
        mood = state.login
        reply = login.broken(mood, state, now) or login.token(request, state, tenant, now)
    elif path.endswith("/v2.0/.well-known/openid-configuration"):
        mood = state.login
        reply = login.broken(mood, state, now) or login.openid(request, tenant)
    else:
        reply = json_reply(404, {"error": {"code": "NotFound", "message": "Not simulated."}})
    common = (("Date", formatdate(now, usegmt=True)), ("Cache-Control", "no-store, no-cache"))
    delay = {"hang": float("inf"), "slow": state.slow_seconds}.get(mood, 0.0)
    return msgspec.structs.replace(reply, headers=(*common, *reply.headers), delay_seconds=delay)
