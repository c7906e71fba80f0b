"""The families of the agent itself: what it runs, what its measuring costs, what it could not do."""

from collections.abc import Callable, Iterator
from pathlib import Path

from agent.metrics.family import AnyFamily, Family, FamilyKind, Row
from agent.metrics.tally import LAG_BOUNDS
from agent.metrics.view import View
from agent.snapshot import PeerNow, WitnessNow


def _recording(view: View, part: str) -> Iterator[Row]:
    if view.snapshot is not None:
        yield (), float(getattr(view.snapshot.recording, part))


def _peers(view: View, read: Callable[[PeerNow], float | None]) -> Iterator[Row]:
    """Give a row for each peer of which something is known."""
    for peer in view.snapshot.peers if view.snapshot else ():
        value = read(peer)
        if value is not None:
            yield (peer.vantage,), float(value)


def _witnesses(view: View, read: Callable[[WitnessNow], float | None]) -> Iterator[Row]:
    """Give a row for each peer with which the ledger's cosignatures are exchanged."""
    for witness in view.snapshot.witnesses if view.snapshot else ():
        value = read(witness)
        if value is not None:
            yield (witness.vantage,), float(value)


def _optional(value: float | None) -> Iterator[Row]:
    if value is not None:
        yield (), float(value)


def _bytes(view: View, file: str) -> Iterator[Row]:
    """Give the size of a database and its write-ahead log; a file that cannot be seen has none."""
    path = view.files.get(file)
    if path is not None:
        sizes = [size for part in (path, f"{path}-wal") if (size := _size(Path(part))) is not None]
        if sizes:
            yield (), sum(sizes)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


AGENT_FAMILIES: tuple[AnyFamily, ...] = (
    Family(
        name="demarc_agent_info",
        kind=FamilyKind.INFO,
        labels=("vantage", "operator"),
        help="The vantage that this agent measures from, and the party that operates it.",
        read=lambda view: [((view.vantage, view.operator), 1)],
    ),
    Family(
        name="demarc_build_info",
        kind=FamilyKind.INFO,
        labels=("version",),
        help="The version of the agent.",
        read=lambda view: [((view.version,), 1)],
    ),
    Family(
        name="demarc_chain_info",
        kind=FamilyKind.INFO,
        labels=("hash",),
        help="SHA-256 of the canonical chain in use; agents with another one do not merge observations.",
        read=lambda view: [((view.chain.hash,), 1)],
    ),
    Family(
        name="demarc_config_last_reload_successful",
        help="1 when the last (re)load of the configuration was taken, 0 when it was refused.",
        read=lambda view: [((), float(view.reload_successful))],
    ),
    Family(
        name="demarc_config_last_reload_success_timestamp_seconds",
        help="When a configuration was last taken (UTC epoch seconds).",
        read=lambda view: _optional(view.reload_at),
    ),
    Family(
        name="demarc_scheduler_lag_seconds",
        kind=FamilyKind.HISTOGRAM,
        help="How much later than planned probes started.",
        read=lambda view: [((), view.lag)],
        bounds=LAG_BOUNDS,
    ),
    Family(
        name="demarc_scheduler_missed_total",
        kind=FamilyKind.COUNTER,
        help="Runs of probes that were left out: the agent stood still, or too many attempts were under way.",
        read=lambda view: [((), view.running.missed)],
    ),
    Family(
        name="demarc_attempts_refused_total",
        kind=FamilyKind.COUNTER,
        help="Attempts that were not started because too many were under way; counted as missed too.",
        read=lambda view: [((), view.running.refused)],
    ),
    Family(
        name="demarc_confirmations_total",
        kind=FamilyKind.COUNTER,
        help="Confirmations begun: a failure was looked at again with fresh sockets, and its neighbours with it.",
        read=lambda view: [((), view.running.confirmations)],
    ),
    Family(
        name="demarc_loop_stalls_total",
        kind=FamilyKind.COUNTER,
        help="How often the watchdog found the event loop blocked; the rounds of that time are unknown.",
        read=lambda view: [((), view.stalls)],
    ),
    Family(
        name="demarc_host_events_total",
        kind=FamilyKind.COUNTER,
        help="Changes of links, addresses and routes that the kernel told of; each leads to a new self-check.",
        read=lambda view: [((), view.running.host_events)],
    ),
    Family(
        name="demarc_host_event_overruns_total",
        kind=FamilyKind.COUNTER,
        help="How often more changes came than the kernel keeps for us; the host's state was read anew.",
        read=lambda view: [((), view.running.host_overruns)],
    ),
    Family(
        name="demarc_sink_errors_total",
        kind=FamilyKind.COUNTER,
        labels=("sink",),
        help="Errors in a part that takes observations or transitions; the log has the first of a series.",
        read=lambda view: (((sink,), number) for sink, number in view.running.sink_errors.items()),
    ),
    Family(
        name="demarc_observations_dropped_total",
        kind=FamilyKind.COUNTER,
        labels=("sink",),
        help="Observations that a full queue did not take; incidents are never dropped.",
        read=lambda view: (((sink,), number) for sink, number in view.dropped.items()),
    ),
    Family(
        name="demarc_ledger_recording",
        help="1 while the ledger records, 0 when it stopped; probing and paging go on.",
        read=lambda view: _recording(view, "ledger"),
    ),
    Family(
        name="demarc_ledger_entries",
        help="Entries in the ledger.",
        read=lambda view: _optional(view.ledger_entries),
    ),
    Family(
        name="demarc_ledger_bound_timestamp_seconds",
        help="Until when the hours of this vantage's measurements are bound into the ledger (UTC epoch seconds).",
        read=lambda view: _optional(view.running.bound_until),
    ),
    Family(
        name="demarc_duty_failures_total",
        kind=FamilyKind.COUNTER,
        labels=("duty",),
        help="Failures of what the agent does for the ledger beside incidents: evidence, hours, terms; tried again.",
        read=lambda view: (((duty,), number) for duty, number in view.running.duty_failures.items()),
    ),
    Family(
        name="demarc_ledger_bytes",
        help="Size of the ledger on disk, its write-ahead log included.",
        read=lambda view: _bytes(view, "ledger"),
    ),
    Family(
        name="demarc_ledger_cosigned_entries",
        labels=("peer",),
        help="Entries of this ledger that the peer has cosigned: nobody can change them unseen, we included.",
        read=lambda view: _witnesses(view, lambda witness: witness.entries),
    ),
    Family(
        name="demarc_ledger_cosigned_timestamp_seconds",
        labels=("peer",),
        help="When the peer last cosigned this ledger (UTC epoch seconds); absent until it has.",
        read=lambda view: _witnesses(view, lambda witness: witness.time),
    ),
    Family(
        name="demarc_ledger_uncosigned_timestamp_seconds",
        labels=("peer",),
        help="When the oldest entry was written that the peer has not cosigned; absent while it has cosigned all.",
        read=lambda view: _witnesses(view, lambda witness: witness.waiting),
    ),
    Family(
        name="demarc_ledger_cosigning",
        labels=("peer",),
        help="1 while the witness cosigns this ledger in time, 0 when it is silent: behind for longer than it may be.",
        read=lambda view: _witnesses(view, lambda witness: not witness.silent),
    ),
    Family(
        name="demarc_ledger_witnessed_entries",
        labels=("peer",),
        help="Entries of the peer's ledger that this agent has cosigned.",
        read=lambda view: _witnesses(view, lambda witness: witness.cosigned),
    ),
    Family(
        name="demarc_ledger_conflict",
        labels=("peer",),
        help="1 while the peer's ledger shows two histories of which neither continues the other.",
        read=lambda view: _witnesses(view, lambda witness: witness.conflict),
    ),
    Family(
        name="demarc_store_recording",
        help="1 while observations are stored, 0 when storing stopped.",
        read=lambda view: _recording(view, "store"),
    ),
    Family(
        name="demarc_store_observations_total",
        kind=FamilyKind.COUNTER,
        help="Observations that are on disk since the agent started.",
        read=lambda view: [((), view.running.stored)],
    ),
    Family(
        name="demarc_store_queued",
        help="Observations that wait to be written.",
        read=lambda view: [((), view.running.queued)],
    ),
    Family(
        name="demarc_store_bytes",
        help="Size of the observation store on disk, its write-ahead log included.",
        read=lambda view: _bytes(view, "store"),
    ),
    Family(
        name="demarc_notify_up",
        help="1 while an Alertmanager takes the agent's alerts; absent when none is configured.",
        read=lambda view: _optional(view.notify_up),
    ),
    Family(
        name="demarc_notify_last_success_timestamp_seconds",
        help="When an Alertmanager last took the agent's alerts (UTC epoch seconds).",
        read=lambda view: _optional(view.notify_at),
    ),
    Family(
        name="demarc_peer_up",
        labels=("peer",),
        help="1 while the peer's observations arrive; without them each agent diagnoses alone.",
        read=lambda view: _peers(view, lambda peer: peer.reachable),
    ),
    Family(
        name="demarc_peer_last_answer_timestamp_seconds",
        labels=("peer",),
        help="When the peer last answered (UTC epoch seconds); absent until it has.",
        read=lambda view: _peers(view, lambda peer: peer.last),
    ),
    Family(
        name="demarc_peer_same_chain",
        labels=("peer",),
        help="1 when the peer runs the same chain; absent until it has answered.",
        read=lambda view: _peers(view, lambda peer: peer.same_chain),
    ),
    Family(
        name="demarc_peer_signed",
        labels=("peer",),
        help="1 while the peer's answers bear the signature of its key in the chain file.",
        read=lambda view: _peers(view, lambda peer: peer.signed),
    ),
    Family(
        name="demarc_peer_clock_offset_seconds",
        labels=("peer",),
        help="How far the peer's clock is ahead of ours; absent until it has answered.",
        read=lambda view: _peers(view, lambda peer: peer.clock_offset),
    ),
    Family(
        name="demarc_peer_clock_error_seconds",
        labels=("peer",),
        help="The most by which that offset may be wrong: half of what the peer's answer took.",
        read=lambda view: _peers(view, lambda peer: peer.clock_error),
    ),
)
