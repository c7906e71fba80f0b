"""What the faults of directories and their synchronisation mean for such a reader; see `faults`."""

from collections.abc import Mapping
from typing import Final

IDENTITY_FAULTS: Final[Mapping[str, tuple[str, str]]] = {
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
}
