"""A lab for the tests that need namespaces; says aloud, at the end of the run, when it left them out."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.api import Lab
from lab.preflight import isolation
from lab.rundir import LabError
from lab.topology import ADDRESSES

LOOK = str(Path(__file__).with_name("look.py"))
LEFT_OUT = pytest.StashKey[str]()
HR = "https://hr.corp.lab:8443/health"

Looks = dict[str, dict[str, object]]


@pytest.fixture(scope="session")
def lab_possible(pytestconfig: pytest.Config) -> None:
    """Skip, with the reason and a line in the summary, where namespaces cannot be had."""
    try:
        isolation()
    except LabError as error:
        pytestconfig.stash[LEFT_OUT] = str(error)
        pytest.skip(str(error))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say that lab tests were left out, and why."""
    if reason := config.stash.get(LEFT_OUT, ""):
        terminalreporter.section("lab tests LEFT OUT", yellow=True)
        terminalreporter.write_line(reason)


def unique_name(purpose: str) -> str:
    """Return a lab's name that no other test run on this machine uses."""
    return f"t-{purpose}-{os.getpid()}-{time.monotonic_ns() % 10**6}"


@pytest.fixture(scope="session")
def session_lab(lab_possible: None) -> Iterator[Lab]:
    """One lab for the whole run; use `lab`, which hands it out healed."""
    with Lab.up(unique_name("session")) as lab:
        yield lab


@pytest.fixture
def lab(session_lab: Lab) -> Iterator[Lab]:
    """The run's lab, healthy before the test and healed after it."""
    session_lab.heal()
    yield session_lab
    session_lab.heal()


def looks_from(lab: Lab, side: str) -> Looks:
    """Return what the chain file's probes look at from one side, by their names."""
    a, ca = ADDRESSES, str(lab.run_dir / "ca.pem")
    erp: dict[str, object] = {"url": f"https://{a['erp']}/health", "ca": ca}
    saas: dict[str, object] = {"url": f"https://{a['microsoft']}/healthz", "ca": ca}
    if side == "onprem":
        return {
            "o-gw": {"ping": a["onprem-gw"]},
            "o-gw-outer": {"ping": a["onprem-gw-outer"]},
            "o-carrier-edge": {"ping": a["carrier-far-edge"]},
            "o-underlay": {"ping": a["cloud-gw-outer"]},
            "o-saas": saas,
            "erp-local": erp,
            "hr-local": {"url": f"https://{a['hr']}:8443/health", "ca": ca},
            "o-oob": {"ping": a["cloud-host-oob"]},
        }
    return {
        "gw": {"ping": a["cloud-gw"]},
        "gw-outer": {"ping": a["cloud-gw-outer"]},
        "saas": saas,
        "carrier-edge": {"ping": a["carrier-edge"]},
        "underlay": {"ping": a["onprem-gw-outer"]},
        "anchor": {"ping": a["onprem-gw"]},
        "erp": {"url": "https://erp.corp.lab/health", "ca": ca},
        "hr": {"url": "https://hr.corp.lab:8443/health", "ca": ca},
        "dns": {"ask": a["dns"], "name": "erp.corp.lab"},
        "oob": {"ping": a["onprem-host-oob"]},
    }


def look(lab: Lab, node: str, looks: Looks) -> dict[str, Any]:
    """Look from inside `node`."""
    result = lab.run(node, [sys.executable, LOOK, json.dumps(looks)])
    assert result.returncode == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.fixture
def survey() -> Callable[[Lab], dict[str, str]]:
    """Look from both demarcation hosts at everything the chain file probes."""

    def take(lab: Lab) -> dict[str, str]:
        return {
            **look(lab, "cloud-host", looks_from(lab, "cloud")),
            **look(lab, "onprem-host", looks_from(lab, "onprem")),
        }

    return take
