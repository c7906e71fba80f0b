"""`demarc vici`: the gate that lets the agent read from strongSwan's VICI socket without the right to change."""

import asyncio
import os
import shutil
import sys
from pathlib import Path

import click

EX_CANTCREAT, EX_NOPERM = 73, 77  # sysexits(3)
_MODE = 0o660


@click.command("vici")
@click.option("--charon", default="/run/charon.vici", show_default=True, help="strongSwan's own VICI socket.")
@click.option(
    "--listen",
    type=click.Path(path_type=Path),
    default=Path("/run/demarc-vici.sock"),
    show_default=True,
    help="The gate's socket; not needed where systemd passes one.",
)
@click.option("--group", default="demarc", show_default=True, help="The group that may open the gate's socket.")
def command(charon: str, listen: Path, group: str) -> None:
    """Pass on what reads strongSwan's state (list-*, stats, version, counters, events, log) and refuse all else.

    VICI itself has no read-only access: its socket is full control of the VPN. Run this as the user that may open
    it, and let the agent's probes name the gate's socket as their `target`.
    """
    import structlog  # noqa: PLC0415 - `vici --help` stays fast

    from agent.daemon.vici_gate import Gate, own_socket, passed_socket  # noqa: PLC0415
    from agent.log import LineWriter, configure  # noqa: PLC0415

    listener = passed_socket(os.environ, os.getpid())
    if listener is None:
        try:
            listener = own_socket(listen, _MODE)
            shutil.chown(listen, group=group)
        except LookupError:
            click.echo(f"there is no group {group!r}; name the agent's with --group", err=True)
            sys.exit(EX_NOPERM)
        except OSError as error:
            click.echo(f"{listen}: {error.strerror}", err=True)
            sys.exit(EX_CANTCREAT)
    lines = LineWriter(sys.stderr)
    configure(lines)
    try:
        asyncio.run(Gate(charon, structlog.get_logger()).serve(listener))
    except KeyboardInterrupt:
        sys.exit(0)
    finally:
        lines.close()
