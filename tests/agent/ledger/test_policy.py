"""The policy that a chain file gives: each party of another operator once, and hosts without an agent among them."""

import msgspec
import pytest

from agent import keys
from agent.ledger.cosignature import WitnessKey, witness_of
from agent.ledger.policy import PolicyError, key_policy, policy_text
from agent.ledger.verifier import parse_policy
from agent.model import Chain, Witness
from tests.agent.samples import CHAIN

SIGNERS = {name: keys.Signer(name=f"demarc/{name}", seed=name.encode().ljust(32)) for name in CHAIN.vantages}
THIRD = {name: witness_of(keys.Signer(name=name, seed=name.encode().ljust(32)).verifier) for name in ("x", "y", "z")}


def chain(**parties: str) -> Chain:
    """Return the sample chain with keys, and a host without an agent for each of these parties."""
    vantages = {
        name: msgspec.structs.replace(one, key=str(SIGNERS[name].verifier)) for name, one in CHAIN.vantages.items()
    }
    witnesses = {name: Witness(id=name, party=party, key=str(THIRD[name])) for name, party in parties.items()}
    return msgspec.structs.replace(CHAIN, vantages=vantages, witnesses=witnesses)


def lines(text: str) -> list[str]:
    """Return the lines without comments; the verifier must read them."""
    parse_policy(text)
    return [line for line in text.splitlines() if not line.startswith("#")]


def test_a_third_host_counts_for_its_party() -> None:
    """With the party's agent it is one party; for the log's own operator it counts nothing."""
    told = lines(policy_text(chain(x="incumbent", y="client", z="msp"), "cloud", wanted=2))
    assert told == [
        f"log {SIGNERS['cloud'].verifier}",
        f"witness onprem {witness_of(SIGNERS['onprem'].verifier)}",
        f"witness x {THIRD['x']}",
        f"witness y {THIRD['y']}",
        "group party-incumbent any onprem x",
        "group party-client any y",
        "group parties 2 party-incumbent party-client",
        "quorum parties",
    ]


def test_one_agent_and_a_third_host_are_enough() -> None:
    """Where no other party runs an agent."""
    alone = chain(y="client")
    alone = msgspec.structs.replace(alone, vantages={"cloud": alone.vantages["cloud"]})
    assert lines(policy_text(alone, "cloud"))[-2:] == ["group parties 1 party-client", "quorum parties"]
    with pytest.raises(PolicyError, match="only 1 other parties"):
        policy_text(alone, "cloud", wanted=2)


def test_others_and_none() -> None:
    """A witness that the chain file does not name is a party of its own; nobody need be wanted."""
    other = WitnessKey(name="far.example", public=bytes(32))
    told = lines(policy_text(chain(), "cloud", wanted=0, others=(other,)))
    assert f"witness far.example {other}" in told
    assert told[-1] == "quorum none"
    assert lines(key_policy(SIGNERS["cloud"].verifier)) == [f"log {SIGNERS['cloud'].verifier}", "quorum none"]


def test_a_log_without_a_key() -> None:
    """There is nothing to check it by."""
    with pytest.raises(PolicyError, match="has no key of cloud"):
        policy_text(CHAIN, "cloud")
