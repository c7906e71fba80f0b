"""The policy that a chain file gives: whose signatures count for a log, and whose cosignatures are wanted. Pure.

The form is C2SP tlog-policy, so that other tools for transparency logs read it as well. What must stay
true: an agent never counts as witness of its own party's log.
"""

from agent.keys import VerifierKey, parse_verifier
from agent.ledger.cosignature import WitnessKey, parse_witness, witness_of
from agent.model import Chain


class PolicyError(ValueError):
    """The chain gives no such policy."""


def policy_text(chain: Chain, vantage: str, *, wanted: int = 1, others: tuple[WitnessKey, ...] = ()) -> str:
    """Return the policy for the log of a vantage: cosigned by witnesses of `wanted` other parties.

    `others` are witnesses that the chain file does not name, each counted as a party of its own. PolicyError when
    the log has no key in the chain file, or when there are not so many parties that could witness it.
    """
    log = chain.vantages[vantage]
    if not log.key:
        raise PolicyError(f"the chain file has no key of {vantage}; `demarc ledger key` prints it there")
    parties: dict[str, list[tuple[str, WitnessKey]]] = {}
    for one in chain.vantages.values():
        if one.key and one.operator != log.operator:
            parties.setdefault(one.operator, []).append((one.id, witness_of(parse_verifier(one.key))))
    for third in chain.witnesses.values():
        if third.party != log.operator:
            parties.setdefault(third.party, []).append((third.id, parse_witness(third.key)))
    for key in others:
        parties[key.name] = [(key.name, key)]
    if wanted > len(parties):
        raise PolicyError(f"{wanted} witnesses are wanted, but the keys of only {len(parties)} other parties are known")
    lines = [
        f"# Whose word counts for the ledger of {vantage}, operated by {log.operator}.",
        f"# Chain file {chain.hash}.",
        f"log {parse_verifier(log.key)}",
        *(f"witness {name} {key}" for members in parties.values() for name, key in members),
        *(f"group party-{party} any {' '.join(name for name, _ in parties[party])}" for party in parties),
    ]
    if wanted:
        lines.append(f"group parties {wanted} {' '.join(f'party-{party}' for party in parties)}")
    lines.append(f"quorum {'parties' if wanted else 'none'}")
    return "\n".join(lines) + "\n"


def key_policy(key: VerifierKey) -> str:
    """Return the policy of one log's key and no witness."""
    return f"log {key}\nquorum none\n"
