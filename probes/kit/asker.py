"""From a target as a chain file names it to a finished exchange: its name's address, TLS context, connection.

What must stay true: an attempt needs no task unless a name must be asked for or a file be read first; what our own
host lacks is `unknown` and nothing is sent; every exchange ends by its deadline or with its caller.
"""

import asyncio
import ssl
from collections.abc import Callable

import msgspec

from probes.kit.address import Endpoint
from probes.kit.dialogue import Dialogue
from probes.kit.exchange import Ask, Exchange, Exchanged, Opening
from probes.kit.readiness import Readiness
from probes.kit.resolver import ResolveError, locate, resolve_result
from probes.kit.result import Result, Stage, unknown
from probes.kit.spec import Kit
from probes.kit.tls import Contexts, FileError, Trust
from probes.kit.trouble import LATE, result_of


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to ask: `end`, with TLS when there is `trust`, in which case `server_name` is for SNI and certificate."""

    end: Endpoint
    trust: Trust | None = None
    server_name: str = ""


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """A finished exchange, and the phase before it when its name had to be asked for."""

    made: Exchanged
    resolved: dict[str, float] = {}

    @property
    def seconds(self) -> float:
        """Return the whole attempt's seconds."""
        return self.made.seconds + sum(self.resolved.values())

    @property
    def phases(self) -> dict[str, float]:
        """Return the phases that were reached, in their order."""
        return {**self.resolved, **self.made.phases}


class Asker:
    """What all attempts of a runner share: contexts, the loop's one watch over their sockets."""

    def __init__(self, kit: Kit, readiness: Readiness) -> None:
        self._kit = kit
        self._readiness = readiness
        self._contexts = Contexts()

    def launch(
        self,
        target: Target,
        deadline: float,
        ended: Callable[[Heard], None],
        *,
        dialogue: Dialogue | None = None,
        opening: Opening | None = None,
    ) -> bool:
        """Start now; False when a name must be asked for or a context be loaded first."""
        end = target.end
        address = self._kit.resolver.known(end.host, end.family) if end.named else end.host
        context = self._contexts.kept(target.trust) if target.trust else None
        if address is None or (target.trust is not None and context is None):
            return False

        def done(made: Exchanged | Exception) -> None:
            if isinstance(made, Exception):
                raise made
            ended(Heard(made=made))

        ask = _ask(target, address, context, opening, dialogue)
        Exchange(ask, deadline, clock=self._kit.clock, readiness=self._readiness, done=done).start()
        return True

    async def ask(
        self,
        target: Target,
        deadline: float,
        *,
        dialogue: Dialogue | None = None,
        opening: Opening | None = None,
    ) -> Heard | Result:
        """Do it and wait; a Result when it ended before the connection."""
        clock = self._kit.clock
        context = await self._context(target.trust, deadline) if target.trust else None
        if isinstance(context, FileError):
            return unknown(context.fault, context.detail)
        if target.trust is not None and context is None:
            return result_of(LATE, Stage.SECURE)
        resolved: dict[str, float] = {}
        start = clock.boot()
        try:
            address = await locate(self._kit, target.end, deadline, resolved)
        except ResolveError as error:
            return resolve_result(error, clock.boot() - start)
        future: asyncio.Future[Exchanged] = asyncio.get_running_loop().create_future()
        ask = _ask(target, address, context, opening, dialogue)
        exchange = Exchange(ask, deadline, clock=clock, readiness=self._readiness, done=lambda m: _settle(future, m))
        try:
            exchange.start()
            return Heard(made=await future, resolved=resolved)
        finally:
            exchange.abandon()

    async def _context(self, trust: Trust, deadline: float) -> ssl.SSLContext | FileError | None:
        """Return the TLS context, None when a slow disk gives it too late."""
        kept = self._contexts.kept(trust)
        if kept is not None:
            return kept
        try:
            async with asyncio.timeout(max(deadline - self._kit.clock.boot(), 0.0)):
                return await self._contexts.load(trust)
        except TimeoutError:
            return None


def _ask(
    target: Target, address: str, context: ssl.SSLContext | None, opening: Opening | None, dialogue: Dialogue | None
) -> Ask:
    return Ask(
        address=address,
        port=target.end.port or 0,
        family=target.end.family,
        opening=opening,
        context=context,
        server_name=target.server_name,
        dialogue=dialogue,
    )


def _settle(future: "asyncio.Future[Exchanged]", made: Exchanged | Exception) -> None:
    if future.done():
        return
    if isinstance(made, Exception):
        future.set_exception(made)
    else:
        future.set_result(made)
