"""Agent file to `Host`: what is local to one host, and whether it fits the chain."""

import os
from pathlib import Path

import msgspec

from agent.config.document import parse
from agent.config.forms import HostForm, known
from agent.config.kinds import StructKind
from agent.config.problem import ConfigError, Problem, Report, did_you_mean, shown
from agent.model import Chain, Host, Peer, Retention

_HOST = StructKind(HostForm)
SHORTEST_RETENTION = 86400.0  # an hour is bound up to three hours after its begin, evidence ten minutes after a close
LEAST_MEGABYTES = 50  # a day of ten probes of 1 s


class ExaminedHost(msgspec.Struct, frozen=True, kw_only=True):
    """An agent file and its problems; `host` is None with any of them."""

    host: Host | None
    problems: tuple[Problem, ...]

    def loaded(self) -> Host:
        """Return the host; ConfigError with all problems when there are any."""
        if self.host is None:
            raise ConfigError(self.problems)
        return self.host


def chain_beside(data: bytes, path: Path) -> Path | None:
    """Return the chain file that an agent file names, when that much of it can be read."""
    document = parse(data, path.name)
    form = _HOST.read(document.root, (), Report("", document.line_of)) if document.root else None
    if not isinstance(form, HostForm) or not known(form.chain) or "\0" in form.chain:
        return None
    return Path(_beside(path, form.chain))


def examine_host(data: bytes, path: Path, chain: Chain | None = None) -> ExaminedHost:
    """Return what the agent file at `path` holds, checked against `chain` when it is given."""
    document = parse(data, str(path))
    report = Report(str(path), document.line_of)
    report.problems.extend(document.problems)
    form = _HOST.read(document.root, (), report) if document.root is not None else None
    if not isinstance(form, HostForm):
        return ExaminedHost(host=None, problems=tuple(sorted(set(report.problems))))
    _check(form, chain, report)
    if report.problems:
        return ExaminedHost(host=None, problems=tuple(sorted(set(report.problems))))
    return ExaminedHost(host=_host(form, path), problems=())


def _check(form: HostForm, chain: Chain | None, report: Report) -> None:
    _vantage(("vantage",), form.vantage, chain, report)
    _retention(form, report)
    peers = form.peers if known(form.peers) else ()
    seen: set[str] = set()
    for at, peer in enumerate(peers):
        if not known(peer) or not known(peer.vantage):
            continue
        where = ("peers", at, "vantage")
        if peer.vantage == form.vantage:
            report.problem(where, f"{shown(peer.vantage)} is this host itself; name the other agents only")
        elif peer.vantage in seen:
            report.problem(where, f"{shown(peer.vantage)} stands in the list already; write it once")
        else:
            _vantage(where, peer.vantage, chain, report)
        seen.add(peer.vantage)
        for one, other in (("cert_file", "key_file"), ("key_file", "cert_file")):
            if known(getattr(peer, one)) and getattr(peer, one) and getattr(peer, other) is None:
                report.problem(("peers", at, one), f"goes with `{other}`; write both or neither")


def _retention(form: HostForm, report: Report) -> None:
    """Report bounds below which the hours could not be bound, or a disturbance not be looked into."""
    if not known(form.retention):
        return
    for key in ("raw", "rollups", "evidence", "people"):
        value = getattr(form.retention, key)
        if known(value) and value < SHORTEST_RETENTION:
            report.problem(("retention", key), "is shorter than a day; write 1d or more")
    if known(form.retention.raw_megabytes) and form.retention.raw_megabytes < LEAST_MEGABYTES:
        report.problem(
            ("retention", "raw_megabytes"), f"is less than {LEAST_MEGABYTES}; write {LEAST_MEGABYTES} or more"
        )


def _vantage(where: tuple[str | int, ...], name: str, chain: Chain | None, report: Report) -> None:
    if chain is None or not known(name) or name in chain.vantages:
        return
    hint = did_you_mean(name, chain.vantages) or f"; the vantages are {', '.join(chain.vantages)}"
    report.problem(where, f"the chain has no vantage {shown(name)}{hint}")


def _beside(path: Path, written: str) -> str:
    """Return an absolute path; a relative one starts at the directory of `path`."""
    return os.path.normpath(path.absolute().parent / written)


def _maybe_beside(path: Path, written: str | None) -> str | None:
    return None if written is None else _beside(path, written)


def _host(form: HostForm, path: Path) -> Host:
    return Host(
        vantage=form.vantage,
        chain_file=_beside(path, form.chain),
        data=_beside(path, form.data),
        peers=tuple(
            Peer(
                vantage=peer.vantage,
                url=peer.url,
                ca_file=_maybe_beside(path, peer.ca_file),
                cert_file=_maybe_beside(path, peer.cert_file),
                key_file=_maybe_beside(path, peer.key_file),
            )
            for peer in form.peers
        ),
        alertmanagers=form.alertmanagers,
        external_url=form.external_url,
        retention=Retention(
            raw=float(form.retention.raw),
            raw_bytes=form.retention.raw_megabytes * 1_000_000,
            rollups=float(form.retention.rollups),
            evidence=float(form.retention.evidence),
            people=float(form.retention.people),
        ),
        source_file=str(path.absolute()),
    )
