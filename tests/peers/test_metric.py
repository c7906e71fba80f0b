"""metric against real exporters, and against servers that are slow, huge, broken or lead elsewhere."""

import asyncio
import gzip
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server

from agent.metrics import Metrics
from agent.metrics.exposition import Exposition
from probes import metric
from probes.kit.result import Outcome, Result, Stage
from tests.agent.samples import CHAIN
from tests.peers.probing import CLOCK, Authority, Handler, Kit, Names, ask, attempt, open_descriptors, serve

pytestmark = pytest.mark.peer

OK = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return a certificate authority."""
    return Authority(tmp_path_factory.mktemp("authority"))


@contextmanager
def exporter(registry: CollectorRegistry, **more: Any) -> Iterator[int]:
    """Run prometheus_client's own exporter on a free loopback port."""
    server, thread = start_http_server(0, addr="127.0.0.1", registry=registry, **more)
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def windows() -> CollectorRegistry:
    """Return what an Entra Connect server's exporter shows, of interest here."""
    registry = CollectorRegistry()
    service = Gauge("windows_service_state", "Service state", ["name", "state"], registry=registry)
    for state in ("running", "stopped"):
        service.labels("adsync", state).set(state == "running")
    file = Gauge("windows_textfile_mtime_seconds", "Time of the file", ["file"], registry=registry)
    file.labels(r"C:\textfile_inputs\adsync.prom").set(time.time() - 60)
    file.labels(r"C:\textfile_inputs\old.prom").set(time.time() - 3600)
    heartbeat = Gauge("adsync_phs_heartbeat_timestamp_seconds", "Heartbeat", ["connector"], registry=registry)
    heartbeat.labels('corp "lab"').set(time.time() - 2000)
    Counter("adsync_runs", "Runs", registry=registry).inc(3)
    Gauge("adsync_queue", "Not measured", registry=registry).set(float("nan"))
    return registry


ADSYNC = {"name": "adsync", "state": "running"}
OLD = {"fresh_metric": "windows_textfile_mtime_seconds", "fresh_labels": {"file": r"C:\textfile_inputs\old.prom"}}
NEW = {"fresh_metric": "windows_textfile_mtime_seconds", "fresh_labels": {"file": r"C:\textfile_inputs\adsync.prom"}}
RUNNING = {"metric": "windows_service_state", "labels": ADSYNC, "ok": "== 1"}
BEAT = {"metric": "adsync_phs_heartbeat_timestamp_seconds", "age": True, "ok": "< 1800"}
READ: dict[str, tuple[dict[str, Any], Outcome, str | None]] = {
    "running": (RUNNING, Outcome.OK, None),
    "running, from a fresh file": ({**RUNNING, **NEW}, Outcome.OK, None),
    "running, from an old file": ({**RUNNING, **OLD}, Outcome.UNKNOWN, "reading-stale"),
    "not stopped": ({**RUNNING, "labels": {"state": "stopped"}}, Outcome.FAILED, "condition"),
    "which of both": ({**RUNNING, "labels": {"name": "adsync"}}, Outcome.UNKNOWN, "ambiguous"),
    "another service": ({**RUNNING, "labels": {"name": "dns"}}, Outcome.UNKNOWN, "no-series"),
    "a heartbeat that is late": (BEAT, Outcome.FAILED, "condition"),
    "late, for a while": ({**BEAT, "degraded": "1800..7200"}, Outcome.DEGRADED, "condition-degraded"),
    "by a label with quotes": ({**BEAT, "labels": {"connector": 'corp "lab"'}, "ok": "< 7200"}, Outcome.OK, None),
    "a counter": ({"metric": "adsync_runs_total", "ok": ">= 3"}, Outcome.OK, None),
    "not measured": ({"metric": "adsync_queue", "ok": "> 0"}, Outcome.UNKNOWN, "not-a-number"),
}


@pytest.fixture(scope="module")
def windows_page() -> Iterator[str]:
    """Serve it once: an exporter takes half a second to stop."""
    with exporter(windows()) as port:
        yield f"http://127.0.0.1:{port}/metrics"


@pytest.mark.parametrize("name", READ)
def test_a_real_exporter_is_read(windows_page: str, name: str) -> None:
    """Values, labels, ages and freshness as prometheus_client exposes them."""
    more, outcome, fault = READ[name]
    result = attempt(metric, metric.Settings(target=windows_page, **more))
    assert (result.outcome, result.fault) == (outcome, fault), result
    assert set(result.phases) == {"connect", "first_byte", "transfer"}
    assert (result.seconds is None) == (outcome is Outcome.UNKNOWN)
    assert result.stage is (Stage.CONNECT if outcome is Outcome.FAILED else None)


def test_an_exporter_over_tls_by_name(authority: Authority) -> None:
    """With the authority's file it is read and every phase told; without it the certificate is named."""
    crt, key = authority.issue("exporter.lab")
    kit = Kit(Names({"exporter.lab": "127.0.0.1"}))
    with exporter(windows(), certfile=str(crt), keyfile=str(key)) as port:
        settings: dict[str, Any] = {"target": f"https://exporter.lab:{port}/metrics", **RUNNING}
        good = attempt(metric, metric.Settings(**settings, ca_file=str(authority.ca_file)), kit=kit)
        strange = attempt(metric, metric.Settings(**settings), kit=kit)
        no_file = attempt(metric, metric.Settings(**settings, ca_file="/nonexistent.pem"), kit=kit)
        nameless = attempt(metric, metric.Settings(**settings))
    assert good.outcome is Outcome.OK, good
    assert set(good.phases) == {"resolve", "connect", "secure", "first_byte", "transfer"}
    assert (strange.outcome, strange.fault) == (Outcome.UNKNOWN, "exporter-error")
    assert "certificate" in strange.detail
    assert no_file.fault == "ca-unreadable"
    assert (nameless.outcome, nameless.fault) == (Outcome.UNKNOWN, "exporter-unreachable")


def test_demarc_reads_demarc() -> None:
    """Our own exposition is one that our own probe reads."""
    body = Exposition().render(Metrics(CHAIN, "cloud", "msp", "1.2.3").view())
    result = probe(
        replying(OK + b"Content-Length: %d\r\n\r\n" % len(body), body), metric="demarc_build_info", ok="== 1"
    )
    assert result.outcome is Outcome.OK, result


def replying(*parts: bytes, pause: float = 0.0, hold: bool = False) -> Handler:
    """Return a server that writes `parts` with pauses, then closes, or stays silent if `hold`."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
        if hold:
            await asyncio.sleep(60)

    return handler


def probe(handler: Handler, *, within: float = 2.0, **settings: Any) -> Result:
    """Probe the series `up` of `handler`, or what `settings` say."""

    async def scenario() -> Result:
        async with serve(handler) as port:
            made = metric.Settings(**{"target": f"http://127.0.0.1:{port}/", "metric": "up", "ok": "== 1", **settings})
            return await ask(metric, made, within=within)

    return asyncio.run(scenario())


# Prometheus exporters write Date: the age is by their clock, here a day of 2026.
DATED = OK + b"Date: Mon, 23 Nov 2026 17:00:00 GMT\r\n\r\nup 1795453100\n"
STRANGE: dict[str, tuple[Handler, float, str]] = {
    "redirecting": (replying(b"HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\n\r\n"), 2.0, "exporter-error"),
    "failing": (replying(b"HTTP/1.1 500 Oops\r\n\r\nup 1\n"), 2.0, "exporter-error"),
    "closing": (replying(), 2.0, "exporter-unreachable"),
    "silent": (replying(hold=True), 0.3, "exporter-unreachable"),
    "silent within": (replying(OK + b"\r\nup 1\n", hold=True), 0.3, "exporter-unreachable"),
    "dripping": (replying(*[OK + b"\r\n", *[b"a 1\n"] * 200], pause=0.02), 0.3, "exporter-unreachable"),
    "cut": (replying(OK + b"Content-Length: 50\r\n\r\nup 1\n"), 2.0, "malformed"),
    "cut in a number": (replying(OK + b"\r\na 1\nup 1"), 2.0, "malformed"),
    "a portal": (replying(OK + b"\r\n<html>up 1</html>\n"), 2.0, "malformed"),
    "compressed unasked": (
        replying(OK + b"Content-Encoding: br\r\n\r\n" + gzip.compress(b"up 1\n")),
        2.0,
        "malformed",
    ),
    "packed to burst": (
        replying(OK + b"Content-Encoding: gzip\r\n\r\n", gzip.compress(bytes(1_000_000) * 80, 1)),
        5.0,
        "malformed",
    ),
    "protobuf": (replying(OK + b"Content-Type: application/vnd.google.protobuf\r\n\r\nx"), 2.0, "malformed"),
    "not HTTP": (replying(b"SSH-2.0-x\r\n"), 2.0, "malformed"),
    "nothing of it": (replying(OK + b"\r\nother 1\n"), 2.0, "no-series"),
    "a flood of it": (replying(OK + b"\r\n", b'up{a="1"} 1\n' * 100_000), 5.0, "ambiguous"),
}


@pytest.mark.parametrize("name", STRANGE)
def test_what_keeps_us_from_reading_is_unknown(name: str) -> None:
    """No reply, another reply and a broken one are unknown, never failed, and by the deadline."""
    handler, within, fault = STRANGE[name]
    before = open_descriptors()
    result = probe(handler, within=within)
    assert (result.outcome, result.stage, result.fault) == (Outcome.UNKNOWN, None, fault), result
    assert open_descriptors() == before


# what the exporter does -> what it is on the declared path (stage, fault, answered)
ON_THE_WAY: dict[str, tuple[Handler, tuple[Stage, str, bool]]] = {
    "failing": (replying(b"HTTP/1.1 500 Oops\r\n\r\n"), (Stage.ANSWER, "exporter-error", True)),
    "closing": (replying(), (Stage.ANSWER, "closed", False)),
    "silent": (replying(hold=True), (Stage.ANSWER, "timeout", False)),
    "a portal": (replying(OK + b"\r\n<html>up 1</html>\n"), (Stage.ANSWER, "malformed", True)),
    "cut": (replying(OK + b"Content-Length: 50\r\n\r\nup 1\n"), (Stage.ANSWER, "malformed", True)),
}


@pytest.mark.parametrize("name", ON_THE_WAY)
def test_no_reply_counts_where_the_path_leads_to_the_exporter(name: str) -> None:
    """By the stage that it reached, as with other probes; what the series lacks stays unknown."""
    handler, expected = ON_THE_WAY[name]
    result = probe(handler, within=0.5, unreachable="failed")
    assert (result.outcome, result.stage, result.fault, result.answered) == (Outcome.FAILED, *expected), result
    absent = probe(replying(OK + b"\r\nother 1\n"), unreachable="failed")
    assert (absent.outcome, absent.fault) == (Outcome.UNKNOWN, "no-series")


def test_a_name_or_port_without_exporter_counts_there() -> None:
    """Not resolved is `resolve`, a closed port is `refused`."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        made = [
            metric.Settings(target=t, metric="up", ok="== 1", unreachable="failed")
            for t in (closed, "http://none.lab/")
        ]
        refused, nameless = (attempt(metric, one) for one in made)
    assert (refused.stage, refused.fault) == (Stage.CONNECT, "refused")
    assert (nameless.stage, nameless.fault) == (Stage.RESOLVE, "resolve-nxdomain")


def guarded(expected: bytes) -> Handler:
    """Return an exporter that lets in who sends `expected`."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        good = b"\r\nAuthorization: " + expected + b"\r\n" in head
        writer.write(OK + b"\r\nup 1\n" if good else b"HTTP/1.1 401 Unauthorized\r\n\r\n")
        await writer.drain()

    return handler


def test_credentials_are_files_and_read_anew(authority: Authority, tmp_path: Path, monkeypatch: Any) -> None:
    """Basic and bearer; a changed file counts at once; a missing one, and a refusal, are unknown without the secret."""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "password").write_text("open sesame\n")
    basic = {"user": "Aladdin", "password_file": str(tmp_path / "password")}

    def ask_guarded(expected: bytes, **more: Any) -> Result:
        async def scenario() -> Result:
            async with serve(guarded(expected), authority.server("127.0.0.1")) as port:
                target = f"https://127.0.0.1:{port}/"
                ca_file = str(authority.ca_file)
                return await ask(
                    metric, metric.Settings(target=target, metric="up", ok="== 1", ca_file=ca_file, **more)
                )

        return asyncio.run(scenario())

    assert ask_guarded(b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", **basic).outcome is Outcome.OK
    (tmp_path / "password").write_text("changed")
    refused = ask_guarded(b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", **basic)
    assert (refused.outcome, refused.fault, refused.detail) == (
        Outcome.UNKNOWN,
        "exporter-error",
        "answer: HTTP 401",
    )
    assert ask_guarded(b"Bearer changed", token_file="credential:password").outcome is Outcome.OK
    (tmp_path / "password").write_text("can not\nary")
    for file in (str(tmp_path / "password"), "credential:none"):
        unread = ask_guarded(b"", token_file=file)
        assert (unread.outcome, unread.fault) == (Outcome.UNKNOWN, "credential-unreadable")
        assert "can not" not in unread.detail


def test_a_client_certificate_lets_in(authority: Authority) -> None:
    """An exporter that asks for one has it; without it the way ends in TLS, and so it does with a broken file."""
    context = authority.server("127.0.0.1")
    context.load_verify_locations(str(authority.ca_file))
    context.verify_mode = ssl.CERT_REQUIRED
    crt, key = authority.issue("agent.lab")

    async def scenario() -> list[Result]:
        async with serve(replying(OK + b"\r\nup 1\n"), context) as port:
            asked: dict[str, Any] = {"target": f"https://127.0.0.1:{port}/", "metric": "up", "ok": "== 1"}
            asked["ca_file"] = str(authority.ca_file)
            own: dict[str, Any] = {"certificate_file": str(crt), "key_file": str(key)}
            made = [own, {"unreachable": "failed"}, {**own, "key_file": "/nonexistent.pem"}]
            return [await ask(metric, metric.Settings(**asked, **more)) for more in made]

    good, strange, unread = asyncio.run(scenario())
    assert good.outcome is Outcome.OK, good
    assert strange.outcome is Outcome.FAILED
    assert strange.stage in (Stage.SECURE, Stage.ANSWER)  # TLS 1.3 refuses a client after its part is done
    assert (unread.outcome, unread.fault) == (Outcome.UNKNOWN, "certificate-unreadable")


def test_one_scrape_a_second_serves_all_probes_of_a_page() -> None:
    """Twenty series at once cost two scrapes the first time and one the next; no probe reads one twice."""
    asked = 0

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        await reader.readuntil(b"\r\n\r\n")
        asked += 1
        writer.write(OK + b"\r\n" + b"".join(b"up%d %d\n" % (n, asked) for n in range(12)))
        await writer.drain()

    async def scenario() -> list[int]:
        counts = []
        async with serve(handler) as port, metric.open(Kit()) as runner:
            target = f"http://127.0.0.1:{port}/"
            made = [metric.Settings(target=target, metric=f"up{n}", ok="> 0") for n in range(12)]
            for _ in range(3):
                results = await asyncio.gather(*(runner.attempt(one, CLOCK.boot() + 5) for one in made))
                assert {result.outcome for result in results} == {Outcome.OK}
                assert all(set(result.phases) == {"connect", "first_byte", "transfer"} for result in results)
                counts.append(asked)
        return counts

    assert asyncio.run(scenario()) == [2, 3, 4]


def test_a_rate_is_made_of_two_scrapes() -> None:
    """The first one is unknown; then the counter's growth over the time between, across a reload too."""
    counted = iter((100, 100 + 60, 5))

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK + b"\r\nruns_total %d\n" % next(counted))
        await writer.drain()

    async def scenario() -> list[Result]:
        results = []
        async with serve(handler) as port, metric.open(Kit()) as runner:
            made = metric.Settings(target=f"http://127.0.0.1:{port}/", metric="runs_total", rate=True, ok="< 20")
            for pause in (1.1, 0.6, 0.0):  # another reader may share a scrape for a second, the same one never
                results.append(await runner.attempt(made, CLOCK.boot() + 5))
                made = msgspec.structs.replace(made) if pause > 1 else made  # as a reload does
                await asyncio.sleep(pause)
        return results

    first, grown, again = asyncio.run(scenario())
    assert (first.outcome, first.fault) == (Outcome.UNKNOWN, "no-rate")
    assert (grown.outcome, grown.fault) == (Outcome.FAILED, "condition")
    assert 20 < grown.values["metric_value"] <= 100
    assert (again.outcome, again.values["metric_value"] <= 5 / 0.6) == (Outcome.OK, True)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run Debian's node_exporter with a text file of ours; yield its page."""
    program = shutil.which("prometheus-node-exporter")
    if program is None:
        pytest.skip("prometheus-node-exporter is not installed")
    folder = tmp_path_factory.mktemp("textfile")
    (folder / "adsync.prom").write_text('adsync_ok{task="delta"} 1\nadsync_ok{task="full"} 0\n')
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    collectors = ("cpu", "loadavg", "textfile")
    options = (
        f"--web.listen-address=127.0.0.1:{port}",
        "--collector.disable-defaults",
        *(f"--collector.{name}" for name in collectors),
        f"--collector.textfile.directory={folder}",
        "--log.level=error",
    )
    server = subprocess.Popen([program, *options])
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.2):
                break
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}/metrics"
    finally:
        server.terminate()
        server.wait()


NODE_FRESH = {"fresh_metric": "node_textfile_mtime_seconds"}
NODE: dict[str, tuple[dict[str, Any], Outcome, str | None]] = {
    "load": ({"metric": "node_load1", "ok": ">= 0"}, Outcome.OK, None),
    "a counter": ({"metric": "node_cpu_seconds_total", "several": "sum", "ok": "> 0"}, Outcome.OK, None),
    "collectors": (
        {"metric": "node_scrape_collector_success", "several": "all", "ok": "== 1", "match": ("collector!=textfile",)},
        Outcome.OK,
        None,
    ),
    "a text file": ({"metric": "adsync_ok", "labels": {"task": "delta"}, "ok": "== 1", **NODE_FRESH}, Outcome.OK, None),
    "every task of it": ({"metric": "adsync_ok", "several": "all", "ok": "== 1"}, Outcome.FAILED, "condition"),
    "a task of it": ({"metric": "adsync_ok", "several": "any", "ok": "== 1"}, Outcome.OK, None),
    "another file's": (
        {"metric": "adsync_ok", "several": "any", "ok": "== 1", **NODE_FRESH, "fresh_labels": {"file": "x"}},
        Outcome.UNKNOWN,
        "no-series",
    ),
    "a collector that is off": ({"metric": "node_filesystem_avail_bytes", "ok": "> 0"}, Outcome.UNKNOWN, "no-series"),
}


@pytest.mark.parametrize("name", NODE)
def test_node_exporter_is_read(node: str, name: str) -> None:
    """Debian's own, packed by gzip as it packs it."""
    more, outcome, fault = NODE[name]
    result = attempt(metric, metric.Settings(target=node, **more))
    assert (result.outcome, result.fault) == (outcome, fault), result


def test_nobody_listens() -> None:
    """A refused connection is unknown: we could not look."""

    async def scenario() -> Result:
        async with serve(replying()) as port:
            pass
        return await ask(metric, metric.Settings(target=f"http://127.0.0.1:{port}/", metric="up", ok="== 1"))

    result = asyncio.run(scenario())
    assert (result.outcome, result.fault) == (Outcome.UNKNOWN, "exporter-unreachable")
    assert result.detail.startswith("connect: ")


def test_age_is_by_the_exporters_clock() -> None:
    """A wrong clock of ours makes no state stale."""
    result = probe(replying(DATED), age=True, ok="< 101")
    assert (result.outcome, result.values["metric_age_seconds"]) == (Outcome.OK, 100.0)


def huge(lines: int) -> bytes:
    """Return an exposition of `lines` series of 100 bytes with one of ours in the middle."""
    other = b"".join(
        b'some_exporter_series{instance="%08d",job="something-long-as-usual",more="x"} 12345.678\n' % n
        for n in range(1000)
    )
    half = other * (lines // 2000)
    return half + b"up 1\n" + half


def test_a_huge_exposition_does_not_hold_the_loop() -> None:
    """Ten megabytes cost neither memory nor another probe's time."""
    body = huge(120_000)
    assert len(body) > 10_000_000

    async def scenario() -> tuple[Result, float]:
        worst, running = 0.0, True

        async def tick() -> None:
            nonlocal worst
            while running:
                began = CLOCK.boot()
                await asyncio.sleep(0.001)
                worst = max(worst, CLOCK.boot() - began)

        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", SERVE, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(body)
        process.stdin.write_eof()
        port = int(await process.stdout.readline())
        settings = metric.Settings(target=f"http://127.0.0.1:{port}/", metric="up", ok="== 1")
        async with metric.open(Kit()) as runner:
            ticking = asyncio.create_task(tick())
            result = await runner.attempt(settings, CLOCK.boot() + 10)
            running = False
            await ticking
        await process.wait()
        return result, worst

    result, worst = asyncio.run(scenario())
    assert result.outcome is Outcome.OK, result
    assert worst < 0.1  # some ms on an idle machine; the watchdog speaks at 0.25 s


# Its own process, so that its work is not measured as ours.
SERVE = """
import socket, sys
body = sys.stdin.buffer.read()
with socket.create_server(("127.0.0.1", 0)) as server:
    print(server.getsockname()[1], flush=True)
    connection, _ = server.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body) + body)
        connection.recv(1)
"""


def test_nothing_heavy_is_imported_before_it_is_opened() -> None:
    """The module alone does not load prometheus_client."""
    code = "import sys, probes.metric; sys.exit('prometheus_client' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(metric.__file__).parents[1], timeout=60)


def test_many_at_once_share_the_runner() -> None:
    """Fifty concurrent attempts of one runner each have their own answer and leave nothing open."""

    async def scenario(port: int) -> list[Result]:
        target = f"http://127.0.0.1:{port}/metrics"
        wanted = [metric.Settings(target=target, metric="adsync_runs_total", ok=f"== {n % 5}") for n in range(50)]
        async with metric.open(Kit()) as runner:
            deadline = CLOCK.boot() + 10
            return list(await asyncio.gather(*(runner.attempt(one, deadline) for one in wanted)))

    before = open_descriptors()
    with exporter(windows()) as port:
        results = asyncio.run(scenario(port))
    assert [result.outcome is Outcome.OK for result in results] == [n % 5 == 3 for n in range(50)]
    assert open_descriptors() == before
