"""The resolver against scripted servers: hosts file, cache, search list, failures."""

import asyncio
import struct
from pathlib import Path

import pytest

from probes.kit.address import host_endpoint
from probes.kit.clock import SystemClock
from probes.kit.resolver import ResolveError, SystemResolver, locate
from tests.peers.dns_server import Script, answer, name_server
from tests.peers.probing import Kit, open_descriptors

pytestmark = pytest.mark.peer

ADDRESS = bytes([10, 20, 0, 20])
SYSTEM = SystemClock()


class Ahead:
    """The real clock, set forward by hand: time passes without waiting."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def boot(self) -> float:
        """Return boot time."""
        return SYSTEM.boot() + self.ahead

    def wall(self) -> float:
        """Return wall time."""
        return SYSTEM.wall() + self.ahead


class Place:
    """A hosts file and a resolv.conf of our own."""

    def __init__(self, folder: Path, *, hosts: str = "", resolv: str = "nameserver 127.0.0.1\n") -> None:
        self.hosts = folder / "hosts"
        self.resolv = folder / "resolv.conf"
        self.hosts.write_text(hosts)
        self.resolv.write_text(resolv)
        self.clock = Ahead()

    def resolver(self, port: int) -> SystemResolver:
        """Return a resolver that reads them."""
        return SystemResolver(self.clock, hosts_file=str(self.hosts), resolv_file=str(self.resolv), port=port)


async def fault_of(resolver: SystemResolver, clock: Ahead, name: str, *, within: float = 0.3, family: int = 4) -> str:
    """Return the fault with which `name` does not resolve."""
    start = clock.boot()
    with pytest.raises(ResolveError) as caught:
        await resolver.resolve(name, family, start + within)
    assert clock.boot() < start + within + 0.3
    return caught.value.fault


def test_the_hosts_file_comes_first(tmp_path: Path) -> None:
    """No question is asked for what the hosts file knows; a changed file counts within a second."""
    place = Place(tmp_path, hosts="10.1.1.1 erp.corp.lab erp\n")
    asked: list[bytes] = []

    async def scenario() -> None:
        async with name_server(lambda q: [answer(q, ADDRESS)], asked) as port:
            resolver = place.resolver(port)
            assert await resolver.resolve("ERP.", 4, place.clock.boot() + 1) == "10.1.1.1"
            assert asked == []
            place.hosts.write_text("10.2.2.2 erp\n10.2.2.2 other\n")
            place.clock.ahead += 1
            assert await resolver.resolve("erp", 4, place.clock.boot() + 1) == "10.2.2.2"
            assert await resolver.resolve("erp.corp.lab", 4, place.clock.boot() + 1) == "10.20.0.20"

    asyncio.run(scenario())


def test_literals_need_no_server(tmp_path: Path) -> None:
    """An address is its own answer, in its own family only."""
    place = Place(tmp_path, resolv="")

    async def scenario() -> None:
        resolver = place.resolver(1)
        assert await resolver.resolve("10.0.0.1", 4, SYSTEM.boot() + 1) == "10.0.0.1"
        assert await fault_of(resolver, place.clock, "10.0.0.1", family=6) == "resolve-no-address"

    asyncio.run(scenario())


def test_an_answer_is_kept_for_its_ttl_and_no_longer(tmp_path: Path) -> None:
    """One question per TTL; after it a silent server is a failure, not an old answer."""
    place = Place(tmp_path)
    asked: list[bytes] = []
    replies = [True]

    async def scenario() -> None:
        script: Script = lambda q: [answer(q, ADDRESS, ttl=20)] if replies[0] else []  # noqa: E731
        async with name_server(script, asked) as port:
            resolver = place.resolver(port)
            for _ in range(3):
                assert await resolver.resolve("erp", 4, place.clock.boot() + 1) == "10.20.0.20"
            assert len(asked) == 1
            place.clock.ahead += 19
            await resolver.resolve("erp", 4, place.clock.boot() + 1)
            assert len(asked) == 1
            place.clock.ahead += 2
            await resolver.resolve("erp", 4, place.clock.boot() + 1)
            assert len(asked) == 2
            place.clock.ahead += 21
            replies[0] = False
            assert await fault_of(resolver, place.clock, "erp") == "resolve-timeout"
            replies[0] = True
            assert await resolver.resolve("erp", 4, place.clock.boot() + 1) == "10.20.0.20"

    asyncio.run(scenario())


@pytest.mark.parametrize(("ttl", "kept"), [(0, 1.0), (2**31 - 1, 3600.0)])
def test_ttls_are_bounded(tmp_path: Path, ttl: int, kept: float) -> None:
    """At least a second, at most an hour."""
    place = Place(tmp_path)
    asked: list[bytes] = []

    async def scenario() -> None:
        async with name_server(lambda q: [answer(q, ADDRESS, ttl=ttl)], asked) as port:
            resolver = place.resolver(port)
            await resolver.resolve("erp", 4, place.clock.boot() + 1)
            place.clock.ahead += kept - 0.5
            await resolver.resolve("erp", 4, place.clock.boot() + 1)
            assert len(asked) == 1
            place.clock.ahead += 1
            await resolver.resolve("erp", 4, place.clock.boot() + 1)
            assert len(asked) == 2

    asyncio.run(scenario())


FAILURES: dict[str, tuple[Script, str]] = {
    "silence": (lambda q: [], "resolve-timeout"),
    "nxdomain": (lambda q: [answer(q, rcode=3)], "resolve-nxdomain"),
    "servfail": (lambda q: [answer(q, rcode=2)], "resolve-servfail"),
    "not implemented": (lambda q: [answer(q, rcode=4)], "resolve-servfail"),
    "refused": (lambda q: [answer(q, rcode=5)], "resolve-refused"),
    "no address": (lambda q: [answer(q)], "resolve-no-address"),
    "junk": (lambda q: [q[:2] + b"\xff"], "resolve-malformed"),
    "truncated": (lambda q: [answer(q, flags=0x8380)], "resolve-malformed"),
}


@pytest.mark.parametrize("case", FAILURES)
def test_failures_have_names(tmp_path: Path, case: str) -> None:
    """Every way not to answer has its own fault; what the server said is kept for 5 s, silence is not."""
    script, fault = FAILURES[case]
    place = Place(tmp_path)
    asked: list[bytes] = []

    async def scenario() -> None:
        async with name_server(script, asked) as port:
            resolver = place.resolver(port)
            assert await fault_of(resolver, place.clock, "erp.corp.lab") == fault
            assert await fault_of(resolver, place.clock, "erp.corp.lab") == fault
            said = fault not in ("resolve-timeout", "resolve-malformed")
            assert len(asked) == (1 if said else 2)
            place.clock.ahead += 5.1
            assert await fault_of(resolver, place.clock, "erp.corp.lab") == fault
            assert len(asked) == (2 if said else 3)

    asyncio.run(scenario())


def test_no_server_listens_or_none_is_configured(tmp_path: Path) -> None:
    """A closed port refuses; an empty configuration is our own host's lack."""
    place = Place(tmp_path)

    async def scenario() -> None:
        async with name_server(lambda q: []) as port:
            pass
        assert await fault_of(place.resolver(port), place.clock, "erp") == "resolve-refused"
        place.resolv.write_text("")
        assert await fault_of(place.resolver(port), place.clock, "erp") == "resolver-missing"
        place.resolv.unlink()
        assert await fault_of(place.resolver(port), place.clock, "erp") == "resolver-missing"

    asyncio.run(scenario())


def test_names_that_cannot_be_sent_do_not_exist(tmp_path: Path) -> None:
    """An impossible name is no bug of ours."""
    place = Place(tmp_path)

    assert asyncio.run(fault_of(place.resolver(1), place.clock, "a..b")) == "resolve-nxdomain"


def test_the_second_server_is_asked_when_the_first_is_silent(tmp_path: Path) -> None:
    """As the host is configured: in order, each with its share of the time."""
    place = Place(tmp_path, resolv="nameserver 127.0.0.2\nnameserver 127.0.0.1\n")

    async def scenario() -> None:
        async with name_server(lambda q: [answer(q, ADDRESS)]) as port:
            resolver = place.resolver(port)
            assert await resolver.resolve("erp", 4, place.clock.boot() + 0.4) == "10.20.0.20"

    asyncio.run(scenario())


def test_the_search_list_is_followed(tmp_path: Path) -> None:
    """A short name is tried in each domain before it is tried alone."""
    place = Place(tmp_path, resolv="nameserver 127.0.0.1\nsearch old.lab corp.lab\n")
    asked: list[bytes] = []

    def script(query: bytes) -> list[bytes]:
        return [answer(query, ADDRESS) if b"\x04corp" in query else answer(query, rcode=3)]

    async def scenario() -> None:
        async with name_server(script, asked) as port:
            assert await place.resolver(port).resolve("erp", 4, place.clock.boot() + 1) == "10.20.0.20"
        assert len(asked) == 2

    asyncio.run(scenario())


def test_a_name_without_an_address_is_told_from_none(tmp_path: Path) -> None:
    """Of several candidates, one that exists explains more than those that do not."""
    place = Place(tmp_path, resolv="nameserver 127.0.0.1\nsearch old.lab corp.lab new.lab\n")

    def script(query: bytes) -> list[bytes]:
        return [answer(query) if b"\x04corp" in query else answer(query, rcode=3)]

    async def scenario() -> None:
        async with name_server(script) as port:
            assert await fault_of(place.resolver(port), place.clock, "erp") == "resolve-no-address"

    asyncio.run(scenario())


def test_many_wait_for_one_question(tmp_path: Path) -> None:
    """Fifty probes of one name ask once; a cancelled leader does not take the others along."""
    place = Place(tmp_path)
    asked: list[bytes] = []

    async def scenario() -> None:
        async with name_server(lambda q: [answer(q, ADDRESS)], asked) as port:
            resolver = place.resolver(port)
            before = open_descriptors()
            tasks = [asyncio.create_task(resolver.resolve("erp", 4, place.clock.boot() + 2)) for _ in range(50)]
            await asyncio.sleep(0)
            tasks[0].cancel()
            found = await asyncio.gather(*tasks, return_exceptions=True)
            assert set(found[1:]) == {"10.20.0.20"}
            assert len(asked) <= 2
            assert open_descriptors() == before

    asyncio.run(scenario())


def test_waiting_for_another_honours_the_deadline(tmp_path: Path) -> None:
    """A short deadline ends on time though the one who asks has longer."""
    place = Place(tmp_path)

    async def scenario() -> None:
        async with name_server(lambda q: []) as port:
            resolver = place.resolver(port)
            patient = asyncio.create_task(resolver.resolve("erp", 4, place.clock.boot() + 30))
            await asyncio.sleep(0)
            assert await fault_of(resolver, place.clock, "erp", within=0.1) == "resolve-timeout"
            patient.cancel()
            await asyncio.gather(patient, return_exceptions=True)

    asyncio.run(scenario())


def soa(ttl: int, minimum: int) -> bytes:
    """Return an authority record of the root."""
    data = bytes(2) + struct.pack("!IIIII", 1, 2, 3, 4, minimum)
    return b"\0" + struct.pack("!HHIH", 6, 1, ttl, len(data)) + data


@pytest.mark.parametrize(
    ("ttl", "minimum", "kept"),
    [(20, 600, 20.0), (600, 10, 10.0), (0, 0, 1.0), (9999, 9999, 30.0)],
)
@pytest.mark.parametrize("rcode", [0, 3])
def test_a_denial_is_kept_as_its_zone_says(tmp_path: Path, ttl: int, minimum: int, kept: float, rcode: int) -> None:
    """RFC 2308: the lesser of the SOA's TTL and minimum, between one second and thirty."""
    place = Place(tmp_path)
    asked: list[bytes] = []

    async def scenario() -> None:
        script: Script = lambda q: [answer(q, rcode=rcode, authority=(soa(ttl, minimum),))]  # noqa: E731
        async with name_server(script, asked) as port:
            resolver = place.resolver(port)
            await fault_of(resolver, place.clock, "erp.corp.lab")
            place.clock.ahead += kept - 0.5
            await fault_of(resolver, place.clock, "erp.corp.lab")
            assert len(asked) == 1
            place.clock.ahead += 1
            await fault_of(resolver, place.clock, "erp.corp.lab")
            assert len(asked) == 2

    asyncio.run(scenario())


def test_an_address_of_another_name_is_none(tmp_path: Path) -> None:
    """Only what the asked name leads to counts, whatever else stands in the message."""
    place = Place(tmp_path)

    async def scenario() -> None:
        script: Script = lambda q: [answer(q, ADDRESS).replace(b"\xc0\x0c", b"\x04evil\0", 1)]  # noqa: E731
        async with name_server(script) as port:
            assert await fault_of(place.resolver(port), place.clock, "erp.corp.lab") == "resolve-no-address"

    asyncio.run(scenario())


def test_silence_is_shared_by_those_who_waited_as_long(tmp_path: Path) -> None:
    """Twenty probes of a silent server's name ask one question; who has more time than the asker asks again."""
    place = Place(tmp_path)
    asked: list[bytes] = []

    async def scenario() -> None:
        async with name_server(lambda q: [], asked) as port:
            resolver = place.resolver(port)
            waits = [fault_of(resolver, place.clock, "erp.corp.lab", within=0.2) for _ in range(20)]
            assert set(await asyncio.gather(*waits)) == {"resolve-timeout"}
            assert len(asked) == 1
            short = fault_of(resolver, place.clock, "erp.corp.lab", within=0.1)
            long = fault_of(resolver, place.clock, "erp.corp.lab", within=0.4)
            assert set(await asyncio.gather(short, long)) == {"resolve-timeout"}
            assert len(asked) == 3

    asyncio.run(scenario())


def test_a_refusal_is_shared_by_all_who_wait(tmp_path: Path) -> None:
    """What was said, even in a hurry, is as true for those who have more time."""
    place = Place(tmp_path)
    asked: list[bytes] = []

    async def scenario() -> None:
        async with name_server(lambda q: [q[:2] + b"\xff"], asked) as port:
            resolver = place.resolver(port)
            waits = [fault_of(resolver, place.clock, "erp.corp.lab", within=0.5) for _ in range(20)]
            assert set(await asyncio.gather(*waits)) == {"resolve-malformed"}
            assert len(asked) == 1

    asyncio.run(scenario())


def test_only_a_question_is_a_phase(tmp_path: Path) -> None:
    """An address, a name of the hosts file and a kept answer were not resolved now."""
    place = Place(tmp_path, hosts="10.1.1.1 near\n")

    async def scenario() -> None:
        async with name_server(lambda q: [answer(q, ADDRESS)]) as port:
            kit = Kit(place.resolver(port))
            kept = []
            for host in ("10.0.0.1", "near", "far.corp.lab", "far.corp.lab"):
                phases: dict[str, float] = {}
                kept.append(await locate(kit, host_endpoint(host, 4), SYSTEM.boot() + 1, phases))
                assert (set(phases) == {"resolve"}) == (len(kept) == 3)
            assert kept == ["10.0.0.1", "10.1.1.1", "10.20.0.20", "10.20.0.20"]
            assert kit.resolver.known("far.corp.lab", 4) == "10.20.0.20"
            assert kit.resolver.known("far.corp.lab", 6) is None

    asyncio.run(scenario())


def test_a_changed_configuration_forgets(tmp_path: Path) -> None:
    """What the former servers said does not outlive them."""
    place = Place(tmp_path)
    asked: list[bytes] = []

    async def scenario() -> None:
        async with name_server(lambda q: [answer(q, ADDRESS)], asked) as port:
            resolver = place.resolver(port)
            await resolver.resolve("erp.corp.lab", 4, place.clock.boot() + 1)
            place.resolv.write_text("nameserver 127.0.0.1\noptions ndots:2\n")
            place.clock.ahead += 1
            await resolver.resolve("erp.corp.lab", 4, place.clock.boot() + 1)
            assert len(asked) == 2

    asyncio.run(scenario())
