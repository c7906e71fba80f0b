"""`demarc doctor` before VICI sockets of every kind: what it says, and what it tells to do."""

import asyncio
import os
from pathlib import Path

import msgspec
import pytest
from vici.protocol import Message, Packet

from agent.daemon.examination_vici import ANSWER_SECONDS, vici
from agent.daemon.finding import Finding
from agent.model import Probe
from probes.kit.vici import frame
from probes.strongswan import Settings, flow
from tests.agent.daemon.world import make_probe
from tests.peers.test_strongswan_socket import Charon, Handler, serving
from tests.peers.test_vici_gate import gate

pytestmark = pytest.mark.peer


class Versioned(Charon):
    """A daemon that knows its version."""

    def answers(self, kind: int, name: str) -> list[bytes]:
        """Return the packets that answer one packet."""
        if kind == Packet.CMD_REQUEST and name == "version":
            return [bytes([Packet.CMD_RESPONSE]) + Message.serialize({"daemon": "charon", "version": "5.9.8"})]
        if kind == Packet.CMD_REQUEST and name == "demarc-gate":
            return [bytes([Packet.CMD_UNKNOWN])]
        return super().answers(kind, name)


def probe(path: Path, connection: str | None = "site") -> Probe:
    """Return a strongswan probe of this socket."""
    settings = Settings(target=str(path), connection=connection)
    return msgspec.structs.replace(make_probe("tunnel"), type="strongswan", settings=settings, flow=flow(settings))


async def found(*probes: Probe) -> list[Finding]:
    """Return what the doctor finds."""
    return [finding async for finding in vici(probes)]


def test_the_gate_is_as_it_should_be(tmp_path: Path) -> None:
    """Through the gate all is well; it says that only this gateway's tunnels are seen."""

    async def scenario() -> None:
        async with serving(tmp_path / "vici", Versioned()), gate(tmp_path / "vici", tmp_path / "gate"):
            (finding,) = await found(probe(tmp_path / "gate"))
            assert (finding.state, finding.remedy) == ("ok", "")
            assert "charon 5.9.8, 1 children configured, 1 SAs of children" in finding.text
            assert "sees only its own traffic" in finding.text

    asyncio.run(scenario())


def test_charons_own_socket_is_a_warning(tmp_path: Path) -> None:
    """It works, and it is full control of the VPN."""

    async def scenario() -> None:
        async with serving(tmp_path / "vici", Versioned()):
            findings = await found(probe(tmp_path / "vici"))
            assert [finding.state for finding in findings] == ["ok", "warn"]
            assert "demarc-vici.socket" in findings[1].remedy

    asyncio.run(scenario())


@pytest.mark.parametrize("connection", ["branch", None])
def test_a_tunnel_that_ends_elsewhere_is_a_warning(tmp_path: Path, connection: str | None) -> None:
    """A connection that is not configured here, and a daemon without any, are told."""

    class Empty(Versioned):
        def answers(self, kind: int, name: str) -> list[bytes]:
            """Know no connection."""
            return [bytes([Packet.CMD_RESPONSE])] if (kind, name) == (0, "list-conns") else super().answers(kind, name)

    async def scenario() -> None:
        async with serving(tmp_path / "vici", Versioned() if connection else Empty()):
            finding = (await found(probe(tmp_path / "vici", connection)))[0]
            assert finding.state == "warn"
            assert ("branch" if connection else "no tunnel ends here") in finding.text

    asyncio.run(scenario())


async def _truncating(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(4)
    writer.write(frame(bytes([Packet.CMD_RESPONSE]) + Message.serialize({"version": "5.9.8"})[:-2]))
    await reader.read()


async def _leaving(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(4)
    writer.close()


async def _silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    while await reader.read(100):
        pass


TROUBLES: dict[str, tuple[Handler, str]] = {
    "cut messages": (_truncating, "cuts its messages"),
    "a restarting daemon": (_leaving, "charon restarts"),
    "a hanging daemon": (_silent, "load and the state"),
}


@pytest.mark.parametrize("name", TROUBLES)
def test_a_socket_that_does_not_answer_fails_with_its_remedy(tmp_path: Path, name: str) -> None:
    """Each kind of trouble has words of its own, within the time for an answer."""
    handler, remedy = TROUBLES[name]

    async def scenario() -> None:
        async with serving(tmp_path / "vici", handler):
            async with asyncio.timeout(ANSWER_SECONDS + 5.0):
                (finding,) = await found(probe(tmp_path / "vici"))
            assert finding.state == "fail"
            assert remedy in finding.remedy

    asyncio.run(scenario())


def test_a_gate_without_its_daemon_is_told_from_no_gate(tmp_path: Path) -> None:
    """Whoever listens and leaves at once is no missing socket: the remedy is to look at strongSwan."""

    async def scenario() -> None:
        async with gate(tmp_path / "none", tmp_path / "gate"):
            (finding,) = await found(probe(tmp_path / "gate"))
            assert (finding.state, "closes the connection" in finding.text) == ("fail", True)
            assert "the gate cannot reach it" in finding.remedy

    asyncio.run(scenario())


def test_no_socket_and_no_permission_are_told_apart(tmp_path: Path) -> None:
    """The remedy of a missing socket is to start something, that of a closed one is the gate."""

    async def scenario() -> None:
        (finding,) = await found(probe(tmp_path / "none"))
        assert "start strongSwan" in finding.remedy
        async with serving(tmp_path / "vici", Versioned()):
            (tmp_path / "vici").chmod(0)
            privileged = os.geteuid() == 0
            if privileged:
                os.seteuid(65534)  # nobody
            try:
                (finding,) = await found(probe(tmp_path / "vici"))
            finally:
                if privileged:
                    os.seteuid(0)
        assert "permission denied" in finding.text
        assert "target: /run/demarc-vici.sock" in finding.remedy

    asyncio.run(scenario())
