"""A real Alertmanager: one notification for each incident and addressed party, honest endings, templates."""

import asyncio
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.alerts import Notifier
from agent.alerts.notifier import Pace
from agent.alerts.push import PushError, push
from agent.incident.value import Event, Incident, Transition
from tests.agent.samples import CARRIER, CHAIN, CLOSED, VPN
from tests.peers.monitoring import ALERTMANAGER, Webhook, alertmanager, free_port, until

pytestmark = pytest.mark.peer

CONFIG = """
route:
  receiver: hook
  group_by: [incident, to]
  group_wait: 1s
  group_interval: 1s
  repeat_interval: 1h
receivers:
  - name: hook
    webhook_configs: [{{url: "{url}", send_resolved: true}}]
"""
# Long enough for a second notification to show itself: several group intervals.
QUIET_SECONDS = 3.5


class Told:
    """A notifier that runs in a loop of its own; transitions from the test's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, notifier: Notifier) -> None:
        self._loop = loop
        self.notifier = notifier

    def do(self, act: Callable[[], None]) -> None:
        """Call `act` in the notifier's loop and wait for it."""

        async def called() -> None:
            act()

        asyncio.run_coroutine_threadsafe(called(), self._loop).result(5)

    def transition(self, incident: Incident, event: Event = Event.CHANGED) -> None:
        """Tell a transition."""
        self.do(lambda: self.notifier.transition(Transition(event=event, at=time.time(), incident=incident)))


@contextmanager
def running(urls: tuple[str, ...], state_file: Path | None = None) -> Iterator[Told]:
    """Run a notifier that resends twice a second."""
    loop = asyncio.new_event_loop()

    def main() -> None:
        asyncio.set_event_loop(loop)
        loop.run_forever()

    thread = threading.Thread(target=main, daemon=True)
    thread.start()

    async def start() -> tuple[Notifier, asyncio.Task[None]]:
        made = Notifier(CHAIN, urls, state_file=state_file, pace=Pace(resend=0.5), page_url="http://agent.example/")
        return made, asyncio.get_running_loop().create_task(made.run())

    notifier, task = asyncio.run_coroutine_threadsafe(start(), loop).result(5)
    try:
        yield Told(loop, notifier)
    finally:

        async def stop() -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(stop(), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()


def fresh(incident: Incident = CARRIER, **more: Any) -> Incident:
    """Return an incident that was opened just now."""
    return msgspec.structs.replace(incident, opened=time.time() - 8, **more)


def ends(notification: dict[str, Any]) -> list[str | None]:
    """Return why each alert of a notification ended."""
    return [alert["annotations"].get("ended") for alert in notification["alerts"]]


def test_an_incident_from_confirmation_to_recovery(tmp_path: Path) -> None:
    """One notification for each incident and party at each turn: fire, hand over, recover; no repeats."""
    with Webhook() as hook, alertmanager(tmp_path, CONFIG.format(url=hook.url)) as url, running((url,)) as told:
        told.transition(fresh(), Event.CONFIRMED)
        until(lambda: hook.of("msp") and hook.of("carrier"))
        told.transition(fresh(segments=("carrier", "vpn")))
        time.sleep(QUIET_SECONDS)
        assert [(n["status"], n["commonLabels"]) for n in hook.received if n["groupLabels"]["to"] == "carrier"] == [
            (
                "firing",
                {"alertname": "DemarcIncident", "to": "carrier", "incident": CARRIER.id, "severity": "critical"},
            )
        ]
        assert len(hook.of("msp")) == 1

        told.transition(fresh(mover="incumbent", parties=("incumbent",)))
        until(lambda: hook.of("incumbent") and len(hook.of("carrier")) == 2)
        handed = hook.of("carrier")[1]
        assert (handed["status"], ends(handed)) == ("resolved", ["reassigned"])
        assert handed["alerts"][0]["annotations"]["summary"].startswith("Handed over to Zittende ICT")
        assert len(hook.of("msp")) == 1

        told.transition(msgspec.structs.replace(CLOSED, id=CARRIER.id, mover="incumbent"), Event.CLOSED)
        until(lambda: len(hook.of("msp")) == 2 and len(hook.of("incumbent")) == 2)
        assert [ends(hook.of(to)[1]) for to in ("msp", "incumbent")] == [["recovered"], ["recovered"]]
        time.sleep(QUIET_SECONDS)
        assert {to: len(hook.of(to)) for to in ("msp", "carrier", "incumbent")} == dict.fromkeys(
            ("msp", "carrier", "incumbent"), 2
        )
        assert told.notifier.up is True


def test_a_restart_in_the_middle_notifies_nobody(tmp_path: Path) -> None:
    """The agent restarts while an incident is open: the alert fires on, nobody is told twice."""
    state = tmp_path / "alerts.json"
    incident = fresh(VPN)
    with Webhook() as hook, alertmanager(tmp_path, CONFIG.format(url=hook.url)) as url:
        with running((url,), state) as told:
            told.transition(incident, Event.CONFIRMED)
            until(lambda: hook.received)
            until(lambda: state.exists() and VPN.id in state.read_text())
        with running((url,), state) as told:
            told.do(lambda: told.notifier.restore([incident]))
            time.sleep(QUIET_SECONDS)
            assert len(hook.received) == 1
            told.transition(msgspec.structs.replace(CLOSED, id=VPN.id), Event.CLOSED)
            until(lambda: len(hook.received) == 2)
            assert ends(hook.received[1]) == ["recovered"]


def test_one_of_two_is_down(tmp_path: Path) -> None:
    """A dead Alertmanager beside a living one delays nothing and the agent counts as heard."""
    dead = f"http://127.0.0.1:{free_port()}"
    with (
        Webhook() as hook,
        alertmanager(tmp_path, CONFIG.format(url=hook.url)) as url,
        running((dead, url)) as told,
    ):
        told.transition(fresh(), Event.CONFIRMED)
        until(lambda: len(hook.received) == 2)
        assert told.notifier.up is True


def test_the_templates_say_what_the_agent_says(tmp_path: Path) -> None:
    """By demarc's templates a reassigned alert never reads as resolved; Alertmanager's own would."""
    config = """
templates: ["{templates}"]
route: {{receiver: chat, group_by: [incident, to], group_wait: 1s, group_interval: 1s, repeat_interval: 1h}}
receivers:
  - name: chat
    slack_configs:
      - api_url: "{url}"
        send_resolved: true
        title: '{{{{ template "demarc.title" . }}}}'
        text: '{{{{ template "demarc.text" . }}}}'
"""
    with Webhook() as hook:
        text = config.format(url=hook.url, templates=ALERTMANAGER / "demarc.tmpl")
        with alertmanager(tmp_path, text) as url, running((url,)) as told:
            told.transition(fresh(), Event.CONFIRMED)
            until(lambda: len(hook.received) == 2)
            told.transition(fresh(mover="incumbent"))
            until(lambda: len(hook.received) == 4)
    told_of = [n["attachments"][0] for n in hook.received]
    handed = [n for n in told_of if n["title"].startswith("Handed over")]
    assert len(handed) == 1
    assert "the disturbance continues" in handed[0]["text"]
    assert not [n for n in told_of if "resolved" in (n["title"] + n["text"]).lower()]
    assert all("http://agent.example/" in n["text"] and "/DemarcIncident" in n["text"] for n in told_of)


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (["alertname=DemarcIncident", "incident=1", "to=carrier", "severity=critical"], "carrier"),
        (["alertname=DemarcIncident", "incident=1", "to=msp", "via=prometheus"], "msp"),
        (["alertname=DemarcIncident", "incident=1", "to=somebody"], "noc"),
        (["alertname=DemarcServiceDown", "svc=erp"], "noc"),
        (["alertname=DemarcWatchdog", "severity=info"], "watchdog"),
    ],
)
def test_the_example_routes(labels: list[str], receiver: str) -> None:
    """The example reaches the party addressed; whatever it does not know reaches the director's centre."""
    config = ALERTMANAGER / "alertmanager.yml"
    told = subprocess.run(
        ["amtool", "config", "routes", "test", f"--config.file={config}", *labels],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == receiver


def test_the_example_is_valid() -> None:
    """The tool accepts the example."""
    subprocess.run(["amtool", "check-config", ALERTMANAGER / "alertmanager.yml"], capture_output=True, check=True)


def answering(answer: bytes) -> Callable[[str], str]:
    """Return a scenario: push to a server that gives `answer`, return what push says of it."""

    def play(path: str) -> str:
        async def main() -> str:
            closed = asyncio.Event()

            async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                with suppress(ConnectionError):
                    await reader.readuntil(b"\r\n\r\n")
                    writer.write(answer)
                    await writer.drain()
                    if not answer:
                        await reader.read()
                    writer.close()
                    await writer.wait_closed()
                writer.transport.abort()
                closed.set()

            server = await asyncio.start_server(handle, "127.0.0.1", 0)
            async with server:
                port = server.sockets[0].getsockname()[1]
                try:
                    await push(f"http://127.0.0.1:{port}{path}", b"[]", timeout_seconds=0.5)
                except PushError as error:
                    return str(error)
                finally:
                    await asyncio.wait_for(closed.wait(), 5)
            return ""

        return asyncio.run(main())

    return play


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", ""),
        (b"HTTP/1.1 400 Bad Request\r\n\r\nno\nlabels", "HTTP 400: no labels"),
        (b"HTTP/1.1 503 \r\n\r\n", "HTTP 503: "),
        (b"SSH-2.0-x\r\n\r\n", "ValueError: "),
        (b"HTTP/1.1 abc\r\n\r\n", "ValueError: "),
        (b"half", "IncompleteReadError: "),
        (b"x" * 70000, "LimitOverrunError: "),
        (b"", "no answer within 0.5 s"),
    ],
    ids=["taken", "refused", "unavailable", "another protocol", "no status", "cut", "endless", "silent"],
)
def test_whatever_answers(answer: bytes, said: str) -> None:
    """Anything but a 200 is a PushError that says why."""
    assert answering(answer)("/prefix/").startswith(said)
    assert bool(answering(answer)("")) is bool(said)


def test_nobody_listens() -> None:
    """A closed port is a PushError."""
    with pytest.raises(PushError, match="Connect"):
        asyncio.run(push(f"http://127.0.0.1:{free_port()}", b"[]"))
