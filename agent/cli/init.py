"""`demarc init`: a first chain file and agent file for this host, which pass `demarc check`."""

import ipaddress
import os
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click
import msgspec

from agent.clock import SystemClock
from agent.config import ConfigError, load_chain_text
from agent.config.first import Answers, Neighbourhood, agent_file, chain_file, neighbourhood
from agent.config.scalars import name_fault
from agent.model import SIDES

_ROUTE = Path("/proc/net/route")
# systemd-resolved keeps the real servers beside its stub (resolved.conf(5)).
_RESOLV = (Path("/run/systemd/resolve/resolv.conf"), Path("/etc/resolv.conf"))
_LOCALTIME = Path("/etc/localtime")


@click.command("init")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False), default=Path())
@click.option("--operator", default="Operator", show_default=True, help="The party that operates this host.")
@click.option("--vantage", default="cloud", show_default=True, help="The name of this host as a vantage.")
@click.option("--side", type=click.Choice(SIDES), default="cloud", show_default=True, help="The host's side.")
@click.option("--gateway", help="The default gateway's address, where it cannot be detected.")
@click.option("--timezone", help="IANA timezone of the chain; default: this host's.")
@click.option("--data", default="/var/lib/demarc", show_default=True, help="Where the agent keeps its records.")
def command(
    *, directory: Path, operator: str, vantage: str, side: str, gateway: str | None, timezone: str | None, data: str
) -> None:
    """Write chain.yml and agent.yml into DIRECTORY for this host; never overwrites."""
    chain_path, agent_path = directory / "chain.yml", directory / "agent.yml"
    for path in (chain_path, agent_path):
        if os.path.lexists(path):
            raise click.ClickException(f"{path} exists already; nothing was written")
    _refuse(name_fault(vantage), "--vantage")
    _refuse("" if operator.strip() and operator.isprintable() else "write the party's name", "--operator")
    said = Answers(
        operator=operator,
        vantage=vantage,
        side=side,
        timezone=timezone or local_timezone(),
        effective=_midnight(timezone or local_timezone()),
        data=data,
    )
    try:
        texts = {chain_path: chain_file(_near(gateway), said), agent_path: agent_file(said)}
        load_chain_text(texts[chain_path].encode(), str(chain_path))
        directory.mkdir(parents=True, exist_ok=True)
        for path, text in texts.items():
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise click.ClickException(
            f"{error.filename}: {error.strerror}; give a directory that you may write to, or run this as root"
        ) from error
    except (ValueError, ConfigError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"wrote {chain_path} and {agent_path}; next: demarc check {agent_path}")


def _refuse(fault: str, option: str) -> None:
    if fault:
        raise click.BadParameter(fault, param_hint=option)


def _near(gateway: str | None) -> Neighbourhood:
    """Return what the host sees, with the gateway that was named."""
    resolv = next((text for path in _RESOLV if (text := _text(path))), "")
    near = neighbourhood(_text(_ROUTE), resolv)
    if gateway is None:
        return near
    named = str(ipaddress.ip_address(gateway))
    return msgspec.structs.replace(near, gateway=named)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def local_timezone() -> str:
    """Return the host's IANA timezone from the link /etc/localtime, UTC when it is none."""
    name = str(_LOCALTIME.resolve()).partition("zoneinfo/")[2]
    try:
        return ZoneInfo(name).key if name else "Etc/UTC"
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return "Etc/UTC"


def _midnight(timezone: str) -> datetime:
    """Return the start of today in `timezone`, or BadParameter for an unknown one."""
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise click.BadParameter(f"there is no timezone `{timezone}`", param_hint="--timezone") from None
    now = datetime.fromtimestamp(SystemClock().wall(), UTC).astimezone(zone)
    return now.replace(hour=0, minute=0, second=0, microsecond=0)
