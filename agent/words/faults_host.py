"""What keeps our own host from looking, for a reader who is not an engineer; see `faults`."""

from collections.abc import Mapping
from typing import Final

HOST_FAULTS: Final[Mapping[str, tuple[str, str]]] = {
    # our own host cannot look
    "no-link": ("it has no working network connection", "het heeft geen werkende netwerkverbinding"),
    "no-route": ("it knows no way out of its own network", "het kent geen weg uit zijn eigen netwerk"),
    "suspended": ("it stood still for a while", "het stond een tijd stil"),
    "clock-stepped": ("its clock was moved", "zijn klok is verzet"),
    "no-descriptors": ("it has too many files open", "het heeft te veel bestanden open"),
    "self": ("this measuring point could not look just then", "dit meetpunt kon op dat moment niet kijken"),
    "probe-hung": ("this measuring point's own question hangs", "de vraag van dit meetpunt zelf blijft hangen"),
    "probe-error": ("this measuring point's own software failed", "de software van dit meetpunt zelf faalde"),
    "certificate-unreadable": (
        "the measuring point cannot read its own certificate",
        "het meetpunt kan zijn eigen certificaat niet lezen",
    ),
    "ca-unreadable": (
        "the agent cannot read its list of trusted authorities",
        "de agent kan zijn lijst van vertrouwde uitgevers niet lezen",
    ),
    "local-error": ("this measuring point refused to send", "dit meetpunt weigerde te verzenden"),
    "no-buffers": ("this measuring point is short of memory", "dit meetpunt heeft te weinig geheugen"),
    "no-family": (
        "this measuring point cannot use that kind of address",
        "dit meetpunt kan dat soort adres niet gebruiken",
    ),
    "no-packet": (
        "this measuring point could not prepare its question",
        "dit meetpunt kon zijn vraag niet voorbereiden",
    ),
    "too-soon": (
        "this measuring point may not ask again so soon",
        "dit meetpunt mag niet zo snel opnieuw vragen",
    ),
    "no-ports": ("this measuring point has no free port", "dit meetpunt heeft geen vrije poort"),
    "unfinished": (
        "this measuring point needed more time than it has",
        "dit meetpunt had meer tijd nodig dan het heeft",
    ),
    "no-time": ("this measuring point started too late", "dit meetpunt begon te laat"),
    "too-big-here": ("the message is too large for this measuring point", "het bericht is te groot voor dit meetpunt"),
    "resolver-blocked": (
        "this measuring point could not ask the name service",
        "dit meetpunt kon de naamdienst niets vragen",
    ),
    "resolver-missing": ("this measuring point has no name service", "dit meetpunt heeft geen naamdienst"),
    "app-disabled": ("our access to Microsoft is switched off", "onze toegang bij Microsoft staat uit"),
    "app-not-found": ("Microsoft does not know our access", "Microsoft kent onze toegang niet"),
    "clock": ("the last synchronisation lies in the future", "de laatste synchronisatie ligt in de toekomst"),
    "credential-expired": ("our password at Microsoft has expired", "ons wachtwoord bij Microsoft is verlopen"),
    "credential-wrong": ("Microsoft does not accept our password", "Microsoft aanvaardt ons wachtwoord niet"),
    "credential-unreadable": (
        "the agent cannot read its password for Microsoft",
        "de agent kan zijn wachtwoord voor Microsoft niet lezen",
    ),
    "token-refused": ("Microsoft refuses us", "Microsoft weigert ons"),
    "throttled": ("Microsoft asks us to wait", "Microsoft vraagt ons te wachten"),
    "graph-error": ("Microsoft answers with an error", "Microsoft antwoordt met een fout"),
    "graph-unreachable": ("Microsoft cannot be reached from here", "Microsoft is vanaf hier niet te bereiken"),
    "not-graph": ("something else answers in the place of Microsoft", "iets anders antwoordt in plaats van Microsoft"),
    "proxy-refused": ("the proxy does not let us through", "de proxy laat ons niet door"),
    "no-data": ("Microsoft tells no time of synchronisation", "Microsoft noemt geen tijd van synchronisatie"),
    "unavailable": ("it may not be read with our rights", "het is met onze rechten niet te lezen"),
    "identity-unavailable": (
        "this measuring point's own identity is not available",
        "de eigen identiteit van dit meetpunt is niet beschikbaar",
    ),
    "vici-unreachable": ("the tunnel's service does not listen", "de tunneldienst luistert niet"),
    "vici-refused": ("the tunnel's service may not be asked this", "dit mag de tunneldienst niet worden gevraagd"),
    "vici-silent": ("the tunnel's service does not answer", "de tunneldienst antwoordt niet"),
    "vici-protocol": ("the tunnel's service answers unreadably", "de tunneldienst antwoordt onleesbaar"),
    "idle": ("nothing was sent or received lately", "er is de laatste tijd niets verzonden of ontvangen"),
    "xfrm-silent": (
        "the measuring point's kernel did not answer in time",
        "de kernel van het meetpunt antwoordde niet op tijd",
    ),
    "no-wireguard": (
        "the measuring point's kernel does not know WireGuard",
        "de kernel van het meetpunt kent WireGuard niet",
    ),
    "wireguard-unreachable": (
        "WireGuard could not be asked on the measuring point",
        "WireGuard was op het meetpunt niet te bevragen",
    ),
    "wireguard-silent": ("WireGuard did not answer in time", "WireGuard antwoordde niet op tijd"),
    "wireguard-protocol": ("something else answered than WireGuard", "iets anders dan WireGuard antwoordde"),
    "netlink-error": (
        "this measuring point could not read its own routes",
        "dit meetpunt kon zijn eigen routes niet lezen",
    ),
    "no-permission": ("it lacks the right to look", "het mist het recht om te kijken"),
}
