"""What the identity probes cost: CPU time of an attempt, and together as a share of a core at their default intervals.

Microsoft is the lab's simulator in a process of its own, over TLS 1.3 on loopback. The peer is Microsoft's own library
(MSAL) with requests, asking the same question with a kept token and a new connection; it takes turns with us.
"""

import asyncio
import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import msal
import msgspec
import requests

from probes import entra_cloud_sync, entra_service_health, entra_sync
from probes.kit.result import Outcome
from tests.peers.simulated_microsoft import CLIENT, CLOUD_SYNC, SECRET, TENANT, Kit, Microsoft, running
from tools.bench.table import Row, ratios, spread

RUNS = 7
ATTEMPTS = 20
# What a chain file with all of them watches: each thing once.
GOAL = "1 %"


def measure() -> list[Row]:
    """Return the rows of this group."""
    with tempfile.TemporaryDirectory() as name, running(Path(name)) as microsoft:
        ours = {what: attempts(*case) for what, case in questions(microsoft).items()}
        turns = in_turns({**ours, "MSAL": library(microsoft)})
    rows = [Row(what=f"CPU of an attempt: {what}", measured=spread(turns[what], "ms", 1e3)) for what in ours]
    return [
        *rows,
        Row(what="CPU of the same by MSAL and requests", measured=spread(turns["MSAL"], "ms", 1e3)),
        Row(what="entra_sync, ours to MSAL's", measured=ratios(turns["entra_sync"], turns["MSAL"])),
        Row(what="all Entra probes, every 5 min, of a core", measured=f"{share(turns, ours):.4%}", goal=GOAL),
    ]


NEW_TOKEN = "entra_sync, with a new token by certificate"
# A type keeps its token for about an hour: entra_sync, entra_cloud_sync and entra_service_health get one each.
TOKEN_SECONDS = 3600.0 / 3


def in_turns(ours: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Return the CPU seconds of an attempt of each, measured in turns."""
    turns: dict[str, list[float]] = {what: [] for what in ours}
    for _ in range(RUNS):
        for what, run in ours.items():
            turns[what].append(run())
    return turns


def share(turns: Mapping[str, list[float]], ours: Collection[str]) -> float:
    """Return what all of `ours` take of a core at their default intervals, new tokens included."""
    interval = entra_sync.SPEC.default_interval
    spacing = {what: TOKEN_SECONDS if what == NEW_TOKEN else interval for what in ours}
    return sum(sorted(turns[what])[RUNS // 2] / spacing[what] for what in ours)


def entra_share() -> float:
    """Return what all Entra probes take of a core, measured now."""
    with tempfile.TemporaryDirectory() as name, running(Path(name)) as microsoft:
        ours = {what: attempts(*case) for what, case in questions(microsoft).items()}
        return share(in_turns(ours), ours)


def questions(microsoft: Microsoft) -> Mapping[str, tuple[Any, Any, bool]]:
    """Return what is asked: the type, its settings, and whether each attempt wants a new token."""
    settings = microsoft.settings()
    own = {"certificate_file": str(microsoft.directory / "app.pem"), "key_file": str(microsoft.directory / "app.key")}
    common: dict[str, Any] = {key: getattr(settings, key) for key in ("target", "authority", "tenant", "ca_file")}
    common |= {"client_id": CLIENT, "secret_file": str(microsoft.secret_file)}
    return {
        "entra_sync": (entra_sync, settings, False),
        "entra_sync, passwords": (entra_sync, msgspec.structs.replace(settings, watch="password"), False),
        "entra_sync, objects": (entra_sync, msgspec.structs.replace(settings, watch="objects"), False),
        "entra_cloud_sync": (
            entra_cloud_sync,
            entra_cloud_sync.Settings(**common, service_principal=CLOUD_SYNC),
            False,
        ),
        "entra_service_health": (entra_service_health, entra_service_health.Settings(**common), False),
        NEW_TOKEN: (entra_sync, msgspec.structs.replace(settings, secret_file="", **own), True),
    }


def attempts(module: Any, settings: Any, fresh: bool) -> Callable[[], float]:
    """Return what makes some attempts, one after the other, and gives the CPU seconds of one."""

    async def go() -> float:
        kit = Kit()
        async with module.open(kit) as runner:
            for number in range(ATTEMPTS + 1):
                if number == 1:  # the first one gets the token and loads the authority
                    begin = time.process_time()
                result = await runner.attempt(settings, kit.clock.boot() + 5.0, fresh=fresh)
                if result.outcome is not Outcome.OK:
                    raise RuntimeError(result)
            return (time.process_time() - begin) / ATTEMPTS

    return lambda: asyncio.run(go())


def library(microsoft: Microsoft) -> Callable[[], float]:
    """Return the same by Microsoft's library: a kept token, and a new connection for each question."""
    url = f"https://localhost:{microsoft.port}"
    authorities = str(microsoft.directory / "ca.pem")

    def go() -> float:
        with requests.Session() as session:
            session.trust_env, session.verify = False, authorities
            application = msal.ConfidentialClientApplication(
                CLIENT,
                client_credential=SECRET,
                authority=f"{url}/{TENANT}",
                instance_discovery=False,
                http_client=session,
            )
            for number in range(ATTEMPTS + 1):
                if number == 1:
                    begin = time.process_time()
                token = application.acquire_token_for_client(["https://graph.microsoft.com/.default"])["access_token"]
                headers = {"Authorization": f"Bearer {token}", "Connection": "close"}
                answer = session.get(f"{url}{entra_sync.WATCHED['sync'].path}", headers=headers, timeout=5)
                answer.raise_for_status()
            return (time.process_time() - begin) / ATTEMPTS

    return go
