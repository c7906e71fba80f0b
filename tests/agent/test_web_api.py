"""The API: what it answers, what it refuses and how it says so."""

import string
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.keys import Signer
from agent.observation import Observation, decode
from agent.seal import Voice, answer_of, signed_by
from agent.web.answers import StatusAnswer
from agent.web.api import LIMIT_MOST, routes, whole_rounds
from probes.kit.result import Outcome
from tests.agent import samples
from tests.agent.asgi import Reply, get
from tests.agent.samples import NOW, SNAPSHOTS


def observation(round_number: int, probe: str = "gw") -> Observation:
    """Return one result of a round."""
    return Observation(time=NOW + round_number, round=round_number, vantage="cloud", probe=probe, outcome=Outcome.OK)


RECENT = tuple(observation(n, p) for n in range(1, 6) for p in ("gw", "anchor", "self"))


def since(round_number: int) -> tuple[Observation, ...]:
    """Return what is newer than a round."""
    return tuple(o for o in RECENT if o.round > round_number)


VOICE = Voice(
    vantage="cloud", chain=samples.CHAIN.hash, time=samples.NOW, signer=Signer(name="demarc/cloud", seed=bytes(32))
)


def served(path: str, name: str = "carrier") -> Reply:
    """GET from the API of a sample."""
    return get(routes(lambda: SNAPSHOTS[name], since, lambda: VOICE), path)


def answered(path: str, name: str = "carrier") -> Any:
    """Return a good answer's JSON."""
    reply = served(path, name)
    assert reply.status == 200, reply.text
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["cache-control"] == "no-store"
    return msgspec.json.decode(reply.body)


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_status_reads_back_as_its_type(name: str) -> None:
    """The whole picture decodes into the type that the command line uses, for every sample."""
    status = msgspec.json.decode(served("/api/v1/status", name).body, type=StatusAnswer)
    snapshot = SNAPSHOTS[name]
    assert {s.id for s in status.segments} == set(snapshot.chain.segments)
    assert len(status.incidents) == len(snapshot.incidents)
    assert len(status.probes) == len(snapshot.chain.probes)
    assert status.chain_hash == snapshot.chain.hash


def test_status_stands_in_the_order_of_the_chain() -> None:
    """Segments go from the cloud to the on-premise end, the demarcation lines beside them."""
    status = answered("/api/v1/status", "healthy")
    assert [s["id"] for s in status["segments"]][:4] == ["cloud-host", "dns", "cloud-gw", "carrier"]
    assert ["cloud-gw", "carrier"] in status["demarcation_lines"]


def test_status_without_a_state_is_unknown() -> None:
    """What nobody speaks of is unknown or unobserved, never ok."""
    bare = msgspec.structs.replace(samples.HEALTHY, segments={}, services={}, probes={}, vantage="gone")
    status = msgspec.json.decode(
        get(routes(lambda: bare, since, lambda: VOICE), "/api/v1/status").body, type=StatusAnswer
    )
    assert {s.state for s in status.segments} == {"unknown"}
    assert {s.state for s in status.services} == {"unobserved"}
    assert {p.outcome for p in status.probes} == {None}


def test_status_tells_each_tunnel_claim_by_claim() -> None:
    """Configured, established and passing are told apart, and on whose word."""
    (tunnel,) = answered("/api/v1/status", "vpn")["tunnels"]
    assert (tunnel["segment"], tunnel["configured"], tunnel["established"]) == ("vpn", 2, 1)
    assert (tunnel["passing"], tunnel["basis"], tunnel["peer_alive"]) == (False, "measured", None)


def test_incidents_with_their_sentences() -> None:
    """An incident has its fields, its headline and its sentences in the language asked for."""
    (incident,) = answered("/api/v1/incidents")
    assert incident["kind"] == "attributed"
    assert incident["parties"] == ["carrier"]
    assert incident["mover_name"] == "GlasNet"
    assert incident["summary"] == "carrier (GlasNet) fails; affects ERP and HR self-service"
    assert len(incident["sentences"]) == 5
    assert answered("/api/v1/incidents?lang=nl")[0]["summary"].startswith("Storing in carrier")


def test_all_incidents() -> None:
    """`state=all` adds those that ended."""
    assert [i["state"] for i in answered("/api/v1/incidents?state=all")] == ["confirmed", "closed", "closed"]
    assert answered("/api/v1/incidents?state=open", "healthy") == []


def test_one_incident() -> None:
    """An incident is found by its id, open or closed."""
    assert answered(f"/api/v1/incidents/{samples.CARRIER.id}")["id"] == samples.CARRIER.id
    assert answered(f"/api/v1/incidents/{samples.CLOSED.id}?lang=nl")["state"] == "closed"


def test_chain() -> None:
    """The resolved chain, without the settings of a host."""
    chain = answered("/api/v1/chain")
    assert chain["director"] == "msp"
    assert chain["segments"]["vpn"]["owners"] == ["msp", "incumbent"]
    assert chain["probes"]["erp"]["path"][-1] == "erp-app"
    assert "settings" not in chain["probes"]["erp"]
    assert "source" not in chain


def test_probes() -> None:
    """Every probe of the chain file with its last result."""
    probes = {p["probe"]: p for p in answered("/api/v1/probes")}
    assert probes["underlay"]["outcome"] == "failed"
    assert probes["underlay"]["stage"] == "connect"
    assert probes["erp-local"]["vantage"] == "onprem"


def lines(reply: Reply) -> list[Observation]:
    """Return the observations of an answer."""
    assert reply.status == 200, reply.text
    return [decode(line) for line in reply.body.splitlines()]


def test_observations_are_json_lines() -> None:
    """Peers read one observation a line, whose chain and vantage the headers say."""
    reply = served("/api/v1/observations?since_round=3")
    assert reply.headers["content-type"].startswith("application/jsonl")
    assert reply.headers["demarc-chain"] == samples.CHAIN.hash
    assert reply.headers["demarc-vantage"] == "cloud"
    assert [o.round for o in lines(reply)] == [4, 4, 4, 5, 5, 5]
    assert len(lines(served("/api/v1/observations"))) == len(RECENT)
    assert lines(served("/api/v1/observations?since_round=5")) == []


def test_an_answer_to_a_nonce_is_signed() -> None:
    """The asker can check every byte against the key of the vantage; without a nonce nothing is signed."""
    nonce = "0123456789abcdef" * 2
    reply = served(f"/api/v1/observations?since_round=3&nonce={nonce}")
    answer = answer_of(reply.headers, reply.body, nonce=nonce, since_round=3)
    assert answer is not None
    assert VOICE.signer is not None
    assert signed_by(VOICE.signer.verifier, answer, reply.headers["demarc-signature"])
    assert "demarc-signature" not in served("/api/v1/observations").headers
    assert served("/api/v1/observations?nonce=xyz").status == 400


LIMITS = {1: 3, 3: 3, 4: 3, 6: 6, 8: 6, 15: 15, 100: 15}


@pytest.mark.parametrize("limit", LIMITS)
def test_a_limit_cuts_between_rounds(limit: int) -> None:
    """A round is given whole or not at all, the first one always."""
    assert len(lines(served(f"/api/v1/observations?limit={limit}"))) == LIMITS[limit]


@given(st.lists(st.integers(0, 9), max_size=40), st.integers(1, 40))
def test_paging_by_round_misses_nothing(rounds: list[int], limit: int) -> None:
    """Going on from the last round of each answer gives every observation once."""
    stored = [observation(n, f"p{i}") for i, n in enumerate(rounds)]
    read: list[Observation] = []
    last = -1
    while page := whole_rounds([o for o in stored if o.round > last], limit):
        read += page
        last = page[-1].round
    assert sorted(o.probe for o in read) == sorted(o.probe for o in stored)


REFUSED = {
    "/api/v1/incidents?state=closed": (400, "write state=open|all"),
    "/api/v1/incidents?lang=de": (400, "write lang=en|nl"),
    "/api/v1/status?verbose=1": (400, "it takes lang"),
    "/api/v1/chain?lang=nl": (400, "it takes none"),
    "/api/v1/incidents?state=all&state=open": (400, "give it once"),
    "/api/v1/incidents/nope": (404, "/api/v1/incidents?state=all"),
    "/api/v1/observations?since_round=x": (400, "a whole number from -1"),
    "/api/v1/observations?since_round=-2": (400, "a whole number from -1"),
    "/api/v1/observations?since_round=1_0": (400, "a whole number from -1"),
    "/api/v1/observations?since_round=": (400, "a whole number from -1"),
    "/api/v1/observations?limit=0": (400, f"from 1 to {LIMIT_MOST}"),
    "/api/v1/observations?limit=9999999999999999999999": (400, f"from 1 to {LIMIT_MOST}"),
    "/api/v1/observations?from=1": (400, "it takes since_round, limit"),
    "/api/v1/metrics": (404, "there are status, incidents"),
}


@pytest.mark.parametrize("path", REFUSED)
def test_a_bad_question_says_what_to_ask(path: str) -> None:
    """Errors are problem JSON with a remedy (RFC 9457)."""
    reply = served(path)
    status, remedy = REFUSED[path]
    problem = msgspec.json.decode(reply.body)
    assert reply.status == status == problem["status"]
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.headers["cache-control"] == "no-store"
    assert remedy in problem["detail"]


queries = st.text(string.ascii_letters + string.digits + "_=&%+-;", max_size=40)


@given(st.sampled_from(["status", "incidents", "incidents/x", "chain", "probes", "observations", "x/y"]), queries)
def test_any_question_gets_an_answer_or_a_problem(resource: str, query: str) -> None:
    """Whatever is asked, the answer is JSON with 200, or a problem with 400 or 404."""
    reply = served(f"/api/v1/{resource}?{query}", "healthy")
    assert reply.status in (200, 400, 404)
    if reply.status != 200:
        assert msgspec.json.decode(reply.body)["detail"]
