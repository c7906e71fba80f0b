"""A sample of drift: a certificate and a lifetime that are not as approved, and what changed lately."""

from msgspec.structs import replace

from agent.drift.value import Change, Drift, Event, FactNow, Fingerprint, Move, Standing

OLD, NEW = "ab" * 32, "cd" * 32
WAY = ("cloud-gw", "carrier", "vpn", "onprem-gw")
RENEWED, REKEYED = 7200.0, 900.0
"""So long ago (s) the certificate was renewed and the lifetime shortened."""


def drifted(now: float) -> Drift:
    """Return the picture at `now` (UTC epoch seconds)."""
    return Drift(fingerprints=(certificate(now), tunnel(now)), changes=changes(now))


def certificate(now: float) -> Fingerprint:
    """Return a certificate that is another than was approved."""
    facts = (
        FactNow(name="certificate expires", value="2027-02-01T12:00:00Z", standing=Standing.UNAPPROVED),
        FactNow(
            name="certificate sha256",
            value=NEW,
            since=now - RENEWED,
            standing=Standing.DRIFTED,
            approved=OLD,
            approved_by="incumbent",
        ),
    )
    return Fingerprint(
        probe="erp", type="http", segments=("erp-app",), facts=facts, changed=1, last_change=now - RENEWED
    )


def tunnel(now: float) -> Fingerprint:
    """Return a tunnel's configuration: one lifetime drifted, one fact as approved, one flapping, one unseen."""
    facts = (
        FactNow(
            name="site/net rekey seconds",
            value="3600",
            since=now - REKEYED,
            standing=Standing.DRIFTED,
            approved="14400",
            approved_by="chain file",
        ),
        FactNow(name="site ike version", value="IKEv2", standing=Standing.APPROVED, approved="IKEv2"),
        FactNow(name="site unique", value="UNIQUE_NO", standing=Standing.FLAPPING),
        FactNow(name="site/net pfs group", standing=Standing.UNSEEN, approved="CURVE_25519"),
    )
    return Fingerprint(
        probe="tunnel", type="strongswan", segments=WAY, facts=facts, changed=1, last_change=now - REKEYED
    )


def changes(now: float) -> tuple[Change, ...]:
    """Return what changed lately, the newest first."""
    renewed = Change(
        event=Event.CHANGED, at=now - RENEWED, vantage="cloud", probe="erp", segments=("erp-app",), moves={}
    )
    return (
        Change(
            event=Event.CHANGED,
            at=now - REKEYED,
            not_before=now - REKEYED - 5.0,
            vantage="cloud",
            probe="tunnel",
            segments=WAY,
            moves={"site/net rekey seconds": Move(before="14400", after="3600")},
        ),
        replace(renewed, not_before=now - 9000.0, moves={"certificate sha256": Move(before=OLD, after=NEW)}),
        Change(
            event=Event.CHANGED,
            at=now - 8000.0,
            vantage="onprem",
            moves={"chain file": Move(before="1" * 64, after="2" * 64)},
        ),
        replace(renewed, event=Event.SEEN, at=now - 9000.0, moves={"certificate sha256": Move(after=OLD)}),
    )
