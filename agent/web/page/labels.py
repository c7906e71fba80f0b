"""Every fixed text of the page in both languages; a language that misses one does not type-check."""

from collections.abc import Mapping
from typing import Final

import msgspec


class Labels(msgspec.Struct, frozen=True, kw_only=True):
    """One language's texts. Braces are filled by the caller."""

    title: str
    skip: str
    seen_from: str
    live: str
    connecting: str
    lost: str
    other_language: str
    all_works: str
    no_trouble: str
    not_measured: str
    suspicion: str
    one_incident: str
    many_incidents: str
    service_down: str
    services_down: str
    services_degraded: str
    old_picture: str
    old_picture_text: str
    ledger_stopped: str
    store_stopped: str
    goes_on: str
    other_chain: str
    other_chain_text: str
    blind: str
    incidents: str
    chain: str
    services: str
    no_services: str
    probes: str
    peers: str
    closed: str
    closed_none: str
    line: str
    line_legend: str
    masked_legend: str
    lines: str
    lines_from: str
    branch: str
    measuring_point: str
    joint: str
    kind: str
    party: str
    candidates: str
    standing: str
    since: str
    mover: str
    segments: str
    incident: str
    ended: str
    lasted: str
    norm: str
    hours: str
    always: str
    probe: str
    result: str
    duration: str
    last: str
    verified: str
    unverified: str
    unverified_help: str
    more_of_it: str
    no_result: str
    late: str
    more_probes: str
    from_vantage: str
    phase: str
    no_peers: str
    proofs: str
    proofs_all: str
    proofs_but: str
    proofs_open: str
    proofs_located: str
    proofs_more: str
    reachable: str
    unreachable: str
    same_chain: str
    another_chain: str
    chain_unknown: str
    last_heard: str
    witnesses: str
    witnesses_none: str
    witness_good: str
    witness_behind: str
    witness_quiet: str
    witness_two: str
    witness_silent: str
    witness_conflict: str
    witness_stands: str
    witness_never: str
    witness_ours: str
    witness_silent_text: str
    witness_conflict_text: str
    running_since: str
    chain_file: str
    limits: str
    none: str
    tunnels: str
    tunnel_configured: str
    tunnel_established: str
    tunnel_passing: str
    tunnel_peer: str
    tunnel_yes: str
    tunnel_no: str
    tunnel_unknown: str
    tunnel_of: str
    tunnel_age: str
    tunnel_rekey: str
    tunnel_proof: str
    tunnel_no_proof: str
    tunnel_by_counters: str
    tunnel_idle: str
    tunnel_unanswered: str
    tunnel_not_asked: str
    tunnel_heard: str
    tunnel_alive: str
    tunnel_silent: str
    tunnel_one_way: str
    record: str
    changes: str
    changes_none: str
    drifted: str
    drifted_fact: str
    unapproved: str
    changes_latest: str
    chain_file_word: str


LABELS: Final[Mapping[str, Labels]] = {
    "en": Labels(
        title="Chain status",
        skip="Skip to the findings",
        seen_from="Seen from measuring point {vantage}, operated by {operator}",
        live="Live, as of",
        connecting="As of",
        lost="Connection to the agent lost since",
        other_language="Nederlands",
        all_works="The whole chain works",
        no_trouble="No disturbance found",
        not_measured="not measured yet: {segments}",
        suspicion="A suspected disturbance is being confirmed",
        one_incident="1 open incident",
        many_incidents="{count} open incidents",
        service_down="{services} down",
        services_down="{services} down",
        services_degraded="{services} degraded",
        old_picture="This picture is old",
        old_picture_text="The agent has not renewed it since {since}. What is below was true then.",
        ledger_stopped="The ledger has stopped recording",
        store_stopped="Measurements are no longer being stored",
        goes_on="Measuring and paging go on; what happens now is missing from the record.",
        other_chain="Measuring point {vantage} works with another chain file",
        other_chain_text="Its measurements are not used here until both work with the same file.",
        blind="A measuring point cannot measure",
        incidents="Open incidents",
        chain="The chain",
        services="Services",
        no_services="The chain file names none.",
        probes="Measurements",
        peers="Other measuring points",
        closed="Recently closed",
        closed_none="No incident has been closed recently.",
        line="demarcation line",
        line_legend="demarcation line: the owner changes here",
        masked_legend="masked: hidden behind the disturbance, so neither good nor bad",
        lines="All demarcation lines ({count})",
        lines_from="{left} ({left_owner}) | {right} ({right_owner})",
        branch="reached from {segments}",
        measuring_point="measuring point",
        joint="together",
        kind="Finding",
        party="Traced to",
        candidates="Still possible",
        standing="Standing",
        since="Since",
        mover="To act",
        segments="Segments",
        incident="Incident",
        ended="Ended",
        lasted="Lasted",
        norm="norm {percent}\u00a0%",
        hours="Hours",
        always="always",
        probe="Measurement",
        result="Last result",
        duration="Took",
        last="At",
        verified="verified",
        unverified="unverified",
        unverified_help="has not passed yet with its present settings; accuses nobody",
        more_of_it="values and details",
        no_result="no result yet",
        late="late",
        more_probes="{count} more measurements: see /api/v1/probes",
        from_vantage="From {vantage}",
        phase="phases",
        no_peers="None is configured: this measuring point diagnoses alone.",
        proofs="What the measurements can prove",
        proofs_all="When any one segment fails altogether, the measurements show whose it is.",
        proofs_but="When one segment fails altogether, the measurements show whose it is, except for:",
        proofs_open="{segment}: not to be told apart from {others}",
        proofs_located="{segment}: shown as a segment, not as one party's ({owners})",
        proofs_more="and {count} more; “demarc check” lists them all and says what to add.",
        reachable="reachable",
        unreachable="not reachable",
        same_chain="same chain file",
        another_chain="another chain file",
        chain_unknown="chain file unknown",
        last_heard="last heard",
        witnesses="Who vouches for this record",
        witnesses_none="Nobody cosigns this agent's ledger: only its operator says that it was not written anew.",
        witness_good="cosigns",
        witness_behind="behind since",
        witness_quiet="silent",
        witness_two="two histories",
        witness_silent="{vantage} does not cosign this ledger",
        witness_conflict="{vantage} shows two histories of its ledger",
        witness_stands="{entries} entries cosigned, last",
        witness_never="nothing cosigned yet",
        witness_ours="we cosigned {entries} of its entries",
        witness_silent_text="What was recorded since {since} only its operator vouches for; recording goes on.",
        witness_conflict_text="Both stand in this ledger as evidence, and it is cosigned no further.",
        running_since="Agent running since {since}",
        chain_file="chain file {hash}, in force from {effective}",
        limits="This page locates technical causes; it is not a legal judgement.",
        none="none",
        tunnels="VPN",
        tunnel_configured="configured",
        tunnel_established="established",
        tunnel_passing="packets pass",
        tunnel_peer="peer's gateway",
        tunnel_yes="yes",
        tunnel_no="no",
        tunnel_unknown="unknown",
        tunnel_of="{number} of {whole}",
        tunnel_age="since {time}",
        tunnel_rekey="new keys in {time}",
        tunnel_proof="{probes}",
        tunnel_no_proof="nothing comes through: {probes}",
        tunnel_by_counters="by the gateway's counters",
        tunnel_idle="idle",
        tunnel_unanswered="sends for {time}, and nothing comes back",
        tunnel_not_asked="not asked",
        tunnel_heard="proved itself {time} ago",
        tunnel_alive="answers",
        tunnel_silent="silent",
        tunnel_one_way="One way only: the gateway at {there} receives, and nothing of what it sends arrives at {here}.",
        record="In the ledger",
        changes="Changes",
        changes_none="Nothing has changed in the last seven days.",
        drifted="Other than approved:",
        drifted_fact="{probe}: {fact} is {value}; approved is {approved} ({by})",
        unapproved="Seen, and approved by nobody yet: {count} (“demarc drift show --open” lists them).",
        changes_latest="Latest changes:",
        chain_file_word="chain file",
    ),
    "nl": Labels(
        title="Status van de keten",
        skip="Naar de bevindingen",
        seen_from="Gezien vanaf meetpunt {vantage}, beheerd door {operator}",
        live="Actueel, stand van",
        connecting="Stand van",
        lost="Geen verbinding met de agent sinds",
        other_language="English",
        all_works="De hele keten werkt",
        no_trouble="Geen storing gevonden",
        not_measured="nog niet gemeten: {segments}",
        suspicion="Een vermoedelijke storing wordt bevestigd",
        one_incident="1 open incident",
        many_incidents="{count} open incidenten",
        service_down="{services} werkt niet",
        services_down="{services} werken niet",
        services_degraded="{services} verminderd",
        old_picture="Dit beeld is oud",
        old_picture_text="De agent heeft het sinds {since} niet vernieuwd. Wat hieronder staat, was toen zo.",
        ledger_stopped="Het logboek legt niets meer vast",
        store_stopped="Metingen worden niet meer opgeslagen",
        goes_on="Meten en waarschuwen gaan door; wat nu gebeurt, ontbreekt in de vastlegging.",
        other_chain="Meetpunt {vantage} werkt met een ander ketenbestand",
        other_chain_text="Zijn metingen tellen hier niet mee totdat beide hetzelfde bestand gebruiken.",
        blind="Een meetpunt kan niet meten",
        incidents="Open incidenten",
        chain="De keten",
        services="Diensten",
        no_services="Het ketenbestand noemt er geen.",
        probes="Metingen",
        peers="Andere meetpunten",
        closed="Onlangs gesloten",
        closed_none="Er is onlangs geen incident gesloten.",
        line="demarcatielijn",
        line_legend="demarcatielijn: hier wisselt de eigenaar",
        masked_legend="afgedekt: verborgen achter de storing, dus goed noch slecht",
        lines="Alle demarcatielijnen ({count})",
        lines_from="{left} ({left_owner}) | {right} ({right_owner})",
        branch="bereikt vanaf {segments}",
        measuring_point="meetpunt",
        joint="samen",
        kind="Bevinding",
        party="Herleid tot",
        candidates="Nog mogelijk",
        standing="Zekerheid",
        since="Sinds",
        mover="Aan zet",
        segments="Schakels",
        incident="Incident",
        ended="Voorbij",
        lasted="Duurde",
        norm="norm {percent}\u00a0%",
        hours="Tijden",
        always="altijd",
        probe="Meting",
        result="Laatste uitkomst",
        duration="Duurde",
        last="Om",
        verified="geverifieerd",
        unverified="niet geverifieerd",
        unverified_help="is met deze instellingen nog niet geslaagd; wijst niemand aan",
        more_of_it="waarden en bijzonderheden",
        no_result="nog geen uitkomst",
        late="te laat",
        more_probes="nog {count} metingen: zie /api/v1/probes",
        from_vantage="Vanaf {vantage}",
        phase="fasen",
        no_peers="Er is er geen ingesteld: dit meetpunt oordeelt alleen.",
        proofs="Wat de metingen kunnen aantonen",
        proofs_all="Valt één schakel geheel uit, dan tonen de metingen van wie die is.",
        proofs_but="Valt één schakel geheel uit, dan tonen de metingen van wie die is, behalve bij:",
        proofs_open="{segment}: niet te onderscheiden van {others}",
        proofs_located="{segment}: aan te wijzen als schakel, niet als die van één partij ({owners})",
        proofs_more="en nog {count}; “demarc check” noemt ze alle en zegt wat erbij moet.",
        reachable="bereikbaar",
        unreachable="niet bereikbaar",
        same_chain="zelfde ketenbestand",
        another_chain="ander ketenbestand",
        chain_unknown="ketenbestand onbekend",
        last_heard="laatst gehoord",
        witnesses="Wie staat in voor deze vastlegging",
        witnesses_none="Niemand ondertekent dit logboek mee: alleen de beheerder zegt dat het niet herschreven is.",
        witness_good="ondertekent mee",
        witness_behind="achter sinds",
        witness_quiet="zwijgt",
        witness_two="twee geschiedenissen",
        witness_silent="{vantage} ondertekent dit logboek niet mee",
        witness_conflict="{vantage} toont twee geschiedenissen van zijn logboek",
        witness_stands="{entries} regels medeondertekend, laatst",
        witness_never="nog niets medeondertekend",
        witness_ours="wij ondertekenden {entries} van zijn regels",
        witness_silent_text="Voor wat sinds {since} is vastgelegd staat alleen de beheerder in; vastleggen gaat door.",
        witness_conflict_text="Beide staan als bewijs in dit logboek, en het wordt niet verder medeondertekend.",
        running_since="Agent draait sinds {since}",
        chain_file="ketenbestand {hash}, geldig vanaf {effective}",
        limits="Deze pagina wijst technische oorzaken aan en is geen juridisch oordeel.",
        none="geen",
        tunnels="VPN",
        tunnel_configured="ingesteld",
        tunnel_established="opgebouwd",
        tunnel_passing="verkeer komt door",
        tunnel_peer="gateway van de overkant",
        tunnel_yes="ja",
        tunnel_no="nee",
        tunnel_unknown="onbekend",
        tunnel_of="{number} van {whole}",
        tunnel_age="sinds {time}",
        tunnel_rekey="nieuwe sleutels over {time}",
        tunnel_proof="{probes}",
        tunnel_no_proof="er komt niets door: {probes}",
        tunnel_by_counters="volgens de tellers van de gateway",
        tunnel_idle="in rust",
        tunnel_unanswered="verzendt al {time}, en er komt niets terug",
        tunnel_not_asked="niet gevraagd",
        tunnel_heard="bewees zich {time} geleden",
        tunnel_alive="antwoordt",
        tunnel_silent="zwijgt",
        tunnel_one_way="Alleen heen: de gateway bij {there} ontvangt, maar wat die verzendt komt niet aan bij {here}.",
        record="In het logboek",
        changes="Wijzigingen",
        changes_none="In de laatste zeven dagen is niets gewijzigd.",
        drifted="Anders dan goedgekeurd:",
        drifted_fact="{probe}: {fact} is {value}; goedgekeurd is {approved} ({by})",
        unapproved="Gezien en nog door niemand goedgekeurd: {count} (“demarc drift show --open” noemt ze).",
        changes_latest="Laatste wijzigingen:",
        chain_file_word="ketenbestand",
    ),
}
