"""Small chains made of values, for tables and property tests."""

from collections.abc import Mapping, Sequence

from agent.model import Chain, Confirm, Party, Probe, Segment, Vantage
from probes.kit.spec import Evidence, Flow, Pace


def flow(host: str, *, protocol: str = "icmp", port: int | None = None, size: int = 84, function: str = "echo") -> Flow:
    """Return a flow to an address literal."""
    return Flow(
        host=host, protocol=protocol, port=port, function=function, connect_bytes=min(size, 84), carry_bytes=size
    )


def probe(
    name: str,
    path: Sequence[str],
    *,
    vantage: str = "v",
    to: Flow | None = None,
    back: Sequence[str] = (),
    resolve: Sequence[str] = (),
    evidence: Evidence = Evidence.PATH,
    pace: Pace = Pace.ROUND,
    service: str | None = None,
    interval: float = 1.0,
) -> Probe:
    """Return a probe; its address is its own unless `to` says otherwise."""
    to = to or flow(f"host-of-{name}")
    return Probe(
        id=name,
        type="icmp",
        vantage=vantage,
        path=tuple(path),
        back=tuple(back),
        resolve=tuple(resolve),
        service=service,
        interval=interval,
        timeout=1.0,
        settings=None,
        flow=to,
        target=to.host,
        evidence=evidence,
        pace=pace,
    )


def chain(
    owners: Mapping[str, str],
    probes: Sequence[Probe],
    *,
    vantages: Mapping[str, tuple[str, str]] | None = None,
    filters: Sequence[str] = (),
    confirm: Confirm | None = None,
) -> Chain:
    """Return a chain of segments with `owners` (`a`, or `a+b` for joint ones) in path order.

    `vantages` maps a name to its segment and operator; by default `v` on the first segment,
    operated by its first owner.
    """
    segments = {
        name: Segment(id=name, owners=tuple(text.split("+")), side="cloud", filters=name in filters)
        for name, text in owners.items()
    }
    first = next(iter(segments.values()))
    places = vantages or {"v": (first.id, first.owners[0])}
    parties = dict.fromkeys(o for s in segments.values() for o in s.owners if o != "unassigned")
    return Chain(
        version=1,
        effective="2026-01-01T00:00",
        timezone="UTC",
        director=first.owners[0],
        parties={p: Party(id=p, name=p.upper()) for p in parties},
        segments=segments,
        vantages={v: Vantage(id=v, segment=s, operator=o) for v, (s, o) in places.items()},
        services={},
        confirm=confirm or Confirm(),
        probes={p.id: p for p in probes},
        hash="0" * 64,
    )
