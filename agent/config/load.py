"""Files to values: the only module of the configuration that reads the disk."""

from pathlib import Path
from typing import Final

import msgspec

from agent.config.chain import ExaminedChain, examine_chain
from agent.config.document import MAX_BYTES, Mapping, parse
from agent.config.host import chain_beside, examine_host
from agent.config.problem import ConfigError, Problem
from agent.config.registry import InstalledTypes, ProbeTypes
from agent.model import Chain, Host

_INSTALLED = InstalledTypes()
_REMEDIES: Final[dict[type[Exception], str]] = {
    IsADirectoryError: "; name the file in it",
    PermissionError: "; run this as root, or as a user who may read it",
}


class Examined(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is to be said of a chain file, or of an agent file and its chain file."""

    chain: Chain | None
    host: Host | None = None
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


def load_chain(path: Path, types: ProbeTypes = _INSTALLED) -> Chain:
    """Return the chain file at `path`; ConfigError holds all its problems."""
    return load_chain_text(_bytes(path), str(path), types)


def load_chain_text(data: bytes, name: str, types: ProbeTypes = _INSTALLED) -> Chain:
    """Return the chain that `data` holds; `name` is the file's name in problems."""
    return examine_chain(data, name, types).loaded()


def load_host(path: Path) -> Host:
    """Return the agent file at `path`, without looking at its chain file."""
    return examine_host(_bytes(path), path).loaded()


def load_host_and_chain(path: Path, types: ProbeTypes = _INSTALLED) -> tuple[Host, Chain]:
    """Return the agent file at `path` and its chain file; ConfigError holds the problems of both."""
    examined = examine(path, types, host=True)
    if examined.problems or examined.host is None or examined.chain is None:
        raise ConfigError(examined.problems)
    return examined.host, examined.chain


def is_host_file(data: bytes) -> bool:
    """Tell an agent file (it has `chain`, and no `segments`) from a chain file."""
    root = parse(data, "").root
    return isinstance(root, Mapping) and "chain" in root.entries and "segments" not in root.entries


def examine(path: Path, types: ProbeTypes = _INSTALLED, *, host: bool = False) -> Examined:
    """Return all that is wrong and doubtful; `host` when the file must be an agent file.

    Raises nothing for what the files hold; a file that cannot be read is a problem too.
    """
    try:
        data = _bytes(path)
    except ConfigError as error:
        return Examined(chain=None, problems=error.problems)
    if not host and not is_host_file(data):
        found = examine_chain(data, str(path), types)
        return Examined(chain=found.chain, problems=found.problems, warnings=found.warnings)
    chain_file = chain_beside(data, path)
    found = _chain_of(chain_file, types) if chain_file else ExaminedChain(chain=None, problems=(), warnings=())
    examined = examine_host(data, path, found.chain)
    return Examined(
        chain=found.chain,
        host=examined.host,
        problems=examined.problems + found.problems,
        warnings=found.warnings,
    )


def _chain_of(path: Path, types: ProbeTypes) -> ExaminedChain:
    try:
        return examine_chain(_bytes(path), str(path), types)
    except ConfigError as error:
        return ExaminedChain(chain=None, problems=error.problems, warnings=())


def _bytes(path: Path) -> bytes:
    """Return the file's bytes, one more than the bound at most; ConfigError when it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        text = f"cannot be read: {reason}{_REMEDIES.get(type(error), '')}"
        raise ConfigError([Problem(file=str(path), line=1, key="", text=text)]) from None
