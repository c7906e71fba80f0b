"""What an agent signs when it answers a peer: the question, the moment and every byte of the answer. Pure.

The asker draws a nonce for each question, so that an old answer never passes for a new one; the first
line keeps these signatures apart from the ledger's checkpoints, which the same key signs. Whoever has
the chain file, and so the verifier key, can check an answer that was kept.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Final

import msgspec

from agent.keys import Signer, VerifierKey
from probes.kit.json_errors import JSON_ERRORS

CONTEXT: Final = "demarc observations v1"
NONCE: Final = re.compile(r"[0-9a-f]{32}")
# An HTTP header field: servers and proxies commonly take 8 kB.
PAGES_MOST: Final = 6000


class Pages(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent pages: where (`via`, see `place`), and per alert the party and the segments; ASCII only."""

    via: tuple[str, ...] = ()
    alerts: tuple[tuple[str, tuple[str, ...]], ...] = ()


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer to a peer, as it is signed. `time` is ns UTC when it was made, `pages` a header's text."""

    vantage: str
    chain: str
    nonce: str
    since_round: int
    time: int
    pages: str
    body: bytes

    def text(self) -> str:
        """Return the text that is signed."""
        parts = (CONTEXT, self.vantage, self.chain, self.nonce, str(self.since_round), str(self.time), self.pages)
        return "\n".join((*parts, hashlib.sha256(self.body).hexdigest())) + "\n"

    def headers(self) -> dict[str, str]:
        """Return the header fields that carry it, but for the signature."""
        return {
            "demarc-vantage": self.vantage,
            "demarc-chain": self.chain,
            "demarc-time": str(self.time),
            "demarc-pages": self.pages,
        }


class Voice(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent says of itself at one moment; `time` UTC epoch seconds. Without a key it speaks unsigned."""

    vantage: str
    chain: str
    time: float
    pages: Pages = Pages()
    signer: Signer | None = None

    def headers(self, body: bytes, *, nonce: str, since_round: int) -> dict[str, str]:
        """Return the header fields of an answer, signed where the question has a nonce."""
        answer = Answer(
            vantage=self.vantage,
            chain=self.chain,
            nonce=nonce,
            since_round=since_round,
            time=round(self.time * 1e9),
            pages=write_pages(self.pages),
            body=body,
        )
        signature = {"demarc-signature": self.signer.signature(answer.text())} if self.signer and nonce else {}
        return answer.headers() | signature


def answer_of(headers: Mapping[str, str], body: bytes, *, nonce: str, since_round: int) -> Answer | None:
    """Return the answer that header fields (lower case) carry; None when they do not carry one."""
    time = headers.get("demarc-time", "")
    if "demarc-vantage" not in headers or not re.fullmatch(r"[0-9]{1,19}", time):
        return None
    return Answer(
        vantage=headers["demarc-vantage"],
        chain=headers.get("demarc-chain", ""),
        nonce=nonce,
        since_round=since_round,
        time=int(time),
        pages=headers.get("demarc-pages", ""),
        body=body,
    )


def signed_by(key: VerifierKey, answer: Answer, signature: str) -> bool:
    """Say whether `signature` (a header's base64) is the key's over `answer`."""
    return key.verify(answer.text(), f"— {key.name} {signature}\n")


def place(url: str) -> str:
    """Return what names an Alertmanager without telling its address."""
    return hashlib.sha256(url.encode()).hexdigest()[:16]


def write_pages(pages: Pages) -> str:
    """Return pages as a header's text; the last alerts are left out where it would be too long."""
    alerts = pages.alerts
    while True:
        text = msgspec.json.encode(msgspec.structs.replace(pages, alerts=alerts)).decode("ascii")
        if len(text) <= PAGES_MOST or not alerts:
            return text
        alerts = alerts[: len(alerts) // 2]


def read_pages(text: str) -> Pages:
    """Read a header's text; what cannot be read pages nobody."""
    try:
        return msgspec.json.decode(text, type=Pages)
    except JSON_ERRORS:
        return Pages()
