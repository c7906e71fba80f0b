"""What each fault of the probe types means for a reader who is not an engineer.

Keys are `stage/fault` where the stage makes a difference, else the fault's name; values English and
Dutch, to stand after a colon. A fault without a row is told by its stage and its name. What only one
family of probe types knows stands in a module of its own.
"""

from collections.abc import Mapping
from typing import Final

from agent.words.faults_host import HOST_FAULTS
from agent.words.faults_identity import IDENTITY_FAULTS
from agent.words.faults_line import LINE_FAULTS

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
    **LINE_FAULTS,
    **IDENTITY_FAULTS,
    **HOST_FAULTS,
}
