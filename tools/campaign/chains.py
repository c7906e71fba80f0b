"""Random chains and DAGs with roles: who owns what, what is probed from where."""

from collections.abc import Sequence
from random import Random

from agent.model import Chain, Confirm, Party, Probe, Segment, Vantage
from probes.kit.spec import Flow

PARTIES = ("a", "b", "c", "d", "e")
SMALL, LARGE = 84, 1500
# Most of what the modelling guide asks for is there: an answer of each segment, something behind it.
PROBED = 0.9
TOPOLOGIES = ("chain, 1 vantage", "chain, 2 vantages", "DAG, 2-3 vantages")


class Builder:
    """Collects the segments, vantages and probes of one chain."""

    def __init__(self, pick: Random, *, plain: bool) -> None:
        self.pick = pick
        self.plain = plain
        self.segments: dict[str, Segment] = {}
        self.vantages: dict[str, Vantage] = {}
        self.probes: dict[str, Probe] = {}

    def segment(self, name: str, owners: tuple[str, ...] | None = None, *, filters: bool = False) -> str:
        """Add a segment once; its owners are drawn unless they are given."""
        if name not in self.segments:
            gate = filters and not self.plain
            self.segments[name] = Segment(id=name, owners=owners or self._owners(), side="cloud", filters=gate)
        return name

    def _owners(self) -> tuple[str, ...]:
        drawn = 1.0 if self.plain else self.pick.random()
        if drawn < 0.05:
            return ("unassigned",)
        if drawn < 0.13:
            return tuple(sorted(self.pick.sample(PARTIES, 2)))
        return (self.pick.choice(PARTIES),)

    def vantage(self, name: str, operator: str) -> str:
        """Add a vantage with a segment of its own, and return that segment."""
        home = self.segment(f"{name}-host", (operator,))
        self.vantages[name] = Vantage(id=name, segment=home, operator=operator)
        return home

    def ping(self, vantage: str, path: Sequence[str], address: str, size: int = SMALL) -> None:
        """Add a ping to the last segment of `path`."""
        flow = Flow(host=address, protocol="icmp", function="echo", connect_bytes=size, carry_bytes=size)
        self._add(vantage, path, flow)

    def web(self, vantage: str, path: Sequence[str], address: str) -> None:
        """Add a web request: small packets until it is connected, large ones after."""
        flow = Flow(host=address, protocol="tcp", port=443, function="GET /", connect_bytes=60, carry_bytes=LARGE)
        self._add(vantage, path, flow)

    def _add(self, vantage: str, path: Sequence[str], flow: Flow) -> None:
        known = {(p.vantage, p.path, p.flow) for p in self.probes.values()}
        if (vantage, tuple(path), flow) in known:
            return
        name = f"{vantage}{len(self.probes)}"
        self.probes[name] = Probe(
            id=name,
            type="icmp",
            vantage=vantage,
            path=tuple(path),
            interval=1.0,
            timeout=1.0,
            settings=None,
            flow=flow,
            target=flow.host,
        )

    def walk(self, vantage: str, path: Sequence[str]) -> None:
        """Measure along a path: each of its segments answers, most have something behind them, the end serves."""
        for end in range(2, len(path) + 1):
            here = path[end - 1]
            if end == len(path):
                self.web(vantage, path, f"app.{here}")
            elif self.pick.random() < PROBED:
                self.ping(vantage, path[:end], f"addr.{here}")
                if self.pick.random() < PROBED:
                    leaf = self.segment(f"leaf-{here}")
                    self.web(vantage, (*path[:end], leaf), f"app.{leaf}")

    def chain(self, confirm: Confirm) -> Chain:
        """Return the chain."""
        return Chain(
            version=1,
            effective="2027-01-01T00:00",
            timezone="UTC",
            director=PARTIES[0],
            parties={p: Party(id=p, name=p.upper()) for p in PARTIES},
            segments=self.segments,
            vantages=self.vantages,
            services={},
            confirm=confirm,
            probes=self.probes,
            hash="0" * 64,
        )


def random_chain(topology: str, pick: Random, confirm: Confirm, *, plain: bool = False) -> Chain:
    """Return a random chain of one of TOPOLOGIES; a plain one has neither filters nor joint or unowned segments."""
    build = Builder(pick, plain=plain)
    if topology.startswith("chain"):
        _line(build, both=topology.endswith("2 vantages"))
    else:
        _dag(build)
    return build.chain(confirm)


def _line(build: Builder, *, both: bool) -> None:
    length = build.pick.randint(3, 6)
    way = [build.segment(f"s{n}", filters=build.pick.random() < 0.15) for n in range(1, length + 1)]
    build.walk("v", (build.vantage("v", build.pick.choice(PARTIES)), *way, build.segment("app-v")))
    if both:
        home = build.vantage("w", build.pick.choice(PARTIES))
        build.walk("w", (home, *way[::-1], build.segment("app-w")))
        build.web("w", (home, "app-v"), "app.app-v")


def _dag(build: Builder) -> None:
    levels = [[build.segment(f"s{depth}{n}") for n in range(build.pick.randint(1, 3))] for depth in range(3)]
    for number in range(build.pick.randint(2, 3)):
        home = build.vantage(f"v{number}", build.pick.choice(PARTIES))
        for turn in range(build.pick.randint(2, 3)):
            way = [build.pick.choice(level) for level in levels]
            build.walk(f"v{number}", (home, *way, build.segment(f"app{number}{turn}")))


__all__ = ["PARTIES", "TOPOLOGIES", "random_chain"]
