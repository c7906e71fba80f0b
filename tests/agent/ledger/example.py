"""The worked example of FORMAT.md, made anew: the text of its last section."""

import hashlib

from agent import keys
from agent.incident.value import Event, Incident, Kind, Standing, State, Support, Transition
from agent.ledger import body, canonical, merkle, note
from agent.ledger.entry import Entry

SEED = bytes(range(32))
ORIGIN = "demarc.example/cloud"
CHAIN = "3f" * 32
SALT = bytes([7]) * 32
DETAIL = b"version: 1\n"


def entries(signer: keys.Signer) -> list[dict[str, object]]:
    """Return the three bodies of the example."""
    commitment = hashlib.sha256(SALT + DETAIL).hexdigest()
    incident = Incident(
        id="carrier-1a2b",
        state=State.CONFIRMED,
        kind=Kind.ATTRIBUTED,
        parties=("carrier",),
        candidates=("carrier",),
        segments=("carrier",),
        services=("erp",),
        side="transit",
        mover="carrier",
        standing=Standing.CORROBORATED,
        margin=2,
        support=Support(failing=("cloud>underlay",), exonerating={"cloud-gw": ("cloud>gw",)}),
        faults={"cloud>underlay": "connect/timeout"},
        opened=1795442400.125,
        confirmed=1795442406.5,
    )
    transition = Transition(event=Event.CONFIRMED, at=1795442406.5, incident=incident)
    made: list[Entry] = [
        body.AgentStart(time=1795442390000000000, agent="0.1.0", vantage="cloud", key=str(signer.verifier)),
        body.ChainEntry(
            time=1795442390000000000,
            hash=CHAIN,
            effective="2027-01-15T00:00",
            vantage="cloud",
            details={"source": commitment},
        ),
        body.from_transition(transition, chain=CHAIN, vantage="cloud"),
    ]
    return [body.write(entry)[1] for entry in made]


def section() -> str:
    """Return the section as FORMAT.md must hold it."""
    signer = keys.Signer(name=ORIGIN, seed=SEED)
    forms = [canonical.encode(one) for one in entries(signer)]
    leaves = [merkle.leaf_hash(form) for form in forms]

    def read(level: int, index: int) -> bytes:
        return leaves[index] if level == 0 else merkle.node_hash(leaves[2 * index], leaves[2 * index + 1])

    text = note.Checkpoint(ORIGIN, 3, merkle.root(3, read)).text()
    signed = f"{text}\n{signer.sign(text)}"
    proof = note.Proof(2, merkle.inclusion_proof(2, 3, read), signed).text()
    lines = [
        "## Worked example",
        "",
        f"The log `{ORIGIN}` is signed with the seed 00 01 02 … 1F, so its verifier key is",
        "",
        f"    {signer.verifier}",
        "",
        "Three bodies, one a line, and their leaf hashes. The detail `source` of entry 1 is `version: 1` and a line",
        "feed, with a salt of 32 bytes 07.",
        "",
    ]
    for index, form in enumerate(forms):
        lines += [f"{index}:", "", f"    {form.decode()}", f"    {leaves[index].hex()}", ""]
    lines += [
        "Node 1/0 over entries 0 and 1:",
        "",
        f"    {read(1, 0).hex()}",
        "",
        "The checkpoint over the three, with its signature:",
        "",
        *_indented(signed),
        "",
        "The proof of entry 2:",
        "",
        *_indented(proof),
    ]
    return "\n".join(lines) + "\n"


def _indented(text: str) -> list[str]:
    return [f"    {line}" if line else "" for line in text.splitlines()]
