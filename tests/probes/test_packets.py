"""The packet workshop with its real child, and with children that hang, die and talk nonsense."""

import asyncio
import gc
import subprocess
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.ike import REFUSED, REQUEST_BYTES
from probes.kit import ike_message, packets
from probes.kit.packets import PacketError, Template, Transform, Workshop, open_workshop
from tests.probes.ike_wire import OURS, bodies, message, notifies, notify

# AES-GCM-16 with 128 bits, PRF-HMAC-SHA2-256, Curve25519: what a sane peer accepts.
ACCEPTABLE = (Transform(type=1, id=20, key_bits=128), Transform(type=2, id=5), Transform(type=4, id=31))


def run(scenario: Coroutine[Any, Any, Any]) -> Any:
    """Run a scenario in a loop of its own."""
    return asyncio.run(scenario)


def child(code: str) -> tuple[str, ...]:
    """Return the command of a child that runs `code`."""
    return (sys.executable, "-I", "-S", "-c", code)


@pytest.fixture(scope="module")
def dissect() -> Iterator[Callable[[bytes], dict[str, Any]]]:
    """Give scapy's reading of bytes, from one child for the whole module."""
    with asyncio.Runner() as runner:
        opened = open_workshop()
        workshop = runner.run(opened.__aenter__())
        yield lambda data: runner.run(workshop.dissect(data))
        runner.run(opened.__aexit__(None, None, None))


def scapy_notify(layers: list[dict[str, Any]]) -> int | None:
    """Return the type of the first notification in scapy's reading."""
    return next((layer["fields"]["type"] for layer in layers if layer["layer"] == "IKEv2_Notify"), None)


def descriptors() -> int:
    """Return how many descriptors this process holds."""
    return len(list(Path("/proc/self/fd").iterdir()))


def children() -> set[str]:
    """Return the ids of this process's children, zombies among them."""
    return {pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()}


def test_the_request_is_what_scapy_reads(dissect: Callable[[bytes], dict[str, Any]]) -> None:
    """The template is one IKE_SA_INIT whose proposal holds nothing but ids that nobody knows."""

    async def scenario() -> Template:
        async with open_workshop() as workshop:
            return await workshop.build_ike_sa_init(REFUSED)

    template: Template = run(scenario())
    spi, nonce = b"SPISPISP", bytes(range(32))
    packet = template.patched(spi, nonce)
    header, sa, key, last = dissect(packet)["layers"]
    assert len(packet) == REQUEST_BYTES
    assert (header["fields"]["init_SPI"], header["fields"]["exch_type"]) == (spi.hex(), 34)
    assert (header["fields"]["flags"], header["fields"]["length"]) == (8, len(packet))
    (proposal,) = sa["fields"]["prop"]
    transforms = [row["fields"] for row in proposal["fields"]["trans"]]
    assert [(t["transform_type"], t["transform_id"]) for t in transforms] == [(t.type, t.id) for t in REFUSED]
    assert all(t["transform_id"] >= 1024 for t in transforms)
    assert key["fields"]["group"] == REFUSED[-1].id
    assert last["fields"]["nonce"] == nonce.hex()


def test_a_key_length_is_an_attribute(dissect: Callable[[bytes], dict[str, Any]]) -> None:
    """A transform with a key length says so."""

    async def scenario() -> Template:
        async with open_workshop() as workshop:
            return await workshop.build_ike_sa_init(ACCEPTABLE, nonce_bytes=16)

    template: Template = run(scenario())
    (proposal,) = dissect(template.packet)["layers"][1]["fields"]["prop"]
    first = proposal["fields"]["trans"][0]["fields"]
    assert (first["length"], first["key_length"] & 0xFFFF) == (12, 128)
    assert template.nonce_bytes == 16


@pytest.mark.parametrize(("spi", "nonce"), [(7, 4), (9, 4), (8, 3), (8, 5)])
def test_a_patch_has_its_length(spi: int, nonce: int) -> None:
    """Ids of another length would move the rest of the packet."""
    template = Template(packet=bytes(20), spi=0, nonce=10, nonce_bytes=4)
    with pytest.raises(ValueError, match="not 8 and 4"):
        template.patched(bytes(spi), bytes(nonce))
    assert template.patched(b"s" * 8, b"n" * 4) == b"s" * 8 + b"\0\0" + b"n" * 4 + bytes(6)


@given(st.lists(notifies | bodies.filter(lambda row: row[0] in (43, 40)), max_size=5))
def test_scapy_reads_the_same_answer(
    dissect: Callable[[bytes], dict[str, Any]], payloads: list[tuple[int, bytes]]
) -> None:
    """What our few lines take from an answer is what scapy takes from it."""
    data = message(*payloads)
    found = ike_message.read_answer(data, OURS)
    assert isinstance(found, ike_message.Answer)
    assert found.notify == scapy_notify(dissect(data)["layers"])


@given(st.binary(max_size=200))
def test_scapy_gets_any_bytes(dissect: Callable[[bytes], dict[str, Any]], data: bytes) -> None:
    """Nonsense is dissected or refused, and the child goes on."""
    for one in (data, message(notify(14))[:28] + data):
        try:
            fault = None if "layers" in dissect(one) else "no layers"
        except PacketError as error:
            fault = error.fault
        assert fault in (None, "refused")


def test_a_question_that_cannot_be_answered(dissect: Callable[[bytes], dict[str, Any]]) -> None:
    """A refusal says why, and the next question has its answer."""

    async def scenario() -> None:
        async with open_workshop() as workshop:
            with pytest.raises(PacketError, match=r"refused: .*StopIteration") as caught:
                await workshop.build_ike_sa_init(REFUSED[:3])
            assert caught.value.fault == "refused"
            assert (await workshop.build_ike_sa_init(REFUSED)).packet

    run(scenario())


BAD: dict[str, tuple[tuple[str, ...], str, str]] = {
    "hangs": (child("import time; time.sleep(60)"), "late", "no answer in 0.5 s"),
    "ignores its end": (
        child("import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"),
        "late",
        "no answer",
    ),
    "dies": (child("import sys; sys.exit('no module named scapy')"), "ended", "exit status 1: no module named scapy"),
    "dies in silence": (child("import os; os._exit(3)"), "ended", "exit status 3"),
    "ends when asked": (child("input()"), "ended", "exit status 0"),
    "is killed": (child("import os; os.kill(os.getpid(), 9)"), "ended", "exit status -9"),
    "closes": (child("import os, time; os.close(0); os.close(1); time.sleep(60)"), "ended", "closed its output"),
    "no JSON": (child("print('hello', flush=True); input(); input()"), "garbled", "Expecting value"),
    "no object": (child("print('[]', flush=True); input(); input()"), "garbled", "not an object"),
    "no UTF-8": (
        child("import os; os.write(1, bytes([34, 255, 34, 10])); input(); input()"),
        "garbled",
        "codec",
    ),
    "another object": (child("print('{}', flush=True); input(); input()"), "garbled", "missing required field"),
    "no hexadecimal": (
        child("""print('{"packet": "xy", "spi": 0, "nonce": 0}', flush=True); input(); input()"""),
        "garbled",
        "hexadecimal",
    ),
    "floods": (child("while True: print('x' * 65536, end='')"), "garbled", "more than"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_child(case: str) -> None:
    """Each is a typed error in time, is killed and asked nothing more, and leaves nothing."""
    command, fault, words = BAD[case]
    seconds = 0.5 if fault == "late" else 10.0

    async def scenario() -> None:
        before = (children(), descriptors())
        async with open_workshop(seconds=seconds, command=command) as workshop:
            for _ in range(2):
                with pytest.raises(PacketError) as caught:
                    await workshop.build_ike_sa_init(REFUSED)
                assert caught.value.fault == fault
                assert words in caught.value.detail
        assert (children(), descriptors()) == before

    run(scenario())
    gc.collect()  # an open socket would warn here


def test_a_child_that_cannot_start() -> None:
    """A missing program is a typed error, and nothing stays open."""

    async def scenario() -> None:
        before = descriptors()
        with pytest.raises(PacketError, match="no-child"):
            async with open_workshop(command=("/nonexistent/python",)):
                raise AssertionError
        assert descriptors() == before

    run(scenario())
    gc.collect()


@pytest.mark.parametrize("question", [lambda w: w.dissect(b""), lambda w: w.build_ike_sa_init(REFUSED)])
def test_a_cancelled_question_ends_the_child(question: Callable[[Workshop], Awaitable[object]]) -> None:
    """A late answer must not be taken for the next question's."""

    async def scenario() -> None:
        async with open_workshop(command=child("import time; time.sleep(60)")) as workshop:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await question(workshop)
            with pytest.raises(PacketError, match="did not wait"):
                await question(workshop)

    run(scenario())


def test_a_cancelled_caller_leaves_no_child() -> None:
    """Cancelled in the middle of the first question, the process is gone at once."""

    async def work() -> None:
        async with open_workshop() as workshop:
            await workshop.build_ike_sa_init(REFUSED)

    async def scenario() -> None:
        before = children()
        task = asyncio.create_task(work())
        await asyncio.sleep(0.05)
        assert children() > before
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        assert children() == before

    run(scenario())


def test_questions_at_once_wait_for_each_other() -> None:
    """Each caller gets the answer to its own question."""

    async def scenario() -> None:
        async with open_workshop() as workshop:
            messages = [message(notify(kind)) for kind in range(1, 30)]
            found = await asyncio.gather(*(workshop.dissect(one) for one in messages))
            assert [scapy_notify(one["layers"]) for one in found] == list(range(1, 30))

    run(scenario())


def test_scapy_stays_in_the_child() -> None:
    """The process that asks does not load it, and does not pass its environment on."""
    asks = "import sys, probes.kit.packets, probes.ike, probes.path, probes.pmtu; sys.exit('scapy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", asks], check=False).returncode == 0
    assert packets.CHILD[:2] == (sys.executable, "-I")
    assert Path(packets.CHILD[2]).is_file()
