"""Small probe types for the loader's tests, so that they rest on no real one."""

import ipaddress
from contextlib import AbstractAsyncContextManager
from types import MappingProxyType
from typing import Any, Literal, cast
from urllib.parse import urlsplit

import msgspec

from probes.kit.result import Stage
from probes.kit.spec import Duration, Evidence, Fault, Flow, Kit, Pace, ProbeModule, Runner, Spec


class PingSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the fake `icmp`."""

    target: str
    size: int = 56
    family: Literal[4, 6] = 4


class WebSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the fake `http`."""

    target: str
    headers: dict[str, str] = {}
    accept: tuple[int, ...] = (200,)
    slow: Duration = Duration(0.5)
    verify: bool = True
    weight: float = 1.0


class PickySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the fake `picky`, which compares two keys and calls its destination a server."""

    server: str
    low: int = 0
    high: int = 1
    stage: Stage = Stage.CONNECT

    def __post_init__(self) -> None:
        """Refuse what no single key can tell."""
        if self.low > self.high:
            raise ValueError("`low` is above `high`; swap them")


class Fake(msgspec.Struct, frozen=True):
    """A probe type as data and a function."""

    SPEC: Spec

    def flow(self, settings: Any) -> Flow:
        """Return the flow, or say what is wrong with the target."""
        if isinstance(settings, WebSettings):
            return _web(settings)
        if isinstance(settings, PickySettings):
            if settings.server == "bad":
                raise ValueError("`bad` is no server")
            if settings.high > 9:
                raise ValueError("high: write at most 9")
            return Flow(host=settings.server, protocol="tcp", port=settings.high, function="x")
        try:
            address = ipaddress.ip_address(settings.target)
        except ValueError:
            return Flow(host=settings.target, protocol="icmp", function="echo", named=True)
        return Flow(host=str(address), protocol="icmp", function="echo", family=address.version)

    def open(self, kit: Kit) -> AbstractAsyncContextManager[Runner]:
        """Refuse: the loader opens nothing."""
        raise AssertionError(kit)


def _web(settings: WebSettings) -> Flow:
    parts = urlsplit(settings.target)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"`{settings.target}` is no web address; write one such as https://erp.example/health")
    named = not parts.hostname.replace(".", "").isdigit()
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    return Flow(host=parts.hostname, protocol="tcp", port=port, function=settings.target, named=named)


def spec(name: str, settings: type[msgspec.Struct], **more: Any) -> Spec:
    """Return a small specification."""
    fault = Fault("timeout", Stage.CONNECT, "no answer in time", "look at the path")
    return Spec(type=name, summary=f"fake {name}", settings=settings, key_help={}, faults=(fault,), **more)


class FakeTypes(msgspec.Struct, frozen=True):
    """The registry of the tests: icmp, http, a slow type, and one that cannot be imported."""

    modules: MappingProxyType[str, ProbeModule] = MappingProxyType(
        {
            "icmp": cast("ProbeModule", Fake(spec("icmp", PingSettings))),
            "http": cast("ProbeModule", Fake(spec("http", WebSettings))),
            "picky": cast("ProbeModule", Fake(spec("picky", PickySettings))),
            "sync": cast(
                "ProbeModule",
                Fake(
                    spec(
                        "sync",
                        PingSettings,
                        evidence=Evidence.STATE,
                        pace=Pace.OWN,
                        default_interval=300.0,
                        default_timeout=20.0,
                    )
                ),
            ),
        }
    )

    def names(self) -> tuple[str, ...]:
        """Return the names of the fakes."""
        return (*self.modules, "broken")

    def load(self, name: str) -> ProbeModule | None:
        """Return a fake."""
        if name == "broken":
            raise ImportError("No module named 'absent'")
        return self.modules.get(name)


TYPES = FakeTypes()
