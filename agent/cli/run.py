"""`demarc run`: the agent in the foreground, as a service manager runs it."""

import sys
from pathlib import Path
from typing import Literal

import click

from agent.daemon.errors import EX_CONFIG, StartError
from agent.daemon.options import Options
from agent.model import Chain, Host


@click.command("run")
@click.option(
    "--config.file",
    "config_file",
    required=True,
    type=click.Path(path_type=Path),
    help="The agent file: vantage, chain, data directory, peers, Alertmanagers.",
)
@click.option(
    "--web.listen-address",
    "listen",
    default=":10199",
    show_default=True,
    help="Where page, API and metrics are served, such as :10199 or 127.0.0.1:10199.",
)
@click.option(
    "--web.config.file",
    "web_config",
    type=click.Path(path_type=Path),
    help="TLS, client certificates and passwords in exporter-toolkit form.",
)
@click.option(
    "--log.level", "level", type=click.Choice(["debug", "info", "warn", "error"]), default="info", show_default=True
)
@click.option("--log.format", "form", type=click.Choice(["json", "logfmt"]), default="logfmt", show_default=True)
def command(
    config_file: Path, listen: str, web_config: Path | None, level: str, form: Literal["json", "logfmt"]
) -> None:
    """Run the agent: probe the chain, diagnose, record, alert.

    Incidents go to standard output, one JSON object a line; everything else to standard error.
    SIGHUP reads the files again, SIGTERM stops in order. Exit codes: 78 the configuration is wrong,
    73 the data directory cannot be used, 69 the address is taken.
    """
    from agent.config import ConfigError, load_host_and_chain  # noqa: PLC0415 - `run --help` stays fast

    try:
        host, chain = load_host_and_chain(config_file)
        options = Options(config_file=config_file, listen=listen, web_config=web_config)
        _run(options, host, chain, level=level, form=form)
    except ConfigError as error:
        for problem in error.problems:
            click.echo(str(problem), err=True)
        sys.exit(EX_CONFIG)
    except StartError as error:
        click.echo(f"{error.problem}\n  remedy: {error.remedy}", err=True)
        sys.exit(error.code)


def _run(options: Options, host: Host, chain: Chain, *, level: str, form: Literal["json", "logfmt"]) -> None:
    # structlog loads rich and pygments where they happen to be installed: 5 MB for colours that no daemon shows.
    sys.modules.setdefault("rich", None)  # type: ignore[arg-type]  # None refuses an import
    import asyncio  # noqa: PLC0415 - loaded when the agent really runs

    import structlog  # noqa: PLC0415

    from agent.clock import SystemClock  # noqa: PLC0415
    from agent.daemon.process import Agent  # noqa: PLC0415
    from agent.log import LineWriter, configure  # noqa: PLC0415

    errors, incidents = LineWriter(sys.stderr), LineWriter(sys.stdout)
    configure(errors, level=level, form=form)

    async def run() -> None:
        agent = Agent(options, host, chain, clock=SystemClock(), log=structlog.get_logger(), write_line=incidents.write)
        await agent.run()

    try:
        asyncio.run(run())
    finally:
        incidents.close()
        errors.close()
