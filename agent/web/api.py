"""The HTTP API, version 1: the snapshot as JSON, and observations as JSON Lines for peers.

    GET /api/v1/status                          the whole picture
    GET /api/v1/incidents?state=open|all        incidents with their sentences
    GET /api/v1/incidents/{id}
    GET /api/v1/chain                           the resolved chain
    GET /api/v1/probes                          probes with their last results
    GET /api/v1/changes?nonce=                  the latest changes of configurations
    GET /api/v1/drift                           what was seen of configurations, against what was approved
    GET /api/v1/observations?since_round=&limit=&nonce=

Reading only. Nothing is cached; errors are problem JSON (RFC 9457) that say what to ask instead;
an unknown query parameter is an error, for a filter that is silently ignored answers a question
nobody asked. Answers are built in a thread, so that a large chain never delays a probe.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent.observation import Observation, encode
from agent.seal import NONCE, Voice
from agent.snapshot import Snapshot
from agent.web.answers import chain_answer, change_answers, incident_answers, probe_answers, status_answer
from agent.words import LANGUAGES

# Two minutes of a thousand probes of 1 s are 120,000; a peer asks every second for one round.
LIMIT_MOST: Final = 120_000
LIMIT_DEFAULT: Final = 20_000
STATES: Final = ("open", "all")
_HEADERS: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


class Problem(Exception):  # noqa: N818 - RFC 9457 calls it a problem
    """A question that has no answer; `detail` says what to ask instead."""

    def __init__(self, status: int, title: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail


Answer = Callable[[Request, Snapshot], Any]
Endpoint = Callable[[Request], Awaitable[Response]]


def routes(
    get_snapshot: Callable[[], Snapshot],
    get_observations: Callable[[int], Sequence[Observation]],
    get_voice: Callable[[], Voice],
) -> list[Route]:
    """Return the API's routes.

    `get_snapshot` gives the latest picture; `get_observations(since_round)` this vantage's own
    observations of rounds after `since_round`; `get_voice` what an answer to a peer is signed with.
    All are called in the event loop.
    """

    def json(answer: Answer, *known: str) -> Endpoint:
        return _endpoint(get_snapshot, answer, known)

    return [
        Route("/api/v1/status", json(_status, "lang")),
        Route("/api/v1/incidents", json(_incidents, "state", "lang")),
        Route("/api/v1/incidents/{id}", json(_incident, "lang")),
        Route("/api/v1/chain", json(lambda _, snapshot: chain_answer(snapshot.chain))),
        Route("/api/v1/probes", json(lambda _, snapshot: probe_answers(snapshot))),
        Route("/api/v1/changes", _changes(get_snapshot, get_voice)),
        Route("/api/v1/drift", json(lambda _, snapshot: snapshot.drift.fingerprints)),
        Route("/api/v1/observations", _observations(get_observations, get_voice)),
        Route("/api/v1/{rest:path}", _nothing),
    ]


def _endpoint(get_snapshot: Callable[[], Snapshot], answer: Answer, known: Sequence[str]) -> Endpoint:
    """Return an endpoint that answers with `answer` of the present snapshot; `known` are its parameters."""

    async def endpoint(request: Request) -> Response:
        try:
            _check(request, known)
            snapshot = get_snapshot()
            body = await asyncio.to_thread(lambda: msgspec.json.encode(answer(request, snapshot)))
        except Problem as problem:
            return refusal(problem)
        return Response(body, media_type="application/json", headers=_HEADERS)

    return endpoint


def _observations(get_observations: Callable[[int], Sequence[Observation]], get_voice: Callable[[], Voice]) -> Endpoint:
    """Return the endpoint that peers ask."""

    async def endpoint(request: Request) -> Response:
        try:
            _check(request, ("since_round", "limit", "nonce"))
            since = _number(request, "since_round", -1, -1, 2**53)
            limit = _number(request, "limit", LIMIT_DEFAULT, 1, LIMIT_MOST)
            nonce = _nonce(request)
        except Problem as problem:
            return refusal(problem)
        found, voice = whole_rounds(get_observations(since), limit), get_voice()

        def build() -> Response:
            body = b"".join(encode(o) + b"\n" for o in found)
            sealed = voice.headers(body, nonce=nonce, since_round=since)
            return Response(body, media_type="application/jsonl", headers={**_HEADERS, **sealed})

        return await asyncio.to_thread(build)

    return endpoint


def _changes(get_snapshot: Callable[[], Snapshot], get_voice: Callable[[], Voice]) -> Endpoint:
    """Return the endpoint of changes; a peer that sends a nonce gets this agent's own ones, signed."""

    async def endpoint(request: Request) -> Response:
        try:
            _check(request, ("lang", "nonce"))
            language, nonce = _language(request), _nonce(request)
        except Problem as problem:
            return refusal(problem)
        snapshot, voice = get_snapshot(), get_voice()

        def build() -> Response:
            told = change_answers(snapshot, language)
            own = tuple(one for one in told if one.vantage == snapshot.vantage) if nonce else told
            body = msgspec.json.encode(own)
            sealed = voice.headers(body, nonce=nonce, since_round=-1) if nonce else {}
            return Response(body, media_type="application/json", headers={**_HEADERS, **sealed})

        return await asyncio.to_thread(build)

    return endpoint


async def _nothing(request: Request) -> Response:
    known = "status, incidents, incidents/ID, chain, probes, changes, drift, observations"
    return refusal(Problem(404, "No such resource", f"{request.url.path} does not exist; there are {known}."))


def whole_rounds(observations: Sequence[Observation], limit: int) -> list[Observation]:
    """Return the observations by round, oldest first; cut at `limit`, but never within a round.

    At least one round comes whole, else a reader who goes on from the last round would miss the rest of it.
    """
    ordered = sorted(observations, key=lambda o: o.round)
    if len(ordered) <= limit:
        return ordered
    cut, first = ordered[limit].round, ordered[0].round
    return [o for o in ordered if o.round < cut or o.round == first]


def _status(request: Request, snapshot: Snapshot) -> Any:
    return status_answer(snapshot, _language(request))


def _incidents(request: Request, snapshot: Snapshot) -> Any:
    state = _choice(request, "state", STATES)
    shown = snapshot.incidents + (snapshot.closed if state == "all" else ())
    return incident_answers(shown, snapshot, _language(request))


def _incident(request: Request, snapshot: Snapshot) -> Any:
    wanted = request.path_params["id"]
    found = [i for i in snapshot.incidents + snapshot.closed if i.id == wanted]
    if not found:
        remedy = "list them with /api/v1/incidents?state=all; older ones are in the ledger (`demarc ledger export`)."
        raise Problem(404, "No such incident", f"No open or recent incident is called {wanted!r}; {remedy}")
    return incident_answers(found[:1], snapshot, _language(request))[0]


def _language(request: Request) -> str:
    return _choice(request, "lang", LANGUAGES)


def _choice(request: Request, name: str, choices: Sequence[str]) -> str:
    """Return a query parameter that is one of `choices`, the first one by default."""
    value = request.query_params.get(name, choices[0])
    if value not in choices:
        raise Problem(400, "Bad query", f"{name}={value!r} is not known; write {name}={'|'.join(choices)}.")
    return value


def _number(request: Request, name: str, default: int, least: int, most: int) -> int:
    """Return a whole number of the query within its bounds."""
    text = request.query_params.get(name)
    if text is None:
        return default
    # int() also takes "1_000", " 7 " and Arabic digits; a query takes plain ones.
    plain = text.removeprefix("-")
    number = int(text) if plain.isascii() and plain.isdigit() and len(plain) <= 16 else None
    if number is None or not least <= number <= most:
        raise Problem(400, "Bad query", f"{name}={text!r} is not usable; write a whole number from {least} to {most}.")
    return number


def _nonce(request: Request) -> str:
    """Return what makes an answer a fresh one, empty where none is wanted."""
    nonce = request.query_params.get("nonce", "")
    if nonce and not NONCE.fullmatch(nonce):
        raise Problem(400, "Bad query", f"nonce={nonce!r} is not usable; write 32 hexadecimal digits.")
    return nonce


def _check(request: Request, known: Sequence[str]) -> None:
    """Refuse query parameters that this resource does not know, and repeated ones."""
    keys = [key for key, _ in request.query_params.multi_items()]
    for key in keys:
        if key not in known:
            there_are = f"it takes {', '.join(known)}" if known else "it takes none"
            raise Problem(400, "Bad query", f"The parameter {key!r} is not known here; {there_are}.")
        if keys.count(key) > 1:
            raise Problem(400, "Bad query", f"The parameter {key!r} is given more than once; give it once.")


def refusal(problem: Problem) -> Response:
    """Return a problem as the answer."""
    body = {"type": "about:blank", "title": problem.title, "status": problem.status, "detail": problem.detail}
    return Response(msgspec.json.encode(body), problem.status, headers=_HEADERS, media_type="application/problem+json")
