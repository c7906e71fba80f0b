"""The fixed words of the vocabulary in both languages: states, kinds, sides, stages, faults, probe types.

Keys are the product's own identifiers; a key without an entry is shown as it is, so a new fault or
probe type is readable before it has words here.
"""

from collections.abc import Mapping
from typing import Final

from agent.words.dutch import DUTCH
from agent.words.english import ENGLISH
from agent.words.faults import FAULTS
from agent.words.phrases import Phrases

LANGUAGES: Final = ("en", "nl")
PHRASES: Final[Mapping[str, Phrases]] = {"en": ENGLISH, "nl": DUTCH}

# topic -> key -> (English, Dutch)
TERMS: Final[Mapping[str, Mapping[str, tuple[str, str]]]] = {
    "segment": {
        "ok": ("works", "werkt"),
        "degraded": ("slow or lossy", "traag of met verlies"),
        "failed": ("fails", "verstoord"),
        "partly": ("works in part", "werkt deels"),
        "suspected": ("possible cause", "mogelijke oorzaak"),
        "masked": ("masked", "afgedekt"),
        "unknown": ("unknown", "onbekend"),
    },
    "service": {
        "up": ("up", "werkt"),
        "degraded": ("degraded", "verminderd"),
        "down": ("down", "werkt niet"),
        "excused": ("excused", "uitgezonderd"),
        "unobserved": ("not observed", "niet gemeten"),
    },
    "outcome": {
        "ok": ("ok", "goed"),
        "degraded": ("degraded", "verminderd"),
        "failed": ("failed", "mislukt"),
        "unknown": ("unknown", "onbekend"),
    },
    "kind": {
        "attributed": ("attributed to one party", "herleid tot één partij"),
        "undetermined": ("undetermined", "niet te herleiden"),
        "contradiction": ("contradiction", "tegenstrijdige metingen"),
        "monitor": ("monitor", "eigen meetstoring"),
    },
    "state": {
        "suspected": ("suspected", "vermoed"),
        "confirmed": ("confirmed", "bevestigd"),
        "recovering": ("recovering", "herstelt"),
        "closed": ("closed", "gesloten"),
    },
    "standing": {
        "corroborated": ("corroborated", "onafhankelijk bevestigd"),
        "single-sided": ("single-sided", "berust op meting van één kant"),
        "self-measured": ("self-measured", "eigen meting"),
    },
    "side": {
        "cloud": ("cloud", "cloud"),
        "line": ("line", "lijn"),
        "transit": ("transit", "transport"),
        "onprem": ("on-premise", "op locatie"),
        "saas": ("online services", "onlinediensten"),
    },
    "type": {
        "icmp": ("ping", "ping"),
        "tcp": ("connection test", "verbindingstest"),
        "http": ("web request", "webverzoek"),
        "tls": ("secured connection", "beveiligde verbinding"),
        "dns": ("name lookup", "naamopzoeking"),
        "ntp": ("time comparison", "tijdvergelijking"),
        "udp": ("message and answer", "bericht en antwoord"),
        "ad": ("directory (AD)", "directory (AD)"),
        "adsync": ("synchronisation server", "synchronisatieserver"),
        "entra_endpoints": ("the site's way out to Microsoft", "de uitgang naar Microsoft"),
        "greeting": ("greeting of a service", "begroeting door een dienst"),
        "strongswan": ("tunnel state", "tunnelstatus"),
        "wireguard": ("tunnel state (WireGuard)", "tunnelstatus (WireGuard)"),
        "xfrm": ("tunnel state (kernel)", "tunnelstatus (kernel)"),
        "azure_vpn": ("tunnel state (Azure)", "tunnelstatus (Azure)"),
        "route": ("route", "route"),
        "ike": ("VPN gateway's answer", "antwoord van de VPN-gateway"),
        "entra_sync": ("Entra synchronisation", "Entra-synchronisatie"),
        "entra_cloud_sync": ("Entra cloud synchronisation", "Entra-cloudsynchronisatie"),
        "entra_service_health": ("Microsoft's word on its service", "Microsofts melding over zijn dienst"),
        "metric": ("watched value", "bewaakte waarde"),
    },
    "stage": {
        "resolve": ("the name was not resolved", "de naam werd niet gevonden"),
        "connect": ("no connection was made", "er kwam geen verbinding tot stand"),
        "secure": ("the connection was not secured", "de verbinding werd niet beveiligd"),
        "answer": ("no proper answer came", "er kwam geen goed antwoord"),
    },
    "fault": FAULTS,
    "phase": {
        "resolve": ("find the name", "naam zoeken"),
        "connect": ("connect", "verbinden"),
        "sign_on": ("sign in", "aanmelden"),
        "proxy": ("through the proxy", "via de proxy"),
        "starttls": ("agree to secure", "beveiliging afspreken"),
        "secure": ("secure", "beveiligen"),
        "first_byte": ("first byte", "eerste byte"),
        "transfer": ("transfer", "overdracht"),
        "answer": ("answer", "antwoord"),
        "token": ("sign in", "aanmelden"),
        "graph": ("ask", "vragen"),
        "query": ("ask", "vragen"),
    },
    "contact": {"phone": ("phone", "telefoon"), "email": ("e-mail", "e-mail")},
    "self": {"": ("its self-check failed", "de zelfcontrole mislukte")},
}


def language_of(tag: str) -> str:
    """Return `nl` for a Dutch language tag (`nl`, `nl-BE`), else `en`."""
    return "nl" if tag.strip().lower().split("-")[0] == "nl" else "en"


def phrases(language: str) -> Phrases:
    """Return the sentence patterns of `language`; English for a language that we do not have."""
    return PHRASES.get(language, ENGLISH)


def term(topic: str, key: str, language: str = "en") -> str:
    """Return the word for `key` of `topic` (segment, service, outcome, kind, ...), or `key` itself."""
    pair = TERMS[topic].get(key)
    return key if pair is None else pair[language_of(language) == "nl"]


def fault_words(fault: str, language: str) -> str:
    """Return in words what `stage/fault` means: by the pair, the fault or the stage that is known.

    An unknown fault name follows its stage's words in brackets, so that nothing measured is hidden.
    """
    stage, _, name = fault.rpartition("/")
    for key in (fault, name):
        if key in FAULTS:
            return term("fault", key, language)
    words = term("stage", stage, language) if stage in TERMS["stage"] else term("fault", "", language)
    return f"{words} ({name})"
