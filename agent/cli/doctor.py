"""`demarc doctor`: what this host lacks to run the configured probes, and the remedy."""

import asyncio
import sys
from pathlib import Path

import click
import msgspec

from agent.cli.terminal import marked

EX_CONFIG = 78  # sysexits(3)
_LOOKS = {"ok": "ok", "warn": "degraded", "fail": "failed"}


@click.command("doctor")
@click.option("--config.file", "config_file", required=True, type=click.Path(path_type=Path), help="The agent file.")
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(config_file: Path, style: str) -> None:
    """Look at this host with the eyes of the configured probes; run it as the agent's user.

    Exit code 0: nothing is missing (warnings are told); 1: something is; 78: the configuration is wrong.
    """
    from agent.clock import SystemClock  # noqa: PLC0415 - `doctor --help` stays fast
    from agent.config import ConfigError, load_host_and_chain  # noqa: PLC0415
    from agent.daemon.examination import examine  # noqa: PLC0415
    from agent.daemon.finding import FAIL, Finding  # noqa: PLC0415

    try:
        host, chain = load_host_and_chain(config_file)
    except ConfigError as error:
        for problem in error.problems:
            click.echo(str(problem), err=True)
        sys.exit(EX_CONFIG)

    async def collect() -> list[Finding]:
        return [finding async for finding in examine(host, chain, SystemClock())]

    findings = asyncio.run(collect())
    if style == "json":
        click.echo(msgspec.json.format(msgspec.json.encode({"findings": findings})))
    else:
        for finding in findings:
            click.echo(f"{marked(_LOOKS[finding.state], finding.subject, 16)}{finding.text}")
            if finding.remedy:
                click.echo(f"{'':16}remedy: {finding.remedy}")
    sys.exit(1 if any(finding.state == FAIL for finding in findings) else 0)
