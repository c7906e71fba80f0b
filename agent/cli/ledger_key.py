"""`demarc ledger make-key` and `protect-key`: the private key of a ledger, at install and afterwards."""

import os
from pathlib import Path

import click

from agent import keys
from agent.ledger import KEY
from agent.ledger.keyfile import read_signer, write_signer

_DATA = Path("/var/lib/demarc")
_FOLDER = click.Path(path_type=Path, file_okay=False, exists=True)
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command(name="make-key")
@click.argument("vantage")
@click.argument("data", type=_FOLDER, default=_DATA)
def make_key(vantage: str, data: Path) -> None:
    """Make the ledger's key of VANTAGE before the first start, for its owner alone, and print its public half.

    Run it as the agent's user. What it prints goes into the chain file as `vantages.VANTAGE.key`.
    """
    try:
        signer = keys.generate(keys.origin(vantage))
        write_signer(data / KEY, signer.secret_text())
    except FileExistsError as error:
        raise click.ClickException(f"{data / KEY} is there already: `demarc ledger key` prints it") from error
    except (keys.NoteError, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(signer.verifier)


@click.command(name="protect-key")
@click.argument("passphrase", type=_FILE)
@click.argument("data", type=_FOLDER, default=_DATA)
def protect_key(passphrase: Path, data: Path) -> None:
    """Protect the ledger's key with the passphrase that the file PASSPHRASE holds.

    The agent then needs it at each start, as the systemd credential `ledger-passphrase`.
    """
    path, ready = data / KEY, data / f"{KEY}.protected"
    try:
        secret = passphrase.read_bytes().strip()
        if not secret:
            raise click.ClickException(f"{passphrase} is empty")
        signer = read_signer(path)
        write_signer(ready, keys.sealed_text(signer, secret))
        owner = path.stat()
        os.chown(ready, owner.st_uid, owner.st_gid)
        ready.replace(path)
    except (keys.NoteError, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{path} is protected; start the agent with LoadCredentialEncrypted=ledger-passphrase:…")


COMMANDS = (make_key, protect_key)
