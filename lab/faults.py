"""The faults as data: what each does physically, and what the chain's diagnosis may conclude from it.

`FAULTS` is the table that the lab, the scenario tests and the demo read. A fault's effects are values that
`lab.effects` carries out and undoes. A finding that says more than the table is a failure, like one that says less.
"""

import msgspec

from lab.cable import Settings
from lab.topology import ADDRESSES, CLOUD_PREFIX, ERP_PORT
from lab.tunnel import NARROW_NETWORKS, OTHER_ESP, OTHER_IKE, OTHER_KEY, OTHER_NETWORKS, Change

ATTRIBUTED = "attributed"
UNDETERMINED = "undetermined"
MONITOR = "monitor"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What must be found. `kinds`: any of these. `party`: the proven one (kind attributed).

    `candidates` must all be among those that remain, and nobody beside them and `perhaps`.
    `never` is not to be proven alone. `rests_on` names the operators on whose word the finding rests (None: not
    fixed). `vantages` are those that cannot look (kind monitor).
    """

    kinds: tuple[str, ...]
    party: str | None = None
    candidates: tuple[str, ...] = ()
    perhaps: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    rests_on: tuple[str, ...] | None = None
    vantages: tuple[str, ...] = ()


def proven(party: str, rests_on: tuple[str, ...] | None = None) -> Finding:
    """Return the finding that one party's segment is the cause."""
    return Finding(kinds=(ATTRIBUTED,), party=party, candidates=(party,), rests_on=rests_on)


def open_between(*candidates: str, perhaps: tuple[str, ...] = ()) -> Finding:
    """Return the finding that it cannot be decided between these."""
    return Finding(kinds=(UNDETERMINED,), candidates=candidates, perhaps=perhaps)


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """Packet filter rules in one node, by hook (input, output, forward, prerouting)."""

    node: str
    rules: tuple[tuple[str, str], ...]


class Wire(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of a cable, both directions; `cable` empty: the one that the parameter `cable` names."""

    cable: str = ""
    settings: Settings = Settings()


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """A server is killed; `instead` runs in its place."""

    service: str
    instead: str | None = None


class Commands(msgspec.Struct, frozen=True, kw_only=True):
    """`ip` lines in one node: to break, and to restore exactly."""

    node: str
    broken: tuple[str, ...]
    restored: tuple[str, ...]


class Misconfigure(msgspec.Struct, frozen=True, kw_only=True):
    """One line of what was agreed is changed at one gateway and the tunnel renegotiated.

    `stands`: it comes up again in the same moment, so it is ended from one side only.
    """

    node: str
    change: Change
    stands: bool = False


class Outlive(msgspec.Struct, frozen=True, kw_only=True):
    """The same, without a negotiation: the tunnel lives on until its keys, which are short-lived now, expire."""

    node: str
    change: Change


class Forget(msgspec.Struct, frozen=True, kw_only=True):
    """One gateway deletes its SA and the other never hears of it (no dead peer detection meanwhile)."""

    node: str


class Suspend(msgspec.Struct, frozen=True, kw_only=True):
    """Whatever was started in the node by `exec` or `popen` is stopped by SIGSTOP."""

    node: str


Effect = Block | Wire | Stop | Commands | Misconfigure | Outlive | Forget | Suspend


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """A number a fault takes: the cable setting it becomes, times `factor`."""

    setting: str
    default: float
    factor: float = 1.0
    help: str = ""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One way to break the chain.

    `row` names the row of the first issue's table that it realises, `catalogue` those of the failure catalogue
    of hybrid chains (docs/vpn.md).
    """

    does: str
    effects: tuple[Effect, ...]
    row: str = ""
    catalogue: tuple[int, ...] = ()
    cloud: Finding | None = None
    both: Finding | None = None
    parameters: dict[str, Parameter] = {}


def _silent(node: str) -> tuple[Effect, ...]:
    """Return what makes a gateway look without power: it takes, sends and resolves nothing.

    Its LAN switch, a bridge in the same node, goes on: a switch has a power supply of its own.
    """
    hooks = ("input", "output", "forward")
    ends = ("lan0", "wan0")
    return (
        Block(node=node, rules=tuple((hook, "drop") for hook in hooks)),
        Commands(
            node=node,
            broken=tuple(f"link set {end} arp off" for end in ends),
            restored=tuple(f"link set {end} arp on" for end in ends),
        ),
    )


def _link_down(node: str, gateway: str) -> Commands:
    # The kernel forgets a device's routes when it goes down; the server VLAN's are not concerned.
    return Commands(
        node=node,
        broken=("link set eth0 down",),
        restored=("link set eth0 up", f"route add default via {gateway} dev eth0"),
    )


def _shaping(does: str, parameters: dict[str, Parameter]) -> Fault:
    return Fault(does=f"{does}.", effects=(Wire(),), parameters=parameters)


_CUT = Settings(drop=("all",))
# ESP in UDP (RFC 3948): port 4500 and a first word that is not zero; IKE on the same port starts with zeros.
_ESP = "udp dport 4500 @th,64,32 != 0 drop"
# As strongSwan itself puts it there.
_INTO_TUNNEL = f"{CLOUD_PREFIX} dev ipsec0 proto static scope global src {ADDRESSES['onprem-gw']} table 220"
# Passes an IKE message, a ping and a TCP handshake inside the tunnel; not a full-size TLS flight.
_HOLE_BYTES = 1200
_OUTER = ("incumbent", "msp")
_JOINT = ("incumbent", "msp")
_BLIND = Finding(kinds=(MONITOR,), vantages=("cloud",))

FAULTS: dict[str, Fault] = {
    "app-stopped": Fault(
        does="The ERP web server is stopped; its host refuses connections.",
        effects=(Stop(service="erp"),),
        row="app stopped",
        cloud=proven("incumbent"),
        both=proven("incumbent"),
    ),
    "app-slow": Fault(
        does="The ERP web server accepts and shakes hands, and never answers a request.",
        effects=(Stop(service="erp", instead="erp-silent"),),
        row="app slow",
        cloud=proven("incumbent"),
        both=proven("incumbent"),
    ),
    "fw-drops-port": Fault(
        does="The on-premise firewall silently drops TCP to the ERP's port.",
        effects=(
            Block(
                node="onprem-fw",
                rules=(("forward", f"ip daddr {ADDRESSES['erp']} tcp dport {ERP_PORT} drop"),),
            ),
        ),
        row="firewall drops one port",
        catalogue=(13,),
        cloud=proven("incumbent"),
        both=proven("incumbent"),
    ),
    "onprem-gw-no-forward": Fault(
        does="The on-premise gateway answers on all its addresses and forwards nothing.",
        effects=(Block(node="onprem-gw", rules=(("forward", "drop"),)),),
        row="on-prem gateway stops forwarding",
        cloud=proven("incumbent"),
        both=proven("incumbent"),
    ),
    "cloud-gw-dead": Fault(
        does="The cloud gateway is without power: silent on every side, its IKE daemon gone.",
        effects=(Stop(service="ike-cloud"), *_silent("cloud-gw")),
        row="cloud gateway dead",
        cloud=proven("msp"),
        both=proven("msp"),
    ),
    "near-cut": Fault(
        does="The cable between the cloud gateway and the carrier's edge carries nothing.",
        effects=(Wire(cable="near", settings=_CUT),),
        row="near cable cut",
        cloud=proven("carrier"),
        both=proven("carrier"),
    ),
    "carrier-core-dead": Fault(
        does="The carrier's core forwards and answers nothing; both its edges answer.",
        effects=(Block(node="carrier-core", rules=(("input", "drop"), ("output", "drop"), ("forward", "drop"))),),
        row="carrier core dead",
        cloud=open_between("carrier", "incumbent", perhaps=("msp",)),
        both=proven("carrier", rests_on=_OUTER),
    ),
    "last-mile-cut": Fault(
        does="The cable between the carrier's far edge and the on-premise gateway carries nothing.",
        effects=(Wire(cable="last-mile", settings=_CUT),),
        row="last mile cut",
        catalogue=(1,),
        cloud=open_between("carrier", "incumbent", perhaps=("msp",)),
        both=proven("carrier", rests_on=_OUTER),
    ),
    "wrong-psk": Fault(
        does="The pre-shared key is changed on the on-premise side only; the tunnel cannot be set up again.",
        effects=(Misconfigure(node="onprem-gw", change=OTHER_KEY),),
        row="wrong PSK",
        catalogue=(4,),
        cloud=open_between(*_JOINT, perhaps=("carrier",)),
        both=open_between(*_JOINT, perhaps=("carrier",)),
    ),
    "ike-proposals": Fault(
        does="The IKE proposals are changed on the on-premise side only; the tunnel cannot be set up again.",
        effects=(Misconfigure(node="onprem-gw", change=OTHER_IKE),),
        catalogue=(5,),
        cloud=open_between(*_JOINT, perhaps=("carrier",)),
        both=open_between(*_JOINT, perhaps=("carrier",)),
    ),
    "selectors": Fault(
        does="The on-premise gateway has other networks for the tunnel: IKE comes up, the child does not.",
        effects=(Misconfigure(node="onprem-gw", change=OTHER_NETWORKS),),
        catalogue=(6,),
        cloud=open_between(*_JOINT, perhaps=("carrier",)),
        both=open_between(*_JOINT, perhaps=("carrier",)),
    ),
    "selectors-narrowed": Fault(
        does="The on-premise gateway has a part of its network for the tunnel, in which the servers are not.",
        effects=(
            # strongSwan lays a route for each network of its own side, from an address of the gateway in it.
            Commands(
                node="onprem-gw",
                broken=("addr add 10.20.0.25/32 dev lan0",),
                restored=("addr del 10.20.0.25/32 dev lan0",),
            ),
            Misconfigure(node="onprem-gw", change=NARROW_NETWORKS, stands=True),
        ),
        catalogue=(6,),
        cloud=open_between(*_JOINT),
        both=open_between(*_JOINT),
    ),
    "rekey-fails": Fault(
        does="The ESP proposals are changed on the on-premise side only; the tunnel ends when its keys do.",
        effects=(Outlive(node="onprem-gw", change=OTHER_ESP),),
        catalogue=(5, 8),
        cloud=open_between(*_JOINT, perhaps=("carrier",)),
        both=open_between(*_JOINT, perhaps=("carrier",)),
    ),
    "cloud-gw-no-forward": Fault(
        does="The cloud gateway answers on all its addresses and forwards nothing.",
        effects=(Block(node="cloud-gw", rules=(("forward", "drop"),)),),
        catalogue=(12,),
        cloud=open_between("msp", perhaps=("carrier", "incumbent", "microsoft")),
        both=proven("msp", rests_on=("incumbent",)),
    ),
    "return-route-lost": Fault(
        does="The on-premise gateway has lost its route into the tunnel: packets arrive, the answers do not leave.",
        effects=(
            Commands(
                node="onprem-gw",
                broken=(f"route del {_INTO_TUNNEL}",),
                restored=(f"route replace {_INTO_TUNNEL}",),
            ),
        ),
        catalogue=(14,),
        cloud=open_between(*_JOINT, perhaps=("carrier",)),
        both=open_between(*_JOINT, perhaps=("carrier",)),
    ),
    "esp-dropped": Fault(
        does="The on-premise gateway drops ESP in both directions; IKE passes and the SA stays up.",
        effects=(Block(node="onprem-gw", rules=(("input", _ESP), ("output", _ESP))),),
        row="ESP dropped while IKE passes",
        cloud=open_between(*_JOINT, perhaps=("carrier",)),
        both=open_between(*_JOINT, perhaps=("carrier",)),
    ),
    "esp-one-way": Fault(
        does="The on-premise gateway's own ESP is dropped as it leaves: the cloud is heard and hears nothing.",
        effects=(Block(node="onprem-gw", rules=(("output", _ESP),)),),
        catalogue=(14,),
        cloud=open_between(*_JOINT, perhaps=("carrier",)),
        both=open_between(*_JOINT, perhaps=("carrier",)),
    ),
    "one-sided-delete": Fault(
        does="The on-premise gateway has deleted its SA; the cloud gateway still sends into it.",
        effects=(Forget(node="onprem-gw"),),
        row="one-sided delete",
        cloud=open_between(*_JOINT, perhaps=("carrier",)),
        both=open_between(*_JOINT, perhaps=("carrier",)),
    ),
    "onprem-gw-dead": Fault(
        does="The on-premise gateway is without power: silent on every side, its IKE daemon gone.",
        effects=(Stop(service="ike-onprem"), *_silent("onprem-gw")),
        row="on-prem gateway dead",
        catalogue=(3,),
        cloud=open_between("carrier", "incumbent", perhaps=("msp",)),
        both=proven("incumbent"),
    ),
    "dns-stopped": Fault(
        does="The name server is stopped.",
        effects=(Stop(service="dns"),),
        row="DNS stopped",
        cloud=proven("msp"),
        both=proven("msp"),
    ),
    "mtu-hole": Fault(
        does=f"The carrier's last mile loses IP packets longer than {_HOLE_BYTES} bytes without a word.",
        effects=(Wire(cable="last-mile", settings=Settings(max_bytes=_HOLE_BYTES)),),
        row="MTU hole on the carrier",
        catalogue=(9,),
        cloud=Finding(kinds=(UNDETERMINED, ATTRIBUTED), perhaps=("msp", "carrier", "incumbent"), never=("incumbent",)),
        both=Finding(kinds=(UNDETERMINED, ATTRIBUTED), perhaps=("msp", "carrier", "incumbent"), never=("incumbent",)),
    ),
    "own-link-down": Fault(
        does="The cloud demarcation host's own network device is down.",
        effects=(_link_down("cloud-host", ADDRESSES["cloud-gw"]),),
        row="own link down",
        cloud=_BLIND,
        both=_BLIND,
    ),
    "own-route-lost": Fault(
        does="The cloud demarcation host has lost its default route.",
        effects=(
            Commands(
                node="cloud-host",
                broken=("route del default",),
                restored=(f"route replace default via {ADDRESSES['cloud-gw']} dev eth0",),
            ),
        ),
        row="own route lost",
        cloud=_BLIND,
        both=_BLIND,
    ),
    "agent-suspended": Fault(
        does="The processes started in the cloud demarcation host are suspended (SIGSTOP) until healed.",
        effects=(Suspend(node="cloud-host"),),
        row="process suspended",
        cloud=_BLIND,
        both=_BLIND,
    ),
    "delay": _shaping(
        "Every packet takes longer, each way",
        {
            "ms": Parameter(setting="delay_seconds", default=50, factor=0.001, help="milliseconds each way"),
            "jitter-ms": Parameter(
                setting="jitter_seconds", default=0, factor=0.001, help="more or less, milliseconds"
            ),
        },
    ),
    "jitter": _shaping(
        "The delay varies",
        {
            "ms": Parameter(setting="jitter_seconds", default=20, factor=0.001, help="more or less, milliseconds"),
            "delay-ms": Parameter(setting="delay_seconds", default=20, factor=0.001, help="milliseconds each way"),
        },
    ),
    "loss": _shaping(
        "Packets are lost at random",
        {"percent": Parameter(setting="loss", default=10, factor=0.01, help="per cent, each way")},
    ),
    "rate": _shaping(
        "The line is slow, with a finite queue",
        {
            "mbit": Parameter(setting="rate_bits", default=1, factor=1e6, help="megabits a second"),
            "queue-kb": Parameter(setting="queue_bytes", default=64, factor=1000, help="kilobytes that may wait"),
        },
    ),
}
