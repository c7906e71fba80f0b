"""A sample of drift: a certificate and a lifetime that are not as approved, and what changed lately."""

from agent.drift.value import Change, Drift, Event, FactNow, Fingerprint, Move, Standing


def drifted(now: float) -> Drift:
    """Return the picture at `now` (UTC epoch seconds)."""
    return Drift(
        fingerprints=(
            Fingerprint(
                probe="erp",
                type="http",
                segments=("erp-app",),
                facts=(
                    FactNow(name="certificate expires", value="2027-02-01T12:00:00Z", standing=Standing.UNAPPROVED),
                    FactNow(
                        name="certificate sha256",
                        value="cd" * 32,
                        since=now - 7200.0,
                        standing=Standing.DRIFTED,
                        approved="ab" * 32,
                        approved_by="incumbent",
                    ),
                ),
                changed=1,
                last_change=now - 7200.0,
            ),
            Fingerprint(
                probe="tunnel",
                type="strongswan",
                segments=("cloud-gw", "carrier", "vpn", "onprem-gw"),
                facts=(
                    FactNow(
                        name="site/net rekey seconds",
                        value="3600",
                        since=now - 900.0,
                        standing=Standing.DRIFTED,
                        approved="14400",
                        approved_by="chain file",
                    ),
                    FactNow(name="site ike version", value="IKEv2", standing=Standing.APPROVED, approved="IKEv2"),
                    FactNow(name="site unique", value="UNIQUE_NO", standing=Standing.FLAPPING),
                    FactNow(name="site/net pfs group", standing=Standing.UNSEEN, approved="CURVE_25519"),
                ),
                changed=1,
                last_change=now - 900.0,
            ),
        ),
        changes=(
            Change(
                event=Event.CHANGED,
                at=now - 900.0,
                not_before=now - 905.0,
                vantage="cloud",
                probe="tunnel",
                segments=("cloud-gw", "carrier", "vpn", "onprem-gw"),
                moves={"site/net rekey seconds": Move(before="14400", after="3600")},
            ),
            Change(
                event=Event.CHANGED,
                at=now - 7200.0,
                not_before=now - 9000.0,
                vantage="cloud",
                probe="erp",
                segments=("erp-app",),
                moves={"certificate sha256": Move(before="ab" * 32, after="cd" * 32)},
            ),
            Change(
                event=Event.CHANGED,
                at=now - 8000.0,
                vantage="onprem",
                moves={"chain file": Move(before="1" * 64, after="2" * 64)},
            ),
            Change(
                event=Event.SEEN,
                at=now - 9000.0,
                vantage="cloud",
                probe="erp",
                segments=("erp-app",),
                moves={"certificate sha256": Move(after="ab" * 32)},
            ),
        ),
    )
