"""strongSwan's log, read: why a connection does not come up, and what the peer has not answered."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.kit.charon_log import EVIDENCE_SECONDS, LINE_MOST, SAS_MOST, UNNAMED, LogReader
from tests.probes.charon_samples import line

PEERS = {"site": ("192.0.2.2",), "branch": ("192.0.2.3",)}
# As 5.9.8 wrote them on a real gateway, or as its source has them.
LINES: dict[str, str | None] = {
    "received AUTHENTICATION_FAILED notify error": "auth-refused",
    "received AUTHENTICATION_FAILED error notify": "auth-refused",
    "tried 1 shared key for 'side2' - 'side1', but MAC mismatched": "key-mismatch",
    "no shared key found for 'side2' - 'side1'": "key-mismatch",
    "received NO_PROPOSAL_CHOSEN notify error": "no-proposal",
    "received NO_PROPOSAL_CHOSEN notify, no CHILD_SA built": "no-proposal",
    "received proposals unacceptable": "no-proposal",
    "no acceptable proposal found": "no-proposal",
    "received TS_UNACCEPTABLE notify, no CHILD_SA built": "selectors-mismatch",
    "traffic selectors 10.2.0.0/24 === 10.1.0.0/24 unacceptable": "selectors-mismatch",
    'no issuer certificate found for "CN=a.lab"': "certificate-refused",
    "no trusted RSA public key found for 'b.lab'": "certificate-refused",
    "subject certificate invalid (valid from Nov 01 00:00:00 2020 to Nov 02 00:00:00 2020)": "certificate-refused",
    "no matching peer config found": "identity-mismatch",
    "constraint check failed: identity 'b.lab' required ": "identity-mismatch",
    "giving up after 5 retransmits": "peer-silent",
    "establishing IKE_SA failed, peer not responding": "peer-silent",
    "IKE_SA site[1] established between 192.0.2.1[a]...192.0.2.2[b]": None,
    "sending DPD request": None,
    "": None,
}


@pytest.mark.parametrize("said", LINES)
def test_a_line_tells_of_a_fault(said: str) -> None:
    """Each line of the table is evidence of its fault for the connection that it names, and no other line is."""
    log = LogReader()
    assert log.take(line(said), 5.0, PEERS) == ("site" if LINES[said] else "")
    found = log.evidence("site", 6.0)
    assert (found.fault if found else None) == LINES[said]
    assert log.evidence("branch", 6.0) is None


def test_evidence_ends() -> None:
    """It is forgotten when the connection comes up, and too old after the time of one try."""
    log = LogReader()
    log.take(line("no acceptable proposal found"), 5.0, PEERS)
    assert log.evidence("site", 5.0 + EVIDENCE_SECONDS) is not None
    assert log.evidence("site", 5.1 + EVIDENCE_SECONDS) is None
    log.settled("site")
    assert log.evidence("site", 6.0) is None


def test_the_first_of_two_lines_says_why() -> None:
    """What follows in the same IKE SA does not hide the cause; another cause and another try do."""
    log = LogReader()
    assert log.take(line('no issuer certificate found for "CN=a"'), 5.0, PEERS)
    assert not log.take(line("no trusted RSA public key found for 'a'"), 5.1, PEERS)
    found = log.evidence("site", 6.0)
    assert found is not None
    assert found.line.startswith("no issuer")
    assert log.take(line("no trusted RSA public key found for 'a'", ike="2"), 5.2, PEERS)


def begin(log: LogReader, offer: str, peer: str = "192.0.2.2") -> None:
    """Let an IKE SA without a name come from `peer` with this offer."""
    log.take(line(f"{peer} is initiating an IKE_SA", name=UNNAMED), 1.0, PEERS)
    log.take(line(f"received proposals: {offer}", name=UNNAMED), 1.0, PEERS)
    log.take(line("configured proposals: IKE:AES_GCM_16_256", name=UNNAMED), 1.0, PEERS)


def test_an_sa_without_a_name_counts_for_the_peer_that_began_it() -> None:
    """The offers of both sides stand beside the line."""
    log = LogReader()
    begin(log, "IKE:AES_GCM_16_128")
    assert log.take(line("received proposals unacceptable", name=UNNAMED), 2.0, PEERS) == "site"
    found = log.evidence("site", 2.0)
    assert found is not None
    assert found.line == (
        "received proposals unacceptable (received: IKE:AES_GCM_16_128, configured: IKE:AES_GCM_16_256)"
    )


def test_a_liveness_probe_is_no_evidence() -> None:
    """An offer of private-use transforms, like that of our own ike probe, is nobody's tunnel."""
    log = LogReader()
    begin(log, "IKE:(64222)/(64222)/(64222)/(64222)")
    assert not log.take(line("received proposals unacceptable", name=UNNAMED), 2.0, PEERS)


def test_a_stranger_is_no_evidence() -> None:
    """An SA that no configured peer began, or that nobody was seen to begin, says nothing of a connection."""
    log = LogReader()
    assert not log.take(line("no matching peer config found", name=UNNAMED), 2.0, PEERS)
    begin(log, "IKE:AES_GCM_16_128", peer="198.51.100.9")
    assert not log.take(line("received proposals unacceptable", name=UNNAMED), 2.0, PEERS)
    assert not log.take({"msg": b"no matching peer config found"}, 2.0, PEERS)


def test_a_request_is_unanswered_until_its_answer() -> None:
    """A retransmission is remembered; the answer to that very request, or the SA's end, forgets it."""
    log = LogReader()
    log.take(line("retransmit 1 of request with message ID 2"), 1.0, PEERS)
    log.take(line("retransmit 2 of request with message ID 2"), 2.0, PEERS)
    found = log.unanswered("1")
    assert found is not None
    assert (found.request, found.times, found.at) == (2, 2, 2.0)
    log.take(line("parsed INFORMATIONAL response 1 [ ]"), 3.0, PEERS)
    assert log.unanswered("1") is not None
    log.take(line("parsed INFORMATIONAL response 2 [ ]"), 3.0, PEERS)
    assert log.unanswered("1") is None
    log.take(line("parsed INFORMATIONAL response 3 [ ]"), 3.0, PEERS)
    log.take(line("retransmit 1 of request with message ID 4"), 4.0, PEERS)
    log.ended("1")
    assert log.unanswered("1") is None


def test_memory_is_bounded() -> None:
    """However many IKE SAs and connections come, the latest are known and no more."""
    log = LogReader()
    for number in range(3 * SAS_MOST):
        log.take(line("retransmit 1 of request with message ID 2", ike=str(number)), 1.0, PEERS)
        log.take(line("no acceptable proposal found", ike=str(number), name=f"c{number}"), 1.0, PEERS)
    known = [n for n in range(3 * SAS_MOST) if log.unanswered(str(n)) is not None]
    assert known == list(range(2 * SAS_MOST, 3 * SAS_MOST))
    assert [n for n in range(3 * SAS_MOST) if log.evidence(f"c{n}", 1.0) is not None] == known


MESSAGES = st.dictionaries(
    st.sampled_from(["msg", "ikesa-name", "ikesa-uniqueid"]),
    st.sampled_from([text.encode() for text in LINES]) | st.binary(max_size=300) | st.lists(st.binary(), max_size=1),
    max_size=3,
)


@given(st.lists(MESSAGES, max_size=8))
def test_any_messages_give_short_printable_lines(messages: list[dict[str, Any]]) -> None:
    """Whatever the log brings, the evidence is one short printable line."""
    log = LogReader()
    for message in messages:
        if connection := log.take(message, 1.0, PEERS):
            found = log.evidence(connection, 1.0)
            assert found is not None
            assert found.line.isprintable()
            assert len(found.line) <= LINE_MOST
