"""The calls between an agent and a witness: ask for a cosignature, and come for a checkpoint to cosign.

What must stay true: an answer is bounded in time and size, and believed only where it bears a signature.
"""

import asyncio
import re
import ssl
from urllib.parse import quote

from agent.daemon.cosigning import Cosigning
from agent.daemon.http_client import Answer, FetchError, get
from agent.daemon.peers import tls_context
from agent.keys import VerifierKey
from agent.ledger.cosignature import REQUEST_BYTES, Refusal, Request, parse_request, witness_of
from agent.ledger.note import parse_checkpoint, split_note
from agent.model import Peer

ANSWER_SECONDS = 5.0
PREFIX = "/api/v1/ledger"
# The witness may have cosigned more than our file remembers; it says so once, then it knows us.
ASKED_AT_MOST = 2


class CallError(Exception):
    """A peer did not do what it was asked; the message says what it said, in one line."""


async def call(peer: Peer, path: str, send: str | None = None, most_bytes: int = REQUEST_BYTES) -> Answer:
    """Return a peer's answer; raises FetchError."""
    try:
        tls = await asyncio.to_thread(tls_context, peer) if peer.url.startswith("https:") else None
    except (OSError, ssl.SSLError) as error:
        raise FetchError(f"{peer.ca_file or 'TLS'}: {error}") from error
    return await get(
        f"{peer.url.rstrip('/')}{PREFIX}{path}",
        tls=tls,
        within_seconds=ANSWER_SECONDS,
        most_bytes=most_bytes,
        send=None if send is None else send.encode(),
    )


async def fetched(peer: Peer, old: int) -> Request | int:
    """Return the peer's checkpoint with its proof from `old` entries on, or its size when it has fewer.

    Raises FetchError, NoteError or CallError.
    """
    answer = await call(peer, f"/checkpoint?old={old}")
    size = size_in(answer)
    if size is not None:
        return size
    if answer.status != 200:
        raise CallError(said(answer))
    return parse_request(text_of(answer))


async def submit(peer: Peer, key: VerifierKey, cosigning: Cosigning) -> None:
    """Have the peer cosign our newest checkpoint, if it has not; raises FetchError, NoteError or CallError."""
    known = (await cosigning.standing(witness_of(key))).entries
    asked, old, refusal = await cosigning.request(known), known, ""
    origin = "" if isinstance(asked, Refusal) else asked.note.partition("\n")[0]
    for _ in range(ASKED_AT_MOST):
        if isinstance(asked, Refusal):
            break
        if parse_checkpoint(split_note(asked.note)[0]).size == known:
            return
        answer = await call(peer, "/add-checkpoint", asked.text())
        if answer.status == 200:
            await cosigning.keep(f"{asked.note}{text_of(answer)}")
            return
        size, refusal = size_in(answer), said(answer)
        if size is None or size == old:
            break
        old = size
        asked = await cosigning.request(old)
    raise CallError(await _refused(peer, origin, cosigning) or refusal)


async def _refused(peer: Peer, origin: str, cosigning: Cosigning) -> str:
    """Return why our ledger is not the one that the peer has cosigned, empty if that is not so."""
    answer = await call(peer, f"/witnessed?origin={quote(origin, safe='')}")
    return await cosigning.disown(text_of(answer)) if answer.status == 200 else ""


def size_in(answer: Answer) -> int | None:
    """Return the size that a 409 of tlog-witness tells, None for another answer."""
    text = answer.body.decode("latin-1")
    return int(text) if answer.status == 409 and re.fullmatch(r"[0-9]{1,19}\n", text) else None


def text_of(answer: Answer) -> str:
    """Return the body as text; CallError when it is none."""
    try:
        return answer.body.decode()
    except UnicodeDecodeError as error:
        raise CallError("its answer is not UTF-8") from error


def said(answer: Answer) -> str:
    """Return what an answer that refuses says, in one line."""
    words = " ".join(answer.body.decode("utf-8", "replace").split())
    return f"HTTP status {answer.status}: {words[:200]}"
