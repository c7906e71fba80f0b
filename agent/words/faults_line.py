"""What the faults of tunnels and routes mean for a reader who is not an engineer; see `faults`."""

from collections.abc import Mapping
from typing import Final

LINE_FAULTS: Final[Mapping[str, tuple[str, str]]] = {
    # the tunnel
    "ike-missing": ("the tunnel is not up", "de tunnel staat er niet"),
    "ike-connecting": ("the tunnel is being set up without success", "de tunnel wordt opgezet, zonder succes"),
    "child-missing": (
        "the tunnel is up, but carries no traffic for this network",
        "de tunnel staat er, maar draagt geen verkeer voor dit netwerk",
    ),
    "peer-silent": ("the gateway on the other side does not answer", "de gateway aan de andere kant antwoordt niet"),
    "auth-refused": (
        "the gateway on the other side does not accept the credentials",
        "de gateway aan de andere kant aanvaardt de inloggegevens niet",
    ),
    "key-mismatch": ("the two gateways use different keys", "de twee gateways gebruiken verschillende sleutels"),
    "no-proposal": (
        "the two gateways have no encryption in common",
        "de twee gateways hebben geen versleuteling gemeen",
    ),
    "selectors-mismatch": (
        "the two gateways do not agree on the networks of the tunnel",
        "de twee gateways zijn het niet eens over de netwerken van de tunnel",
    ),
    "certificate-refused": (
        "the certificate of a gateway is not accepted",
        "het certificaat van een gateway wordt niet aanvaard",
    ),
    "identity-mismatch": (
        "a gateway does not know the other one by the name or address it uses",
        "een gateway kent de andere niet onder de naam of het adres dat die gebruikt",
    ),
    "inbound-silent": (
        "traffic goes into the tunnel and none comes back",
        "er gaat verkeer de tunnel in en er komt niets terug",
    ),
    "rekey-failing": (
        "the keys of the tunnel cannot be renewed",
        "de sleutels van de tunnel kunnen niet worden vernieuwd",
    ),
    "selectors-narrowed": (
        "the tunnel is up for fewer networks than configured",
        "de tunnel staat er voor minder netwerken dan ingesteld",
    ),
    "child-duplicate": ("the tunnel is there more than once", "de tunnel staat er meer dan eens"),
    "not-configured": ("the gateway does not know this tunnel", "de gateway kent deze tunnel niet"),
    "other-endpoint": (
        "the other gateway comes from another address than agreed",
        "de andere gateway komt van een ander adres dan afgesproken",
    ),
    "sa-missing": ("the tunnel has no keys", "de tunnel heeft geen sleutels"),
    "sa-one-way": ("the tunnel has keys in one direction only", "de tunnel heeft maar in één richting sleutels"),
    "sa-expired": ("the tunnel's keys have expired", "de sleutels van de tunnel zijn verlopen"),
    "sa-errors": (
        "the tunnel refuses packets as false or replayed",
        "de tunnel weigert pakketten als vals of herhaald",
    ),
    "unanswered": (
        "packets go into the tunnel and none come out",
        "er gaan pakketten de tunnel in en er komen er geen uit",
    ),
    "not-connected": ("Azure's gateway has no tunnel", "de gateway van Azure heeft geen tunnel"),
    "connecting": (
        "Azure's gateway is setting up the tunnel, without success",
        "de gateway van Azure zet de tunnel op, zonder succes",
    ),
    "tunnel-down": ("one tunnel of several is not connected", "één van de tunnels staat er niet"),
    "health-unavailable": (
        "Azure does not call the connection available",
        "Azure noemt de verbinding niet beschikbaar",
    ),
    # the route
    "link-errors": (
        "the network connection that carries it counts errors",
        "de netwerkverbinding die het draagt telt fouten",
    ),
    "device-down": (
        "the network connection that should carry it is down",
        "de netwerkverbinding die het moet dragen ligt eruit",
    ),
    "unreachable": ("there is no way there any more", "er is geen weg meer erheen"),
    "wrong-device": (
        "traffic takes another connection than agreed",
        "het verkeer neemt een andere verbinding dan afgesproken",
    ),
    "wrong-gateway": (
        "traffic goes by another gateway than agreed",
        "het verkeer gaat langs een andere gateway dan afgesproken",
    ),
    "wrong-table": (
        "traffic follows other routing rules than agreed",
        "het verkeer volgt andere routeregels dan afgesproken",
    ),
}
