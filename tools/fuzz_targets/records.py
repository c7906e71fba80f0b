"""What other agents, witnesses, people and files bring to the record."""

import base64
import contextlib
from pathlib import Path
from typing import Final

from tools.fuzz_targets.target import Run, Seeds

_CHAIN: Final = b"""\
version: 1
effective: 2027-01-15T00:00
timezone: Europe/Amsterdam
director: msp
parties: {msp: {name: A}, incumbent: &b {name: B, support: "Mo-Fr 08:00-17:00"}}
segments:
  cloud-host: {owner: msp, side: cloud}
  vpn: {owner: [msp, incumbent], lead: msp, side: line}
  onprem-host: {owner: incumbent, side: onprem, until: 2028-07-01}
vantages: {cloud: {segment: cloud-host, operator: msp}, onprem: {segment: onprem-host, operator: incumbent}}
services: {erp: {hours: "Mo-Fr 07:00-19:00", page: {when: hours, after: 2m}, norm: {availability: 99.5%}}}
confirm: {rounds: 2, spacing: 1s, skew: 1s}
probes:
  there: {type: tcp, from: cloud, target: "10.20.0.1:443", interval: 1s, path: [cloud-host, vpn, onprem-host]}
  back: {type: tcp, from: onprem, target: "10.10.0.1:443", service: erp, path: [onprem-host, vpn, cloud-host]}
"""
_NOW: Final = 1795442400.0
_KEY: Final = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"  # golang.org/x/mod/sumdb/note
_SIGNED: Final = (
    "PeterNeumann\n7\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\n— PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


def changes() -> tuple[Run, Seeds]:
    """Read what a peer tells of its changes."""
    from agent.drift.others import read_changes  # noqa: PLC0415

    seed = (
        b'[{"event":"changed","at":5.5,"not_before":null,"vantage":"onprem","probe":"t","segments":["vpn"],'
        b'"moves":{"mode":{"before":"a","after":"b"}},"text":"x"}]'
    )
    return lambda data: read_changes(data, "onprem", 9.0), [seed]


def dispute() -> tuple[Run, Seeds]:
    """Read what people hand in for the ledger, their signatures and evidence, and an Alertmanager's silences."""
    from agent.alerts.silences import silenced  # noqa: PLC0415
    from agent.ledger.correction import Refused, read_proposal  # noqa: PLC0415
    from agent.ledger.evidence import packed, unpacked  # noqa: PLC0415
    from agent.ledger.sshsig import BEGIN, END, SignatureError, parse, read_key, verify  # noqa: PLC0415
    from agent.ledger.submission import read_submission  # noqa: PLC0415

    def run(data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        with contextlib.suppress(SignatureError):
            parse(text)
        with contextlib.suppress(SignatureError):
            read_key(text)
        armored = f"{BEGIN}\n{base64.b64encode(b'SSHSIG' + data).decode()}\n{END}"
        with contextlib.suppress(SignatureError):
            verify(armored, b"", parse(armored).key)
        for reader in (read_proposal, read_submission):
            with contextlib.suppress(Refused):
                reader(data)
        with contextlib.suppress(ValueError):
            unpacked(data)
        with contextlib.suppress(ValueError):
            silenced(data, data)

    blob = b"\0\0\0\1\0\0\0\x0f\0\0\0\x0bssh-ed25519\0\0\0\x06demarc\0\0\0\0\0\0\0\x06sha512\0\0\0\x00"
    return run, [blob, packed([("a", b"{}")], ("a",)).data, b'[{"labels":{},"startsAt":"2026-11-23T14:00:00Z"}]']


def observations() -> tuple[Run, Seeds]:
    """Take what a peer answers, judge it with our own rounds, and read a record; the first line is what it pages."""
    from agent.config.load import load_chain_text  # noqa: PLC0415
    from agent.daemon.intake import Intake  # noqa: PLC0415
    from agent.incident.engine import Engine  # noqa: PLC0415
    from agent.observation import Observation, encode  # noqa: PLC0415
    from agent.replay import BadLineError, document, read, replay  # noqa: PLC0415
    from probes.kit.result import Outcome  # noqa: PLC0415

    chain = load_chain_text(_CHAIN, "chain.yml")
    headers = {"demarc-vantage": "onprem", "demarc-chain": chain.hash, "demarc-time": str(int(_NOW * 1e9))}
    ours = [
        Observation(time=_NOW - 3 + number, round=number, vantage="cloud", probe="there", outcome=Outcome.FAILED)
        for number in range(3)
    ]

    def run(data: bytes) -> None:
        pages, _, body = data.partition(b"\n")
        said = {**headers, "demarc-pages": pages.decode("latin-1")}
        intake = Intake("onprem", chain)
        _, fresh = intake.answer(intake.question(), 200, said, body, now=_NOW, took=0.01)
        intake.question().query()
        engine = Engine(chain)
        for observation in (*ours, *fresh):
            encode(observation)
            engine.observe(observation)
        engine.evaluate(_NOW)
        engine.save()
        with contextlib.suppress(BadLineError):
            document(replay(chain, read(body.splitlines())))

    line = (
        b'{"time":%.1f,"round":%d,"vantage":"onprem","probe":"%s","outcome":"%s","stage":"connect","fault":"timeout"}\n'
    )
    told = [(b"back", b"failed"), (b"self", b"ok"), (b"back", b"ok"), (b"back", b"unknown")]
    body = b"".join(line % (_NOW - 3 + at, at, *one) for at, one in enumerate(told))
    taken = Intake("onprem", chain)
    assert len(taken.answer(taken.question(), 200, headers, body, now=_NOW, took=0.01)[1]) == len(told)
    deep = b'{"x":' + b"[" * 3000
    return run, [b'{"via":["a"],"alerts":[["msp",["vpn"]]]}\n' + body, b"\n" + deep, deep]


def witnesses() -> tuple[Run, Seeds]:
    """Read what asks for a cosignature, what a witness answers, and keys."""
    from agent.daemon.http_client import Answer  # noqa: PLC0415
    from agent.daemon.witness_calls import CallError, said, size_in, text_of  # noqa: PLC0415
    from agent.keys import NoteError, VerifierKey, parse_signer, parse_verifier  # noqa: PLC0415
    from agent.ledger.cosignature import Held, judge, parse_request, parse_witness, witness_of  # noqa: PLC0415
    from agent.ledger.note import parse_proof, split_note  # noqa: PLC0415

    class Trusting(VerifierKey, frozen=True, kw_only=True):
        """A key under which every signature is good: what comes after the signature is reached."""

        def verify(self, _text: str, _signatures: str) -> bool:
            return True

    key = parse_verifier(_KEY)
    text, signatures = split_note(_SIGNED)
    held = Held(size=7, text=text, signatures=signatures)

    def run(data: bytes) -> None:
        for status in (200, 409, 500):
            answer = Answer(status=status, headers={}, body=data)
            size_in(answer)
            said(answer)
        try:
            asked = text_of(answer)
        except CallError:
            return
        for read in (parse_verifier, parse_witness, parse_signer, parse_proof):
            with contextlib.suppress(NoteError):
                read(asked)
        with contextlib.suppress(NoteError):
            text, signatures = split_note(asked)
            witness_of(key).cosigned(text, signatures)
            key.verify(text, signatures)
        with contextlib.suppress(NoteError):
            request = parse_request(asked)
            for log in (key, Trusting(name=key.name, public=key.public)):
                for known in (None, held):
                    judge(request, log, known)

    hashed = base64.b64encode(bytes(32)).decode()
    request = f"old 7\n{hashed}\n{hashed}\n\n{_SIGNED.replace(chr(10) + '7', chr(10) + '9')}"
    proof = f"c2sp.org/tlog-proof@v1\nindex 3\n{hashed}\n\n{_SIGNED}"
    seeds = [request, request.replace("old 7", "old 0"), _SIGNED, proof, _KEY, str(witness_of(key)), "12\n"]
    return run, [seed.encode() for seed in seeds]


def ledger_files() -> tuple[Run, Seeds]:
    """Verify policies, exports and proof files, and read bodies, canonical or not."""
    from agent.ledger import body, canonical  # noqa: PLC0415
    from agent.ledger.merkle import leaf_hash  # noqa: PLC0415
    from agent.ledger.verifier import Bad, check_export, check_proof, parse_policy  # noqa: PLC0415

    policy = parse_policy(f"log {_KEY}\nquorum none\n")

    def run(data: bytes) -> None:
        with contextlib.suppress(Bad, UnicodeDecodeError):
            parse_policy(data.decode())
        for known in (None, policy):
            check_export(data.splitlines(keepends=True), known)
            check_proof(data, known)
        try:
            form = canonical.decode(data)
        except canonical.CanonicalError:
            return
        assert canonical.encode(form) == data
        with contextlib.suppress(ValueError):
            body.read(form)

    form = b'{"kind":"agent-stop","reason":"x","time":1,"vantage":"cloud"}'
    row = canonical.encode({"body": form.decode(), "hash": leaf_hash(form).hex(), "index": 0})
    last = canonical.encode({"checkpoint": _SIGNED, "format": "demarc-export-1", "key": _KEY})
    proof = f"c2sp.org/tlog-proof@v1\nindex 0\n\n{_SIGNED}"
    page = {
        "digest": "0",
        "entries": [{"body": form.decode(), "proof": proof}],
        "format": "demarc-proof-1",
        "key": _KEY,
    }
    rules = f"log {_KEY}\ngroup g 1 w\nquorum none\n".encode()
    return run, [form, row + b"\n" + last + b"\n", canonical.encode(page), rules, b"[" * 3000]


def chain_files() -> tuple[Run, Seeds]:
    """Read chain files and agent files, which other parties write."""
    from agent.config.chain import examine_chain  # noqa: PLC0415
    from agent.config.host import chain_beside, examine_host  # noqa: PLC0415
    from agent.config.registry import InstalledTypes  # noqa: PLC0415

    types, path = InstalledTypes(), Path("agent.yml")
    chain = examine_chain(_CHAIN, "chain.yml", types).chain
    assert chain is not None

    def run(data: bytes) -> None:
        examine_chain(data, "chain.yml", types)
        chain_beside(data, path)
        examine_host(data, path, chain)

    host = b'vantage: cloud\nchain: chain.yml\ndata: /var/lib/demarc\npeers: [{vantage: onprem, url: "https://a:1"}]\n'
    return run, [_CHAIN, host, b"a: &a [*a, !!int x, ? y]\n", b"[" * 3000]
