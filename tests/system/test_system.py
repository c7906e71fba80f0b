"""The packaged agent under its own unit: what systemd, kernel ESP, WireGuard and netem of a real kernel make of it.

Nothing here asserts a time: the processor is emulated. What took how long is in the report, and printed with `-s`.
"""

import re
from typing import Any

import pytest

pytestmark = [pytest.mark.lab, pytest.mark.soak]

Found = dict[str, Any]
CAP_NET_RAW, CAP_NET_ADMIN = 1 << 13, 1 << 12
NAMES = ("edge", "underlay", "peer", "anchor", "app", "tunnel", "kernel", "into", "wire", "size")


def step(found: Found, name: str) -> Any:
    """Return what a step found; fail with its own words where it raised."""
    result = found[name]
    assert not (isinstance(result, dict) and "error" in result), f"{result['error']}\n{result['log']}"
    return result


def test_the_documented_lines_install_and_start_it(found: Found) -> None:
    """Every line of README and docs/operations.md succeeds, in their order, and the last one has the agent running."""
    lines = step(found, "install")
    assert [(line, code) for line, code, *_ in lines] == [(line, 0) for line, *_ in lines]
    assert lines[-1][0] == "systemctl enable --now demarc"


def test_a_fresh_installation_lacks_nothing(found: Found) -> None:
    """Before the first start `demarc doctor`, run as the documents say, finds nothing that fails."""
    printed = next(printed for line, _, printed, _ in step(found, "install") if "systemd-run" in line)
    assert "✓ data" in printed
    assert "✓ icmp" in printed
    assert "✗" not in printed


def test_systemd_is_told_when_it_is_ready(found: Found) -> None:
    """A unit of type notify is active because the agent said so, with its word in the status; the watchdog runs."""
    unit = step(found, "first start")
    assert (unit["ActiveState"], unit["SubState"], unit["Type"]) == ("active", "running", "notify")
    assert (unit["WatchdogUSec"], unit["NRestarts"], unit["Result"]) == ("5s", "0", "success")
    assert unit["StatusText"] == "measuring from cloud"


def test_systemd_has_nothing_to_say_of_the_unit(found: Found) -> None:
    """No line of the journal at the first start is a complaint of systemd's, and none of the log an error."""
    lines = [re.sub(r"^\S+ +\S+ \S+ \S+ ", "", line) for line in step(found, "first start")["log"].splitlines()]
    own = [line for line in lines if not line.startswith("demarc[")]
    assert [line for line in own if not line.startswith("systemd[1]: Start")] == []
    # A processor that is emulated on a busy machine stalls.
    assert [line for line in lines if "level=error" in line and "loop-blocked" not in line] == []


@pytest.mark.parametrize(
    ("name", "rights"), [("process", CAP_NET_RAW), ("process with the right", CAP_NET_RAW | CAP_NET_ADMIN)]
)
def test_it_has_the_rights_of_its_unit_only(name: str, rights: int, found: Found) -> None:
    """No root; the capabilities that the unit (and the documented drop-in) names in every set; a filter of calls."""
    process = step(found, name)
    assert "0" not in process["Uid"].split()
    assert {int(process[kind], 16) for kind in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {rights}
    assert (process["NoNewPrivs"], process["Seccomp"], process["root"]) == ("1", "2", "ro")


def test_systemds_own_figure_of_exposure(found: Found) -> None:
    """`systemd-analyze security` of the loaded units, 0 (best) to 10; the agent's has the drop-in's capability too."""
    figures = step(found, "security")
    assert figures["demarc"] < 2.0
    assert figures["demarc-vici"] < 1.0


def test_the_gate_is_installed_as_documented(found: Found) -> None:
    """Its socket belongs to the agent's group and nobody else; the agent runs on with the right to ask."""
    tunnels = step(found, "tunnels")
    assert [(line, code) for line, code, *_ in tunnels["lines"]] == [(line, 0) for line, *_ in tunnels["lines"]]
    assert tunnels["socket"] == "660 0 demarc"
    assert tunnels["ActiveState"] == "active"


@pytest.mark.parametrize("probe", NAMES)
def test_every_probe_passes_from_inside_the_sandbox(probe: str, found: Found) -> None:
    """Strongswan by the gate, kernel ESP by xfrm, WireGuard, routes, IKE, and what goes through the tunnel."""
    assert step(found, "all well")[probe]["outcome"] == "ok"


def test_the_tunnels_are_the_kernels(found: Found) -> None:
    """The associations of the kernel have carried the measurements, and both words of them say one tunnel."""
    esp = step(found, "esp")
    assert len(esp["bytes"]) == 2
    assert min(esp["bytes"]) > 0
    for probe in ("tunnel", "kernel", "wire"):
        values = esp["values"][probe]
        assert (values["vpn_tunnels_configured"], values["vpn_tunnels_established"]) == (1, 1)
    assert esp["values"]["wire"]["vpn_passing"] == 1


def test_the_size_that_passes_is_that_of_kernel_esp(found: Found) -> None:
    """AES-GCM in tunnel mode takes 54 to 57 of 1500 bytes (RFC 4106, RFC 4303): no hole, no loss of more."""
    assert 1440 <= step(found, "esp")["size"] <= 1446


def test_doctor_is_green(found: Found) -> None:
    """As the agent's user with its unit's rights: exit code 0, every tunnel seen."""
    ((_, code, printed, _),) = step(found, "doctor")
    assert code == 0, printed
    for said in ("✓ vici", "✓ probe kernel", "✓ probe wire", "✓ icmp"):
        assert said in printed


def test_the_gate_passes_on_reading_only(found: Found) -> None:
    """The agent's user lists SAs and ends none; charon's own socket is shut to it; the gate has no capability."""
    gate = step(found, "gate")
    assert gate["listed"][0] == 0
    assert "INSTALLED" in gate["listed"][1]
    assert gate["ended"][0] != 0
    assert gate["stands"]
    assert "Permission denied" in gate["direct"][1]
    assert "vici-request-refused" in gate["log"]
    unit = gate["unit"]
    assert {int(unit[kind], 16) for kind in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert (unit["ActiveState"], unit["Seccomp"]) == ("active", "2")


def test_a_tunnels_end_and_return_are_told_by_event(found: Found) -> None:
    """The daemon's and the kernel's events make both probes ask at once; the daemon's are counted."""
    told = step(found, "terminate")
    assert told["tunnel failed"][0] == "child-missing"
    assert told["kernel failed"][0] in {"not-configured", "sa-missing"}
    assert (told["tunnel ok"][0], told["kernel ok"][0]) == (None, None)
    assert told["events"] >= 1
    assert "vpn" in told["incidents failed"][1][0]
    assert told["incidents ok"][0] == 0


def test_netem_is_measured(found: Found) -> None:
    """A delay of 120 ms, half of the packets lost, every one doubled, all of them lost."""
    netem = step(found, "netem")
    clean, delayed = netem["delay"]
    assert 0.12 <= delayed < 0.12 + 0.2 + clean
    assert 0.2 <= netem["loss"] <= 0.8
    assert netem["duplicates"] >= 1
    assert (netem["cut"], netem["healed"]) == ("timeout", "ok")


def test_a_reload_keeps_the_process(found: Found) -> None:
    """A good one is taken, one with errors changes nothing; the unit stays active in the same process."""
    reload = step(found, "reload")
    assert reload["good"] == [0, "active", True]
    assert reload["bad"][1:] == ["active", "measuring from cloud", True]


@pytest.mark.parametrize(("name", "word"), [("killed", "signal"), ("hanging", "watchdog")])
def test_systemd_brings_it_back(name: str, word: str, found: Found) -> None:
    """After kill -9, and after a stop that the watchdog notices: another process, and a ledger that verifies."""
    crash = step(found, name)
    assert crash["restarts"] >= 1  # an emulated processor that is starved may be taken for a hanging agent once more
    assert f"result '{word}'" in crash["log"]
    assert crash["ledger"][0] == 0, crash["ledger"][1]


def test_a_stop_is_clean(found: Found) -> None:
    """Exit code 0, a ledger that verifies, and data that nobody else can read."""
    stop = step(found, "stop")
    assert (stop["ActiveState"], stop["Result"], stop["ExecMainStatus"]) == ("inactive", "success", "0")
    assert stop["ledger"][0] == 0, stop["ledger"][1]
    assert [line for line in stop["data"].splitlines() if line.split()[0][7:10] != "---"] == []


def test_the_ledgers_key_can_be_sealed_to_the_host(found: Found) -> None:
    """With the documented LoadCredentialEncrypted= the key is no file of the data directory; the same log goes on."""
    stop = step(found, "stop")
    assert "ledger.db" in stop["data"]
    assert "ledger.key" not in stop["data"]
    assert "demarc/cloud" in stop["ledger"][1]


def test_a_wrong_configuration_is_not_tried_again(found: Found) -> None:
    """Exit code 78 and no restart, with the error and its place in the journal."""
    unit = step(found, "wrong configuration")
    assert (unit["ActiveState"], unit["ExecMainStatus"], unit["NRestarts"]) == ("failed", "78", "0")
    assert "chain.yml:" in unit["log"]
    assert "nobody" in unit["log"]


def test_the_kernel_has_nothing_to_complain_of(found: Found) -> None:
    """No warning with a stack, no kill for want of memory, no request over netlink that it calls malformed."""
    assert not re.search(r"Call Trace|Out of memory|segfault|leftover after parsing", found["dmesg"]), found["dmesg"]
