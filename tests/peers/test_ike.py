"""The ike probe over real sockets: scripted responders on loopback, closed ports, spacing, its packet."""

import asyncio
import resource
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from probes import ike
from probes.ike import IkeRunner, Settings
from probes.kit.packets import PacketError, Template
from probes.kit.result import Outcome, Result, Stage
from tests.peers.probing import CLOCK, Kit, Names, open_descriptors
from tests.probes.ike_wire import KEY_EXCHANGE, SA, message, notify

pytestmark = pytest.mark.peer

# As the workshop builds it, header and nonce alone: the responders here do not look at the proposal.
TEMPLATE = Template(packet=bytes(18) + b"\x22\x08" + bytes(128), spi=0, nonce=116, nonce_bytes=32)
# request -> the datagrams sent back, in order
Script = Callable[[bytes], list[bytes]]


class LeapingClock:
    """The host's clock, with boot time that can be moved on."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def boot(self) -> float:
        """Return boot time, moved on."""
        return CLOCK.boot() + self.ahead

    def wall(self) -> float:
        """Return wall time."""
        return CLOCK.wall()


class LeapingKit:
    """A kit whose clock can leap."""

    def __init__(self, resolver: Names | None = None) -> None:
        self.clock = LeapingClock()
        self.resolver = resolver or Names()


async def built() -> Template:
    """Return the packet at once."""
    return TEMPLATE


@asynccontextmanager
async def responder(script: Script, asked: list[bytes] | None = None, family: int = 4) -> AsyncIterator[int]:
    """Serve `script` over UDP on a free loopback port; requests are added to `asked`."""
    loop = asyncio.get_running_loop()
    kind, host = (socket.AF_INET, "127.0.0.1") if family == 4 else (socket.AF_INET6, "::1")
    with socket.socket(kind, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
        sock.bind((host, 0))

        def reply() -> None:
            request, sender = sock.recvfrom(65535)
            if asked is not None:
                asked.append(request)
            for one in script(request):
                with suppress(ConnectionRefusedError):  # the one who asked has gone
                    sock.sendto(one, sender)

        loop.add_reader(sock, reply)
        try:
            yield sock.getsockname()[1]
        finally:
            loop.remove_reader(sock)


@asynccontextmanager
async def opened(
    kit: Kit | LeapingKit | None = None, build: Callable[[], Awaitable[Template]] = built
) -> AsyncIterator[IkeRunner]:
    """Open a runner with a given packet."""
    runner = IkeRunner(kit or Kit(), build)
    try:
        yield runner
    finally:
        await runner.close()


def asked_of(script: Script, *, within: float = 0.4, **settings: Any) -> Result:
    """Return the result of one attempt at a responder."""

    async def scenario() -> Result:
        async with responder(script) as port, opened() as runner:
            return await runner.attempt(Settings(target=f"127.0.0.1:{port}", **settings), CLOCK.boot() + within)

    return asyncio.run(scenario())


def refusal(request: bytes, kind: int = 14) -> bytes:
    """Return the answer of a peer that refuses."""
    return message(notify(kind), spi=request[:8])


ALIVE: dict[str, tuple[Script, dict[str, Any], float | None, str]] = {
    "refused proposal": (lambda r: [refusal(r)], {}, 14.0, "NO_PROPOSAL_CHOSEN"),
    "cookie": (lambda r: [refusal(r, 16390)], {}, 16390.0, "COOKIE: "),
    "invalid ke": (lambda r: [refusal(r, 17)], {}, 17.0, "INVALID_KE_PAYLOAD"),
    "no notification": (lambda r: [message(spi=r[:8])], {}, None, "no notification"),
    "accepted": (lambda r: [message((SA, b""), (KEY_EXCHANGE, b""), spi=r[:8])], {}, None, "half-open"),
    "marked": (lambda r: [bytes(4) + refusal(r[4:])], {"nat_traversal": True}, 14.0, "NO_PROPOSAL_CHOSEN"),
    "after nonsense": (lambda r: [b"x", message(notify(4)), r, refusal(r)], {}, 14.0, "NO_PROPOSAL_CHOSEN"),
    "twice": (lambda r: [refusal(r), refusal(r, 17)], {}, 14.0, "NO_PROPOSAL_CHOSEN"),
}


@pytest.mark.parametrize("case", ALIVE)
def test_any_answer_is_a_live_daemon(case: str) -> None:
    """What it says does not matter; it is named, and noise before it is ignored."""
    script, settings, number, words = ALIVE[case]
    result = asked_of(script, within=2.0, **settings)
    assert result.outcome is Outcome.OK
    assert result.values.get("ike_notify_type") == number
    assert words in result.detail
    assert set(result.phases) == {"answer"}
    assert result.packet_bytes is not None
    assert 28 < result.packet_bytes <= ike.flow(Settings(target="192.0.2.1", nat_traversal=True)).carry_bytes


def test_a_cookie_is_never_returned() -> None:
    """A peer that asks for its cookie gets no second packet: returned cookies held a real tunnel down."""
    asked: list[bytes] = []

    async def scenario() -> None:
        async with responder(lambda r: [refusal(r, 16390)] * 3, asked) as port, opened() as runner:
            settings = Settings(target=f"127.0.0.1:{port}")
            results = [await runner.attempt(settings, CLOCK.boot() + 1.0) for _ in range(2)]
            assert [result.fault for result in results] == [None, "too-soon"]
            await asyncio.sleep(0.05)

    asyncio.run(scenario())
    assert len(asked) == 1


NOT_ALIVE: dict[str, tuple[Script, dict[str, Any], str, Stage, bool]] = {
    "silence": (lambda r: [], {}, "timeout", Stage.CONNECT, False),
    "empty": (lambda r: [b""], {}, "malformed", Stage.ANSWER, False),
    "foreign spi": (lambda r: [message(notify(14))], {}, "malformed", Stage.ANSWER, False),
    "an echo service": (lambda r: [r], {}, "malformed", Stage.ANSWER, True),
    "a broken answer": (lambda r: [refusal(r)[:-1]], {}, "malformed", Stage.ANSWER, True),
    "foreign after broken": (lambda r: [refusal(r)[:-1], b"x"], {}, "malformed", Stage.ANSWER, True),
    "marker missing": (lambda r: [refusal(r[4:])], {"nat_traversal": True}, "malformed", Stage.ANSWER, False),
}


@pytest.mark.parametrize("case", NOT_ALIVE)
def test_what_is_no_answer(case: str) -> None:
    """Silence accuses the path; other bytes only accuse the responder if they carry our SPI."""
    script, settings, fault, stage, answered = NOT_ALIVE[case]
    result = asked_of(script, **settings)
    assert (result.outcome, result.fault, result.stage) == (Outcome.FAILED, fault, stage)
    assert result.answered is answered
    assert result.seconds is not None
    assert 0.4 <= result.seconds < 0.7


@pytest.mark.parametrize("family", [4, 6])
def test_a_closed_port_refuses(family: int) -> None:
    """ICMP port unreachable is the host's own word: no daemon there."""
    kind, host = (socket.AF_INET, "127.0.0.1") if family == 4 else (socket.AF_INET6, "[::1]")
    with socket.socket(kind, socket.SOCK_DGRAM) as sock:
        sock.bind((host.strip("[]"), 0))
        port = sock.getsockname()[1]

    async def scenario() -> Result:
        async with opened() as runner:
            return await runner.attempt(Settings(target=f"{host}:{port}"), CLOCK.boot() + 2)

    result = asyncio.run(scenario())
    assert (result.outcome, result.fault, result.stage) == (Outcome.FAILED, "refused", Stage.CONNECT)


def test_each_request_is_fresh_and_the_first_is_real() -> None:
    """SPI and nonce change, nothing else does; with the workshop's packet; names and v6 work."""

    async def scenario() -> list[bytes]:
        asked: list[bytes] = []
        kit = LeapingKit(Names({"gw": "::1"}))
        async with responder(lambda r: [refusal(r)], asked, family=6) as port, ike.open(kit) as runner:
            settings = Settings(target=f"gw:{port}", family=6)
            for _ in range(3):
                result = await runner.attempt(settings, kit.clock.boot() + 1)
                assert result.outcome is Outcome.OK
                assert set(result.phases) == {"resolve", "answer"}
                kit.clock.ahead += ike.SPACING_SECONDS
            lost = await runner.attempt(Settings(target="lost"), kit.clock.boot() + 1)
            assert (lost.outcome, lost.stage) == (Outcome.FAILED, Stage.RESOLVE)
        return asked

    asked = asyncio.run(scenario())
    assert len(asked) == 3
    assert {len(request) for request in asked} == {ike.REQUEST_BYTES}
    assert len({request[:8] for request in asked}) == 3
    assert len({request[-32:] for request in asked}) == 3
    assert len({request[8:-32] for request in asked}) == 1


def test_one_packet_to_one_target_in_thirty_seconds() -> None:
    """Earlier attempts send nothing and say so, fresh or not, at once or not; other targets are free."""

    async def scenario() -> None:
        asked: list[bytes] = []
        kit = LeapingKit(Names({"gw": "127.0.0.1"}))
        async with responder(lambda r: [refusal(r)], asked) as port, opened(kit) as runner:

            async def outcome(host: str = "127.0.0.1", *, fresh: bool = False) -> str | None:
                settings = Settings(target=f"{host}:{port}")
                return (await runner.attempt(settings, kit.clock.boot() + 1, fresh=fresh)).fault

            first, second = await asyncio.gather(outcome(), outcome("gw"))
            assert (first, second) == (None, "too-soon")
            for ahead, fault in ((15.0, "too-soon"), (14.5, "too-soon"), (0.5, None), (29.9, None), (1.0, "too-soon")):
                kit.clock.ahead += ahead
                assert await outcome("gw", fresh=True) == fault
            assert len(asked) == 3
            assert await outcome("127.0.0.2") == "refused"
            kit.clock.ahead += ike.SPACING_SECONDS
            assert await outcome("127.0.0.3") == "refused"
            assert list(runner._sent) == [("127.0.0.3", port)]

    asyncio.run(scenario())


def test_silence_counts_too() -> None:
    """A packet that got no answer was a packet; an attempt that could not send none."""

    async def scenario() -> None:
        kit = LeapingKit()
        async with responder(lambda r: []) as port, opened(kit) as runner:
            settings = Settings(target=f"127.0.0.1:{port}")
            results = [await runner.attempt(settings, kit.clock.boot() + within) for within in (-0.1, 0.1, 0.1)]
            assert [result.fault for result in results] == ["no-time", "timeout", "too-soon"]

    asyncio.run(scenario())


def test_a_little_early_waits_unless_the_deadline_is_near() -> None:
    """Milliseconds of a scheduler make no gap; the deadline comes first all the same."""

    async def scenario() -> None:
        kit = LeapingKit()
        async with responder(lambda r: [refusal(r)]) as port, opened(kit) as runner:
            settings = Settings(target=f"127.0.0.1:{port}")
            assert (await runner.attempt(settings, kit.clock.boot() + 1)).fault is None
            kit.clock.ahead += 29.8
            assert (await runner.attempt(settings, kit.clock.boot() + 0.05)).fault == "too-soon"
            late = await asyncio.gather(*(runner.attempt(settings, kit.clock.boot() + 1) for _ in range(3)))
            assert sorted(str(result.fault) for result in late) == ["None", "too-soon", "too-soon"]

    asyncio.run(scenario())


def test_without_its_packet_it_cannot_look() -> None:
    """A build that failed is unknown, and tried again after a minute; one under way is waited for."""

    async def scenario() -> None:
        kit = LeapingKit()
        tries = 0

        async def build() -> Template:
            nonlocal tries
            tries += 1
            await asyncio.sleep(0.05)
            if tries == 1:
                raise PacketError("ended", "exit status 1: no scapy")
            return TEMPLATE

        async with responder(lambda r: [refusal(r)]) as port, opened(kit, build) as runner:
            settings = Settings(target=f"127.0.0.1:{port}")
            results = []
            for within, ahead in ((0.01, 0.0), (1.0, 0.0), (1.0, 61.0), (1.0, 0.0)):
                kit.clock.ahead += ahead
                results.append(await runner.attempt(settings, kit.clock.boot() + within))
            assert [result.fault for result in results] == ["no-packet", "no-packet", None, "too-soon"]
            assert {result.outcome for result in results[:2]} == {Outcome.UNKNOWN}
            assert "being built" in results[0].detail
            assert "no scapy" in results[1].detail
            assert tries == 2

    asyncio.run(scenario())


def test_a_bug_in_building_is_raised() -> None:
    """What nobody foresaw is the agent's to count, not a fault of the network."""

    async def build() -> Template:
        raise ZeroDivisionError

    async def scenario() -> None:
        async with opened(build=build) as runner:
            with pytest.raises(ZeroDivisionError):
                await runner.attempt(Settings(target="127.0.0.1:5000"), CLOCK.boot() + 1)

    asyncio.run(scenario())


def test_cancelled_while_opening_it_leaves_nothing() -> None:
    """An agent that stops while the packet is built leaves no child and no descriptor."""

    async def scenario() -> None:
        before = open_descriptors()

        async def opening() -> None:
            async with ike.open(Kit()):
                raise AssertionError

        task = asyncio.create_task(opening())
        await asyncio.sleep(0.02)
        assert open_descriptors() > before
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        assert open_descriptors() == before

    asyncio.run(scenario())


def test_without_descriptors_it_cannot_look() -> None:
    """EMFILE is unknown and no packet: the next attempt need not wait."""

    async def scenario() -> None:
        async with responder(lambda r: [refusal(r)]) as port, opened() as runner:
            settings = Settings(target=f"127.0.0.1:{port}")
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
            try:
                blind = await runner.attempt(settings, CLOCK.boot() + 1)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            assert (blind.outcome, blind.fault) == (Outcome.UNKNOWN, "no-descriptors")
            assert (await runner.attempt(settings, CLOCK.boot() + 1)).outcome is Outcome.OK

    asyncio.run(scenario())


def test_a_broadcast_address_is_our_own_fault() -> None:
    """What the kernel does not send says nothing of the network."""

    async def scenario() -> Result:
        async with opened() as runner:
            return await runner.attempt(Settings(target="127.255.255.255:5000"), CLOCK.boot() + 1)

    result = asyncio.run(scenario())
    assert (result.outcome, result.fault) == (Outcome.UNKNOWN, "no-permission")


def test_a_flood_ends_at_the_deadline() -> None:
    """A responder that never stops cannot hold an attempt."""

    async def scenario() -> None:
        async with responder(lambda r: [b"x"] * 500) as port, opened() as runner:
            began = CLOCK.boot()
            result = await runner.attempt(Settings(target=f"127.0.0.1:{port}"), began + 0.3)
            assert result.fault == "malformed"
            assert CLOCK.boot() - began < 0.6

    asyncio.run(scenario())
