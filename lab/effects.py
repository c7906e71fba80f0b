"""Carry out the faults of `lab.faults` in a built lab, and undo them exactly.

What must stay true: undoing works from any half-done state; what a cable does is always the sum of the active
faults, computed anew; a healed lab has its tunnel up on both sides.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from lab import tunnel
from lab.build import Site, run_in
from lab.cable import Settings
from lab.faults import FAULTS, Block, Commands, Effect, Fault, Forget, Misconfigure, Outlive, Stop, Suspend, Wire
from lab.rundir import LabError
from lab.topology import CABLES
from lab.wire import Command, order

Parameters = dict[str, float | str]
CABLE = "cable"
DEFAULT_CABLE = "last-mile"
HEAL_SECONDS = 5.0
# A tunnel fault is healed while others last: the tunnel gets this long, and may stay down.
TRY_SECONDS = 1.0


def settings_of(fault: Fault, parameters: Parameters) -> Settings:
    """Return the cable settings that a fault's parameters make; LabError for one it does not take."""
    known = {*fault.parameters, CABLE} if fault.parameters else set()
    if unknown := set(parameters) - known:
        raise LabError(f"No parameter {', '.join(sorted(unknown))}; known: {', '.join(sorted(known)) or 'none'}.")
    values = {
        parameter.setting: float(parameters.get(name, parameter.default)) * parameter.factor
        for name, parameter in fault.parameters.items()
    }
    if "queue_bytes" in values:
        values["queue_bytes"] = int(values["queue_bytes"])
    try:
        return msgspec.convert(values, Settings)
    except msgspec.ValidationError as error:
        raise LabError(f"{error}.") from error


def overlay(layers: list[Settings]) -> Settings:
    """Return one cable's settings under several faults: a later one's non-default values win, drop rules add up."""
    plain = Settings()
    merged: dict[str, Any] = {}
    for layer in layers:
        for name in Settings.__struct_fields__:
            value = getattr(layer, name)
            if name == "drop":
                merged[name] = (*merged.get(name, ()), *value)
            elif value != getattr(plain, name):
                merged[name] = value
    return Settings(**merged)


class Breakage:
    """The faults that are active, in the order of breaking, with their parameters."""

    def __init__(self, site: Site) -> None:
        self.active: dict[str, Parameters] = {}
        self._site = site
        self._apply: dict[type, Callable[[str, Any], None]] = {
            Block: self._block,
            Wire: lambda _, __: self._lay_cables(),
            Stop: self._stop,
            Commands: lambda _, effect: self._ip(effect.node, effect.broken),
            Misconfigure: self._misconfigure,
            Outlive: self._outlive,
            Forget: self._forget,
            Suspend: lambda _, __: None,  # the lab's starter signals its own processes
        }
        self._undo: dict[type, Callable[[str, Any], None]] = {
            Block: self._unblock,
            Wire: lambda _, __: self._lay_cables(),
            Stop: self._restart,
            Commands: lambda _, effect: self._ip(effect.node, effect.restored, forgiving=True),
            Misconfigure: lambda _, effect: self._reload((effect.node,)),
            Outlive: lambda _, __: self._reload(tuple(tunnel.GATEWAYS)),
            Forget: lambda _, __: self._reload(tuple(tunnel.GATEWAYS)),
            Suspend: lambda _, __: None,
        }

    def break_(self, name: str, parameters: Parameters) -> None:
        """Make the fault; LabError when it is unknown, active already, or cannot be made (then it is undone)."""
        if name not in FAULTS:
            raise LabError(f"No fault {name!r}; known: {', '.join(FAULTS)}.")
        if name in self.active:
            raise LabError(f"{name} is active already; heal it first.")
        fault = FAULTS[name]
        settings_of(fault, parameters)
        if parameters.get(CABLE, DEFAULT_CABLE) not in CABLES:
            raise LabError(f"No cable {parameters[CABLE]!r}; known: {', '.join(CABLES)}.")
        self.active[name] = parameters
        try:
            for effect in fault.effects:
                self._apply[type(effect)](name, effect)
        except (LabError, OSError, ValueError) as error:
            del self.active[name]
            self._undo_all(name)
            raise LabError(f"{name} could not be made: {error}") from error

    def heal(self, name: str | None) -> None:
        """Undo one fault, or all; once nothing is broken the tunnel is up again. LabError when it does not come."""
        if name is not None and name not in self.active:
            raise LabError(f"{name} is not active; active: {', '.join(self.active) or 'none'}.")
        names = [name] if name is not None else list(reversed(self.active))
        for healed in names:
            del self.active[healed]
        troubles = [trouble for healed in names for trouble in self._undo_all(healed)]
        swanctl = self._site.swanctl
        if self.active:
            if any(
                isinstance(effect, Misconfigure | Outlive | Forget)
                for healed in names
                for effect in FAULTS[healed].effects
            ):
                swanctl.restart(seconds=TRY_SECONDS)
        elif not (swanctl.settled(seconds=HEAL_SECONDS) or swanctl.restart(seconds=HEAL_SECONDS)):
            troubles.append(f"the tunnel does not come up within {HEAL_SECONDS} s")
        if troubles:
            raise LabError(f"Healed {', '.join(names)}, but: {'; '.join(troubles)}.")

    def _undo_all(self, name: str) -> list[str]:
        """Undo every effect of a fault, the last first; return what went wrong."""
        troubles = []
        for effect in reversed(FAULTS[name].effects):
            try:
                self._undo[type(effect)](name, effect)
            except (LabError, OSError, ValueError) as error:
                troubles.append(str(error))
        return troubles

    def _nft(self, node: str, script: str) -> None:
        run_in(self._site.networks[node], ["nft", "-f", "-"], script)

    def _block(self, name: str, effect: Block) -> None:
        chains = "".join(
            f"  chain {hook} {{\n    type filter hook {hook} priority -10\n"
            + "".join(f"    {rule}\n" for at, rule in effect.rules if at == hook)
            + "  }\n"
            for hook in dict.fromkeys(hook for hook, _ in effect.rules)
        )
        self._nft(effect.node, f"table inet {_table(name)} {{\n{chains}}}\n")

    def _unblock(self, name: str, effect: Block) -> None:
        # Adding first makes the deletion work whether or not the table is there.
        self._nft(effect.node, f"add table inet {_table(name)}\ndelete table inet {_table(name)}\n")

    def _lay_cables(self) -> None:
        """Give every cable the sum of the active faults' settings."""
        layers: dict[str, list[Settings]] = {name: [] for name in CABLES}
        for name, parameters in self.active.items():
            for effect in FAULTS[name].effects:
                if isinstance(effect, Wire):
                    cable = effect.cable or str(parameters.get(CABLE, DEFAULT_CABLE))
                    layers[cable] += [effect.settings, settings_of(FAULTS[name], parameters)]
        for cable, settings in layers.items():
            merged = overlay(settings)
            order(self._site.run_dir / f"{cable}.cable", Command(ab=merged, ba=merged))

    def _stop(self, _: str, effect: Stop) -> None:
        self._site.services.stop(effect.service)
        if effect.instead:
            self._site.services.start(effect.instead)
            self._site.services.wait(effect.instead)

    def _restart(self, _: str, effect: Stop) -> None:
        services = self._site.services
        if effect.instead:
            services.stop(effect.instead)
        services.start(effect.service)
        services.wait(effect.service)
        node = services.node_of(effect.service)
        if node in tunnel.GATEWAYS:
            self._site.swanctl.load(node)

    def _ip(self, node: str, lines: tuple[str, ...], *, forgiving: bool = False) -> None:
        """Run `ip` lines; `forgiving` goes on where one is already as it should be."""
        options = ["-force"] if forgiving else []
        try:
            run_in(self._site.networks[node], ["ip", *options, "-batch", "-"], "\n".join(lines) + "\n")
        except LabError:
            if not forgiving:
                raise

    def _misconfigure(self, _: str, effect: Misconfigure) -> None:
        swanctl = self._site.swanctl
        swanctl.load(effect.node, change=effect.change)
        for node in ("cloud-gw",) if effect.stands else tunnel.GATEWAYS:
            swanctl.drop(node)
        swanctl.order("cloud-gw", "--initiate", "--child", tunnel.CHILD, "--timeout", "1")

    def _outlive(self, _: str, effect: Outlive) -> None:
        """Renegotiate with short-lived keys, then change what the next negotiation will meet."""
        swanctl = self._site.swanctl
        swanctl.load("cloud-gw", change=tunnel.SHORT_KEYS)
        if not swanctl.restart():
            raise LabError("the tunnel does not come up with short-lived keys")
        swanctl.load(effect.node, change=effect.change)

    def _forget(self, name: str, effect: Forget) -> None:
        """Renegotiate without dead peer detection, then delete at one side while its word cannot leave."""
        swanctl = self._site.swanctl
        for node in reversed(tunnel.GATEWAYS):
            swanctl.load(node, dpd_seconds=tunnel.NO_DPD)
        if not swanctl.restart():
            raise LabError("the tunnel does not come up without dead peer detection")
        mute = Block(node=effect.node, rules=(("output", "udp sport { 500, 4500 } drop"),))
        self._block(name, mute)
        try:
            swanctl.drop(effect.node)
        finally:
            self._unblock(name, mute)

    def _reload(self, nodes: tuple[str, ...]) -> None:
        """Restore the agreed configuration; what was negotiated under another one is dropped."""
        for node in nodes:
            self._site.swanctl.load(node)
        for node in tunnel.GATEWAYS:
            self._site.swanctl.drop(node)


def _table(name: str) -> str:
    return f"fault_{name.replace('-', '_')}"


def suspended_nodes(fault: Fault) -> tuple[str, ...]:
    """Return the nodes whose started processes the fault suspends."""

    def node_of(effect: Effect) -> tuple[str, ...]:
        return (effect.node,) if isinstance(effect, Suspend) else ()

    return tuple(node for effect in fault.effects for node in node_of(effect))
