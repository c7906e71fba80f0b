"""Warnings: what the chain file may say and probably does not mean.

They never stop anything; `demarc check` prints them. Every one says what to write instead.
"""

from collections import Counter

from agent.config.problem import Report
from agent.model import Chain, Probe
from probes.kit.spec import Evidence, Pace

# One round trip of a flow of these can be told from the rest of an attempt (agent/excess).
_TRIPS = ("icmp", "tcp", "udp")


def advise(chain: Chain, report: Report) -> None:
    """Note everything that is probably not meant."""
    for probe in chain.probes.values():
        _probe(probe, report)
        _told(chain, probe, report)
        if probe.flow.carries == ():
            report.warn(
                ("probes", probe.id),
                "a tunnel that one side narrowed to fewer addresses would look like a fault behind it; write the "
                "network that was agreed for it (`demarc probes` names the key)",
            )
    _timeouts(chain, report)
    _unused(chain, report)
    _homes(chain, report)
    _exits(chain, report)
    _margins(chain, report)
    for name, service in chain.services.items():
        if service.page.when == "hours" and not service.hours:
            report.warn(("services", name, "page"), "pages in its hours, and has none: always; write `hours`")


def _probe(probe: Probe, report: Report) -> None:
    where = ("probes", probe.id)
    if probe.flow.named and not probe.resolve:
        report.warn(
            where,
            f"`{probe.flow.host}` is resolved by name, and a failure to resolve it accuses nobody; "
            "write `resolve: [segments]` with what resolution needs",
        )
    if probe.resolve and not probe.flow.named:
        report.warn((*where, "resolve"), "the target is an address, nothing is resolved; remove `resolve`")
    if probe.interval < probe.timeout:
        report.warn(
            (*where, "interval"),
            f"attempts start every {probe.interval:g} s and may last {probe.timeout:g} s, so they overlap; "
            "write an interval of at least the timeout",
        )


def _told(chain: Chain, probe: Probe, report: Report) -> None:
    """Warn of a told state whose path does not lead to its teller: its dates place nothing."""
    if probe.told_by and (probe.told_by,) not in [chain.segments[s].owners for s in probe.path]:
        report.warn(
            ("probes", probe.id, "told_by"),
            f"no segment of the path is `{probe.told_by}`'s alone; lead the path to its segment, then along the way "
            "of what is told",
        )


def _homes(chain: Chain, report: Report) -> None:
    """Warn of two vantages in one segment: neither could be told from the other."""
    homes: dict[str, str] = {}
    for name, vantage in chain.vantages.items():
        first = homes.setdefault(vantage.segment, name)
        if first != name:
            report.warn(
                ("vantages", name, "segment"),
                f"is the segment of vantage `{first}` too; give every host a segment of its own",
            )


def _exits(chain: Chain, report: Report) -> None:
    """Warn of a network between more than two neighbours: a pass from one to another clears it for the third.

    A tunnel lies inside another way and is passed over; gateways have several sides by nature.
    """
    beside: dict[str, dict[str, None]] = {}
    for probe in chain.probes.values():
        for way in (probe.path, probe.back):
            plain = [s for s in way if chain.segments[s].side != "line"]
            for before, here, after in zip(plain, plain[1:], plain[2:], strict=False):
                beside.setdefault(here, {}).update(dict.fromkeys((before, after)))
    for name, neighbours in beside.items():
        if chain.segments[name].side == "transit" and len(neighbours) > 2:
            report.warn(
                ("segments", name),
                f"is crossed between {', '.join(neighbours)}, and a pass between two of them clears it for the others; "
                "write a segment for each way through it",
            )


def _timeouts(chain: Chain, report: Report) -> None:
    """Warn of probes whose timeout differs from the others that can meet them in one conflict."""
    for group in _meeting(chain):
        usual = Counter(probe.timeout for probe in group).most_common(1)[0][0]
        for probe in group:
            if probe.timeout != usual:
                report.warn(
                    ("probes", probe.id, "timeout"),
                    f"{probe.timeout:g} s, while the probes that share segments with it use {usual:g} s; "
                    "write the same, or their results speak of different moments",
                )


def _meeting(chain: Chain) -> list[list[Probe]]:
    """Return the groups of probes whose paths are connected by shared segments."""
    parent: dict[str, str] = {name: name for name in chain.segments}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    rounds = [p for p in chain.probes.values() if p.evidence is Evidence.PATH and p.pace is Pace.ROUND]
    for probe in rounds:
        for segment in probe.path[1:]:
            parent[root(segment)] = root(probe.path[0])
    groups: dict[str, list[Probe]] = {}
    for probe in rounds:
        groups.setdefault(root(probe.path[0]), []).append(probe)
    return list(groups.values())


def _margins(chain: Chain, report: Report) -> None:
    """Warn of margins that no probe can show: a round trip is needed, of an echo, a handshake or a datagram."""
    shown = {p.service for p in chain.probes.values() if p.evidence is Evidence.PATH and p.flow.protocol in _TRIPS}
    for name, service in chain.services.items():
        if name not in shown and (service.delay_margin or service.loss_margin):
            report.warn(("services", name, "norm"), "none of its probes measures a round trip, so no margin is watched")


def _unused(chain: Chain, report: Report) -> None:
    """Warn of what nothing measures."""
    probes = chain.probes.values()
    looked_at = {segment for p in probes for segment in (*p.path, *p.back, *p.resolve)}
    looked_at |= {vantage.segment for vantage in chain.vantages.values()}
    served = {p.service for p in probes}
    looking = {p.vantage for p in probes}
    for name in chain.segments.keys() - looked_at:
        report.warn(("segments", name), "no probe crosses it; add it to the paths that do, or add a probe")
    for name in chain.services.keys() - served:
        report.warn(("services", name), f"no probe observes it; write `service: {name}` with the probe that does")
    for name in chain.vantages.keys() - looking:
        report.warn(("vantages", name), "no probe runs here; add probes with `from: " + name + "`")
