"""What each fault of the probe types means for a reader who is not an engineer.

Keys are `stage/fault` where the stage makes a difference, else the fault's name; values English and
Dutch, to stand after a colon. A fault without a row is told by its stage and its name.
"""

from collections.abc import Mapping
from typing import Final

FAULTS: Final[Mapping[str, tuple[str, str]]] = {
    "": ("it does not work as agreed", "het werkt niet zoals afgesproken"),
    # making a connection
    "timeout": ("no answer came in time", "er kwam niet op tijd antwoord"),
    "refused": ("the connection was refused", "de verbinding werd geweigerd"),
    "reset": ("the connection was broken off", "de verbinding werd afgebroken"),
    "network-unreachable": (
        "a device on the way knows no way there",
        "een apparaat onderweg kent geen weg erheen",
    ),
    "host-unreachable": (
        "a device on the way cannot reach the target",
        "een apparaat onderweg kan het doel niet bereiken",
    ),
    "prohibited": ("a device on the way forbids it", "een apparaat onderweg staat het niet toe"),
    "protocol-unreachable": ("the target does not know this kind of traffic", "het doel kent dit soort verkeer niet"),
    "ttl-exceeded": ("the traffic goes round in circles", "het verkeer draait in een kring rond"),
    "too-big": (
        "a device on the way cannot pass on messages this large",
        "een apparaat onderweg laat zulke grote berichten niet door",
    ),
    "path-changed": ("the traffic takes another way than before", "het verkeer neemt een andere weg dan eerst"),
    "mtu-hole": (
        "messages of the agreed size get lost on the way",
        "berichten van de afgesproken grootte raken onderweg zoek",
    ),
    "mtu-low": (
        "a device on the way passes on smaller messages only than was agreed",
        "een apparaat onderweg laat alleen kleinere berichten door dan is afgesproken",
    ),
    "icmp-error": ("a device on the way reported an error", "een apparaat onderweg meldde een fout"),
    "neighbour-silent": ("the first device on the way does not answer", "het eerste apparaat onderweg antwoordt niet"),
    "payload-changed": ("the answer is not what was sent", "het antwoord is niet wat is verstuurd"),
    "packet-loss": ("too much gets lost on the way", "er gaat onderweg te veel verloren"),
    "slow-answer": ("the answer takes too long", "het antwoord duurt te lang"),
    "excess/round-trip": ("it takes longer than usual", "het duurt langer dan gewoonlijk"),
    "excess/response": ("the server takes longer than usual", "de server doet er langer over dan gewoonlijk"),
    "excess/loss": ("more gets lost than usual", "er gaat meer verloren dan gewoonlijk"),
    "unsteady": ("the answers come at uneven intervals", "de antwoorden komen met ongelijke tussenpozen"),
    # finding the address of a name
    "resolve-timeout": ("the name service did not answer in time", "de naamdienst antwoordde niet op tijd"),
    "resolve-refused": ("the name service refused to answer", "de naamdienst weigerde te antwoorden"),
    "resolve-nxdomain": ("the name does not exist", "de naam bestaat niet"),
    "resolve-servfail": ("the name service reported an error", "de naamdienst meldde een fout"),
    "resolve-no-address": ("the name has no address", "de naam heeft geen adres"),
    "resolve-malformed": (
        "the answer of the name service is not readable",
        "het antwoord van de naamdienst is onleesbaar",
    ),
    "resolve-unreachable": ("the name service cannot be reached", "de naamdienst is niet te bereiken"),
    "rcode-nxdomain": ("the name does not exist", "de naam bestaat niet"),
    "rcode-servfail": ("the name service reported an error", "de naamdienst meldde een fout"),
    "rcode-refused": ("the name service refused to answer", "de naamdienst weigerde te antwoorden"),
    "rcode-other": ("the name service reported an error", "de naamdienst meldde een fout"),
    "rcode-noerror": (
        "the name service answers what it should not",
        "de naamdienst geeft een antwoord dat hij niet hoort te geven",
    ),
    "not-authoritative": (
        "the name service does not answer as the one that keeps the name",
        "de naamdienst antwoordt niet als de beheerder van de naam",
    ),
    "not-authenticated": (
        "the name service has not checked that the answer is genuine",
        "de naamdienst heeft de echtheid van het antwoord niet gecontroleerd",
    ),
    "ttl-outside": (
        "the answer of the name service holds for another time than agreed",
        "het antwoord van de naamdienst geldt voor een andere duur dan afgesproken",
    ),
    "answer-changed": (
        "the name service answers otherwise than before",
        "de naamdienst antwoordt anders dan voorheen",
    ),
    "no-answer": ("the name has no address", "de naam heeft geen adres"),
    "mismatch": ("the address is not the agreed one", "het adres is niet het afgesproken adres"),
    # securing it
    "secure/timeout": ("securing the connection took too long", "het beveiligen van de verbinding duurde te lang"),
    "secure/reset": (
        "the connection was broken off while being secured",
        "de verbinding werd tijdens het beveiligen afgebroken",
    ),
    "secure/closed": (
        "the connection was closed while being secured",
        "de verbinding werd tijdens het beveiligen gesloten",
    ),
    "certificate-expired": ("the certificate has expired", "het certificaat is verlopen"),
    "certificate-not-yet-valid": ("the certificate is not valid yet", "het certificaat is nog niet geldig"),
    "certificate-untrusted": ("the certificate is not trusted", "het certificaat wordt niet vertrouwd"),
    "certificate-hostname": ("the certificate is for another name", "het certificaat is voor een andere naam"),
    "certificate-expiring": ("a certificate expires soon", "een certificaat verloopt binnenkort"),
    "issuer-changed": (
        "the certificate comes from another issuer than before",
        "het certificaat komt van een andere uitgever dan voorheen",
    ),
    "pin-mismatch": (
        "the certificate has another key than agreed",
        "het certificaat heeft een andere sleutel dan afgesproken",
    ),
    "version-too-old": (
        "the connection is secured in an older way than agreed",
        "de verbinding wordt op een oudere manier beveiligd dan afgesproken",
    ),
    "tls-weak": ("the connection is secured weakly", "de verbinding is zwak beveiligd"),
    "starttls-refused": ("the server refuses a secured connection", "de server weigert een beveiligde verbinding"),
    "starttls-malformed": (
        "what answers there is not the expected service",
        "wat daar antwoordt is niet de verwachte dienst",
    ),
    "tls-alert": ("the other end refused the secured connection", "de overkant weigerde de beveiligde verbinding"),
    "tls-protocol": (
        "the other end does not secure the connection as agreed",
        "de overkant beveiligt de verbinding niet zoals afgesproken",
    ),
    # answering
    "answer/timeout": (
        "the connection was made, but no answer came in time",
        "er was verbinding, maar er kwam niet op tijd antwoord",
    ),
    "answer/reset": (
        "the connection was broken off before the answer",
        "de verbinding werd vóór het antwoord afgebroken",
    ),
    "closed": ("the connection was closed before the answer", "de verbinding werd vóór het antwoord gesloten"),
    "truncated": ("the answer broke off", "het antwoord brak af"),
    "kiss-rate": (
        "the time server says that it is asked too often",
        "de tijdserver zegt dat er te vaak wordt gevraagd",
    ),
    "kiss-deny": ("the time server does not serve us", "de tijdserver bedient ons niet"),
    "kiss-other": ("the time server refused to answer", "de tijdserver weigerde te antwoorden"),
    "unsynchronised": (
        "the time server does not trust its own clock",
        "de tijdserver vertrouwt zijn eigen klok niet",
    ),
    "offset": (
        "the clocks are further apart than agreed",
        "de klokken lopen verder uiteen dan afgesproken",
    ),
    "refused-by-service": (
        "the service answered that it does not serve us",
        "de dienst antwoordde dat hij ons niet bedient",
    ),
    "answer-mismatch": ("the answer lacks the agreed text", "in het antwoord ontbreekt de afgesproken tekst"),
    "malformed": ("the answer is not readable", "het antwoord is onleesbaar"),
    "status": ("the answer was an error message", "het antwoord was een foutmelding"),
    "header-mismatch": (
        "the service answers with another header than agreed",
        "de dienst antwoordt met een andere kop dan afgesproken",
    ),
    "body-unreadable": ("what the service answers is not readable", "wat de dienst antwoordt is onleesbaar"),
    "redirect-elsewhere": (
        "the service refers to a server that was not agreed",
        "de dienst verwijst naar een server die niet is afgesproken",
    ),
    "redirect-loop": ("the service refers on and on", "de dienst verwijst steeds verder"),
    "hop-failed": (
        "the server that the service refers to does not work as agreed",
        "de server waarnaar de dienst verwijst werkt niet zoals afgesproken",
    ),
    "sign-on-failed": (
        "the measuring point got no ticket to sign on with",
        "het meetpunt kreeg geen toegangsbewijs om mee aan te melden",
    ),
    "body-mismatch": ("the answer lacks the agreed text", "in het antwoord ontbreekt de afgesproken tekst"),
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
    # the directory
    "sync-late": ("the last synchronisation is late", "de laatste synchronisatie is te laat"),
    "sync-stale": ("the last synchronisation is too long ago", "de laatste synchronisatie is te lang geleden"),
    "sync-disabled": ("synchronisation has been switched off", "de synchronisatie is uitgezet"),
    "password-late": (
        "the last synchronisation of passwords is late",
        "de laatste synchronisatie van wachtwoorden is te laat",
    ),
    "password-stale": (
        "the last synchronisation of passwords is too long ago",
        "de laatste synchronisatie van wachtwoorden is te lang geleden",
    ),
    "objects-in-error": (
        "some entries cannot be taken over into the directory",
        "sommige gegevens kunnen niet in de directory worden overgenomen",
    ),
    "run-late": ("its last run is late", "de laatste uitvoering is te laat"),
    "run-stale": ("its last run is too long ago", "de laatste uitvoering is te lang geleden"),
    "run-failed": ("its last run failed", "de laatste uitvoering is mislukt"),
    "entry-errors": ("its last run left out some entries", "de laatste uitvoering sloeg gegevens over"),
    "quarantine": ("Microsoft has put it on hold", "Microsoft heeft het stilgezet"),
    "quarantine-objects": (
        "it is on hold: too many entries are wrong",
        "het staat stil: te veel gegevens kloppen niet",
    ),
    "quarantine-deletes": (
        "it is on hold: more would be deleted than is allowed",
        "het staat stil: er zou meer worden verwijderd dan is toegestaan",
    ),
    "quarantine-on-demand": (
        "it is on hold by order of an administrator",
        "het staat stil in opdracht van een beheerder",
    ),
    "quarantine-ingestion": (
        "it is on hold: reading from the domain was interrupted",
        "het staat stil: het lezen uit het domein is onderbroken",
    ),
    "job-paused": ("it has been paused", "het is gepauzeerd"),
    "job-not-set-up": ("it has not been set up", "het is niet ingericht"),
    "job-not-run": ("it has never run", "het is nog nooit uitgevoerd"),
    "service-issue": ("Microsoft reports an issue of its service", "Microsoft meldt een probleem met zijn dienst"),
    "service-interrupted": (
        "Microsoft reports that its service is interrupted",
        "Microsoft meldt dat zijn dienst is onderbroken",
    ),
    "issue-elsewhere": (
        "Microsoft reports an issue whose origin lies elsewhere",
        "Microsoft meldt een probleem waarvan de oorzaak elders ligt",
    ),
    # a value that another system measures
    "condition": ("a watched value is not as agreed", "een bewaakte waarde is niet zoals afgesproken"),
    "condition-degraded": ("a watched value is near its limit", "een bewaakte waarde zit tegen de grens"),
    "no-series": ("the watched value is not offered", "de bewaakte waarde wordt niet aangeboden"),
    "ambiguous": ("several values fit what is watched", "er passen meer waarden bij wat wordt bewaakt"),
    "not-a-number": ("the watched value was not measured", "de bewaakte waarde is niet gemeten"),
    "no-rate": (
        "the growth of a watched value is not known yet",
        "de groei van een bewaakte waarde is nog niet bekend",
    ),
    "reading-stale": ("the watched value is too old", "de bewaakte waarde is te oud"),
    "timestamp-future": (
        "the time of a watched value lies ahead",
        "de tijd van een bewaakte waarde ligt in de toekomst",
    ),
    "exporter-unreachable": (
        "the system that watches the value cannot be reached",
        "het systeem dat de waarde bewaakt is niet te bereiken",
    ),
    "exporter-error": (
        "the system that watches the value answers with an error",
        "het systeem dat de waarde bewaakt antwoordt met een fout",
    ),
    # a directory and its controllers
    "other-domain": (
        "a directory of another organisation answers there",
        "daar antwoordt de directory van een andere organisatie",
    ),
    "controllers-missing": (
        "some of the directory's servers do not answer",
        "een deel van de servers van de directory antwoordt niet",
    ),
    "not-synchronized": (
        "this server of the directory has not caught up with the others",
        "deze server van de directory is nog niet bij met de andere",
    ),
    "clock-apart": (
        "the clocks are so far apart that signing in may fail",
        "de klokken lopen zo ver uiteen dat aanmelden kan mislukken",
    ),
    # the server that synchronises a directory with Microsoft
    "service-stopped": ("the synchronisation service is not running", "de synchronisatiedienst draait niet"),
    "sync-certificate-expired": (
        "the certificate with which the synchronisation signs in has expired",
        "het certificaat waarmee de synchronisatie zich aanmeldt is verlopen",
    ),
    "version-unsupported": (
        "Microsoft no longer supports this version of the synchronisation",
        "Microsoft ondersteunt deze versie van de synchronisatie niet meer",
    ),
    "deletion-threshold": (
        "the synchronisation stopped, as it would delete too much",
        "de synchronisatie is gestopt, omdat ze te veel zou verwijderen",
    ),
    "scheduler-disabled": (
        "the synchronisation's timetable is switched off",
        "het tijdschema van de synchronisatie staat uit",
    ),
    "scheduler-suspended": (
        "the synchronisation's timetable is paused",
        "het tijdschema van de synchronisatie is gepauzeerd",
    ),
    "staging": (
        "the synchronisation server only stands by",
        "de synchronisatieserver staat alleen stand-by",
    ),
    "not-staging": (
        "a server that should stand by synchronises too",
        "een server die stand-by hoort te staan synchroniseert ook",
    ),
    "entra-run-failed": ("the exchange with Microsoft failed", "de uitwisseling met Microsoft is mislukt"),
    "ad-run-failed": ("the exchange with the directory failed", "de uitwisseling met de directory is mislukt"),
    "other-run-failed": (
        "an exchange of the synchronisation failed",
        "een uitwisseling van de synchronisatie is mislukt",
    ),
    "run-errors": (
        "some accounts or groups cannot be synchronised",
        "een deel van de accounts of groepen is niet te synchroniseren",
    ),
    "runs-late": ("the last synchronisation is a while ago", "de laatste synchronisatie is een tijd geleden"),
    "runs-stale": ("the last synchronisation is too long ago", "de laatste synchronisatie is te lang geleden"),
    "collector-missing": (
        "the synchronisation server tells nothing of itself",
        "de synchronisatieserver vertelt niets over zichzelf",
    ),
    "collector-stale": (
        "what the synchronisation server tells of itself is too old",
        "wat de synchronisatieserver over zichzelf vertelt is te oud",
    ),
    "collector-blind": (
        "the synchronisation server tells only part of its state",
        "de synchronisatieserver vertelt maar een deel van zijn toestand",
    ),
    "textfile-error": (
        "the synchronisation server cannot read its own notes",
        "de synchronisatieserver kan zijn eigen notities niet lezen",
    ),
    "run-result-unknown": (
        "the synchronisation ended in a way that is not known here",
        "de synchronisatie eindigde op een manier die hier niet bekend is",
    ),
    # the way out of a site
    "proxy-authentication": (
        "the site's proxy wants a sign-on",
        "de proxy van de locatie vraagt om aanmelding",
    ),
    "proxy-blocked": ("the site's proxy does not let this through", "de proxy van de locatie laat dit niet door"),
    "proxy-error": ("the site's proxy refuses", "de proxy van de locatie weigert"),
    "tls-inspected": (
        "a device on the way opens the secured connection and shows a certificate of its own",
        "een apparaat onderweg opent de beveiligde verbinding en toont een eigen certificaat",
    ),
    "not-the-list": (
        "something else answers in the place of the list of revoked certificates",
        "iets anders antwoordt in plaats van de lijst van ingetrokken certificaten",
    ),
    "endpoint-unreachable": (
        "the site's way out works, and what lies behind it does not answer",
        "de uitgang van de locatie werkt, en wat daarachter ligt antwoordt niet",
    ),
    "endpoint-error": ("Microsoft answers with an error", "Microsoft antwoordt met een fout"),
    "egress-silent": (
        "no answer came, and nobody on the way said why",
        "er kwam geen antwoord, en niemand onderweg zei waarom",
    ),
    # our own host cannot look
    "no-link": ("it has no working network connection", "het heeft geen werkende netwerkverbinding"),
    "no-route": ("it knows no way out of its own network", "het kent geen weg uit zijn eigen netwerk"),
    "suspended": ("it stood still for a while", "het stond een tijd stil"),
    "clock-stepped": ("its clock was moved", "zijn klok is verzet"),
    "no-descriptors": ("it has too many files open", "het heeft te veel bestanden open"),
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
