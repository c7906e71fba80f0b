"""`demarc report month` and what it reads: a recorded file, an agent's data directory, a ledger."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from agent.availability.fold import Cadence
from agent.cli.baseline import command as baseline
from agent.cli.report import command
from agent.config import load_chain
from agent.incident.value import Event, Incident, Kind, State, Transition
from agent.ledger import DATABASE as LEDGER
from agent.ledger import KEY, Ledger, body
from agent.ledger.baseline import Baseline, Figures
from agent.ledger.dossier import Approval, Change, Correction, Window
from agent.ledger.epoch import renew
from agent.ledger.history import read_history
from agent.observation import Observation, encode
from agent.store import DATABASE as STORE
from agent.store import Store
from agent.store.store import Limits
from probes.kit.result import Outcome, Stage

CHAIN = """\
version: 1
effective: 2026-01-15T00:00
timezone: Europe/Amsterdam
director: msp
parties:
  msp:       {name: Nieuwe MSP}
  carrier:   {name: GlasNet}
  incumbent: {name: Zittende ICT}
segments:
  cloud-host:  {owner: msp, side: cloud}
  cloud-gw:    {owner: msp, side: cloud}
  carrier:     {owner: carrier, side: transit}
  erp-app:     {owner: incumbent, side: onprem}
vantages:
  cloud:  {segment: cloud-host, operator: msp}
services:
  erp: {name: ERP, hours: "Mo-Fr 07:00-19:00", norm: {availability: 99.5%}}
probes:
  gw:  {type: icmp, from: cloud, target: 10.10.0.1, interval: 1s, path: [cloud-host, cloud-gw]}
  erp: {type: icmp, from: cloud, target: 10.20.0.9, interval: 1s, service: erp,
        path: [cloud-host, cloud-gw, carrier, erp-app]}
"""
START = 1793692800.0  # 2026-11-03 09:00 in Amsterdam, a Tuesday
SECONDS = 600
FAILING = range(100, 160)


def observations() -> list[Observation]:
    """Return ten minutes in which erp failed for one."""
    return [
        Observation(
            time=START + second + 0.1,
            round=second,
            vantage="cloud",
            probe=probe,
            outcome=Outcome.FAILED if failed else Outcome.OK,
            stage=Stage.CONNECT if failed else None,
            fault="timeout" if failed else None,
            seconds=1.0 if failed else 0.01,
        )
        for second in range(SECONDS)
        for probe in ("gw", "erp")
        for failed in [probe == "erp" and second in FAILING]
    ]


def incident(state: State, event: Event, name: str = "i-1") -> Transition:
    """Return a transition of an incident with the incumbent."""
    opened = START + FAILING.start
    value = Incident(
        id=name,
        state=state,
        kind=Kind.ATTRIBUTED,
        parties=("incumbent",),
        candidates=("incumbent",),
        segments=("erp-app",),
        services=("erp",),
        mover="incumbent",
        opened=opened,
        closed=START + FAILING.stop if state is State.CLOSED else None,
    )
    return Transition(event=event, at=opened + 6, incident=value)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with chain file, observations, store and ledger."""
    (tmp_path / "chain.yml").write_text(CHAIN)
    (tmp_path / "obs.jsonl").write_bytes(b"".join(encode(one) + b"\n" for one in observations()))
    chain = load_chain(tmp_path / "chain.yml")
    store = Store.open(
        tmp_path / STORE,
        cadences={"cloud>erp": Cadence(interval=1.0, timeout=1.0)},
        limits=Limits(raw_seconds=10**9),
    )
    for one in observations():
        store.observation(one)
    assert store.close()
    ledger = Ledger.open(tmp_path / LEDGER, tmp_path / KEY, "demarc/cloud", alarm=pytest.fail)
    for transition in (
        incident(State.CONFIRMED, Event.CONFIRMED),
        incident(State.SUSPECTED, Event.SUSPECTED, "i-2"),
        incident(State.SUSPECTED, Event.DISMISSED, "i-2"),
        incident(State.CONFIRMED, Event.CONFIRMED, "i-3"),
        incident(State.CONFIRMED, Event.MERGED, "i-3"),
        incident(State.CLOSED, Event.CLOSED),
    ):
        ledger.append(*body.write(body.from_transition(transition, chain=chain.hash, vantage="cloud")))
    second = 10**9
    gap = body.Gap(
        time=int(START) * second,
        what="store",
        vantage="cloud",
        opened=int(START) * second,
        closed=int(START + 5) * second,
        reason="disk full",
        dropped=3,
    )
    ledger.append(*body.write(gap))
    ledger.append("agent-stop", {"time": 1, "unknown": "shape"})
    assert ledger.close()
    return tmp_path


def run(folder: Path, *words: str) -> tuple[int, str]:
    """Run the command for November 2026."""
    result = CliRunner().invoke(command, ["month", "--chain", str(folder / "chain.yml"), "--month", "2026-11", *words])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output


def erp_of(text: str) -> dict[str, object]:
    """Return erp's part of a JSON report."""
    service: dict[str, object] = json.loads(text)["services"][0]
    return service


def test_the_same_seconds_from_a_file_and_from_an_agents_data(folder: Path) -> None:
    """Store and raw results agree; the ledger's incident explains the outage."""
    from_file = run(folder, "--observations", str(folder / "obs.jsonl"), "--ledger", str(folder), "--format", "json")
    from_data = run(folder, "--data", str(folder), "--until", "1796079600", "--format", "json")
    assert from_file[0] == from_data[0] == 0
    assert erp_of(from_file[1]) == erp_of(from_data[1])
    shares = {
        "parties": [{"party": "incumbent", "gross": 60, "sole": 60}],
        "joint": {},
        "undetermined": 0,
        "unexplained": 0,
    }
    assert erp_of(from_data[1])["shares"] == shares


def test_same_input_same_bytes(folder: Path) -> None:
    """Twice the same, in both forms."""
    for form in ("text", "json"):
        words = ("--observations", str(folder / "obs.jsonl"), "--format", form)
        assert run(folder, *words) == run(folder, *words)


def test_without_a_ledger_the_incidents_come_from_a_replay(folder: Path) -> None:
    """And the report says so."""
    report = json.loads(run(folder, "--observations", str(folder / "obs.jsonl"), "--format", "json")[1])
    assert [(one["kind"], one["services"]) for one in report["incidents"]] == [("undetermined", ["erp"])]
    assert report["basis"]["incidents"] == "a replay of the observations"
    assert report["basis"]["ledger_whole"] is None


def test_the_ledgers_incidents_as_they_last_stood(folder: Path) -> None:
    """Dismissed and merged ones are gone, a closed one has its end, gaps and chains are told."""
    history = read_history(folder / LEDGER)
    assert [(one.id, one.state) for one in history.incidents] == [("i-1", State.CLOSED)]
    assert [gap.reason for gap in history.gaps] == ["disk full"]
    assert history.chains == (load_chain(folder / "chain.yml").hash,)


def test_the_month_beside_the_baseline(folder: Path) -> None:
    """The last one that was fixed; it changes no other figure, and `demarc baseline` shows it."""
    words = ("--data", str(folder), "--until", "1796079600", "--format", "json")
    before = json.loads(run(folder, *words)[1])
    assert before["baseline"] is None
    ledger = Ledger.open(folder / LEDGER, folder / KEY, "demarc/cloud", alarm=pytest.fail)
    for number in (1, 2):
        entry = Baseline(
            time=number * 10**18,
            vantage="cloud",
            chain="ab" * 32,
            party="msp",
            opened=10**18,
            closed=2 * 10**18,
            probes={"cloud>erp": Figures(ok=number, timed=1, sum=5000, buckets=(0, 1, *[0] * 10)), "x>y": Figures()},
            rollups="cd" * 32,
            reason="" if number == 1 else "again",
        )
        ledger.append(*body.write(entry)).result(10)
    assert ledger.close()
    after = json.loads(run(folder, *words)[1])
    (row,) = after["baseline"]["probes"]
    assert (row["probe"], row["service"], row["then"]["results"]) == ("cloud>erp", "erp", 2)
    assert row["now"]["results"] > 0
    assert after["services"] == before["services"]
    assert "BESIDE THE BASELINE" in run(folder, "--data", str(folder), "--until", "1796079600")[1]
    shown = CliRunner().invoke(baseline, ["show", "--data", str(folder)])
    assert (shown.exit_code, shown.output.count(" fixed "), "; again\n" in shown.output) == (0, 2, True)
    assert "2 of 2 passed, 5.000 ms on average" in shown.output


def test_an_earlier_epochs_incidents_count_too(folder: Path) -> None:
    """The figures stay what they were when the ledger is begun anew; a damaged earlier file is named, not hidden."""
    words = ("--data", str(folder), "--until", "1796079600", "--format", "json")
    before = json.loads(run(folder, *words)[1])
    renew(folder / LEDGER, folder / KEY, "demarc/cloud", vantage="cloud", reason="restored", now=1796079000.0)
    after = json.loads(run(folder, *words)[1])
    assert after["incidents"] == before["incidents"] != []
    assert after["services"] == before["services"]
    assert after["basis"]["ledger_whole"] is True
    assert "those of 2 epochs of the ledger" in " ".join(after["basis"]["notes"])
    assert read_history(folder / LEDGER).gaps == read_history(folder / "ledger-1.db").gaps
    (folder / "ledger-1.db").write_bytes(b"gone")
    damaged = json.loads(run(folder, *words)[1])
    assert damaged["basis"]["ledger_whole"] is False
    assert "the earlier epoch ledger-1.db cannot be read" in " ".join(damaged["basis"]["notes"])


def test_the_report_names_checkpoint_key_chain_and_gaps(folder: Path) -> None:
    """What it rests on can be checked by others."""
    code, text = run(folder, "--data", str(folder), "--until", "1796079600")
    assert code == 0
    history = read_history(folder / LEDGER)
    assert all(f"    {line}" in text for line in history.checkpoint.splitlines() if line)
    assert history.key in text
    assert history.chains[0] in text
    assert "every entry, hash and signature checked" in text
    assert "disk full" in text


@pytest.mark.parametrize(("standing", "sole"), [("signed", 0), ("paper", 60)])
def test_corrections_are_applied_and_told(folder: Path, standing: str, sole: int) -> None:
    """A signed one counts, a paper one is only told; both stand among what the report rests on."""
    chain = load_chain(folder / "chain.yml").hash
    correction = Correction(
        time=1,
        incident="i-1",
        entry=chain,
        chain=chain,
        vantage="cloud",
        change=Change(kind="undetermined", parties=(), candidates=("msp", "incumbent")),
        reason="r",
        approved=(
            Approval(party="msp", role="service manager", means="ssh"),
            Approval(party="incumbent", role="account manager", means="ssh"),
        ),
        standing=standing,
    )
    ledger = Ledger.open(folder / LEDGER, folder / KEY, "demarc/cloud", alarm=pytest.fail)
    ledger.append(*body.write(correction))
    assert ledger.close()
    report = json.loads(run(folder, "--data", str(folder), "--until", "1796079600", "--format", "json")[1])
    assert sum(one["sole"] for one in report["services"][0]["shares"]["parties"]) == sole
    assert "parties incumbent becomes none" in report["basis"]["notes"][0]
    assert "msp (service manager, ssh), incumbent (account manager, ssh)" in report["basis"]["notes"][0]


def test_maintenance_agreed_afterwards_excuses_its_partys_seconds(folder: Path) -> None:
    """It stands among the exclusions, with who agreed."""
    chain = load_chain(folder / "chain.yml").hash
    second = 10**9
    window = Window(party="incumbent", opened=int(START) * second, closed=int(START + 3600) * second)
    correction = Correction(
        time=1,
        incident="i-1",
        entry=chain,
        chain=chain,
        vantage="cloud",
        change=Change(maintenance=window),
        reason="r",
        approved=(Approval(party="msp", role="service manager", means="ssh"),),
        standing="signed",
    )
    ledger = Ledger.open(folder / LEDGER, folder / KEY, "demarc/cloud", alarm=pytest.fail)
    ledger.append(*body.write(correction))
    assert ledger.close()
    report = json.loads(run(folder, "--data", str(folder), "--until", "1796079600", "--format", "json")[1])
    (excluded,) = report["services"][0]["exclusions"]
    assert (excluded["party"], excluded["down"]) == ("incumbent", 60)
    assert excluded["agreed"] == "correction, entry 8: msp (service manager, ssh)"


def test_a_ledger_that_is_not_whole_is_told(folder: Path) -> None:
    """The report is written, and says in capitals that the ledger is not whole."""
    content = (folder / LEDGER).read_bytes()
    (folder / LEDGER).write_bytes(content.replace(b'"mover":"incumbent"', b'"mover":"encumbent"', 1))
    code, text = run(folder, "--data", str(folder), "--until", "1796079600")
    assert code == 0
    assert "THE LEDGER IS NOT WHOLE" in text
    assert "does not match its hash" in text


def test_another_chain_is_told(folder: Path) -> None:
    """Incidents under another chain file are counted, and the report says that they are there."""
    (folder / "chain.yml").write_text(CHAIN.replace("GlasNet", "Glasnet"))
    assert "found under the chain file" in run(folder, "--data", str(folder))[1]


def test_the_text_for_people(folder: Path) -> None:
    """The whole of it, as a contract manager gets it."""
    text = run(folder, "--data", str(folder), "--until", "1796079600")[1]
    expected = """\
ERP (erp)
---------
Service hours  Mo-Fr 07:00-19:00
Measured by    cloud>erp

Availability: 90.033 % of what was measured (coverage 0.066 %)
  at least 0.059 % if everything unmeasured was down, at most 99.993 % if it was up
Norm: 99.500 %, not assessable (too little was measured)
  judged on the observed figure, at a coverage of at least 90.000 %

  outside service hours      1,684,800 s   19 d 12 h
  agreed maintenance                 0 s   0 s
  down                              60 s   1 min
  unmeasured                   906,598 s   10 d 11 h
  up                               542 s   9 min 2 s
  together                   2,592,000 s

Outages: 1 began in this period; mean time to repair 1 min, mean time between outages 9 min 2 s
  2026-11-03 09:01:40 +01:00 to 09:02:40 +01:00   1 min ± 1 s   i-1

Where the down seconds come from (technical place)
  Zittende ICT (incumbent)                        60 s, of which alone 60 s

INCIDENTS

2026-11-03 09:01:40 +01:00 to 2026-11-03 09:02:40 +01:00   1 min in this period   i-1
    located with Zittende ICT (incumbent)
    segments: erp-app
    services: erp
"""
    assert expected in text
    words = text.lower()
    for word in ("blame", "guilt", "liable", "schuld", "toerekenbaar", "aansprakelijk"):
        assert word not in words


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ([], 2, "give either --data DIRECTORY or --observations FILE"),
        (["--data", "x", "--observations", "y"], 2, "give either"),
        (["--observations", "nowhere.jsonl"], 65, "the report cannot be made: nowhere.jsonl: No such file"),
        (["--observations", "chain.yml"], 65, "the report cannot be made: chain.yml:1: not an observation"),
        (["--data", "nowhere"], 65, "no observation store at"),
        (["--observations", "obs.jsonl", "--month", "2026-13"], 2, "write such as 2026-11"),
        (["--observations", "obs.jsonl", "--ledger", "obs.jsonl"], 65, "the report cannot be made"),
        (["--observations", "obs.jsonl", "--chain", "obs.jsonl"], 78, "obs.jsonl"),
    ],
)
def test_what_cannot_be_done_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int, told: str
) -> None:
    """An exit code and a line, no traceback."""
    monkeypatch.chdir(folder)
    result = run(folder, *words)
    assert result[0] == code
    assert told in result[1]
