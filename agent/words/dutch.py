"""Dutch: the sentence patterns, with the on-screen words of the vocabulary."""

from agent.words.phrases import Phrases

DUTCH = Phrases(
    and_="en",
    or_="of",
    decimal=",",
    more="nog {count}",
    quoted="“{name}”",
    probe="“{name}” ({type} naar {target})",
    self_check="de zelfcontrole van {vantage}",
    self_checks="de zelfcontroles van {vantages}",
    from_vantages="vanaf {vantages}",
    owned="{segments} ({owner})",
    nobody="geen afgesproken eigenaar",
    months=(
        "januari",
        "februari",
        "maart",
        "april",
        "mei",
        "juni",
        "juli",
        "augustus",
        "september",
        "oktober",
        "november",
        "december",
    ),
    and_also=", en ",
    clock="{time} {zone}",
    moment="{time} {zone} op {day} {month} {year}",
    days=("{count} dag", "{count} dagen"),
    hours=("{count} uur", "{count} uur"),
    minutes=("{count} minuut", "{count} minuten"),
    seconds=("{count} seconde", "{count} seconden"),
    disturbed_one="{services} is verstoord: {clause}",
    disturbed_many="{services} zijn verstoord: {clause}",
    were_disturbed_one="{services} was verstoord: {clause}",
    were_disturbed_many="{services} waren verstoord: {clause}",
    fails_one="sinds {since} mislukt de meting {probes} {origin}: {how}.",
    fails_many="sinds {since} mislukken {count} metingen {origin}, {probes}: {how}.",
    failed_one="van {since} tot {until} ({lasted}) mislukte de meting {probes} {origin}: {how}.",
    failed_many="van {since} tot {until} ({lasted}) mislukten {count} metingen {origin}, {probes}: {how}.",
    fails_unknown="sinds {since} werkt de keten niet zoals afgesproken.",
    failed_unknown="van {since} tot {until} ({lasted}) werkte de keten niet zoals afgesproken.",
    blind="Sinds {since} kan het meetpunt {vantage} niet meten: {how}.",
    was_blind="Van {since} tot {until} ({lasted}) kon het meetpunt {vantage} niet meten: {how}.",
    worked="Op hetzelfde moment werkten deze schakels: {parts}; dat blijkt uit {probes}.",
    worked_even=(
        "Op hetzelfde moment werkten deze schakels: {parts}; dat blijkt uit {probes}, "
        "en uit mislukte metingen zelf, die tot daar kwamen."
    ),
    worked_nothing="Op dat moment liet geen enkele meting zien dat een andere schakel op hetzelfde pad werkte.",
    late=(
        "sinds {since} is de duur van {probes} {origin} ten minste {low} langer dan gewoonlijk; "
        "vanaf {margin} is dat een storing."
    ),
    was_late=(
        "van {since} tot {until} ({lasted}) was de duur van {probes} {origin} ten minste {low} langer dan gewoonlijk; "
        "vanaf {margin} is dat een storing."
    ),
    late_unknown=(
        "sinds {since} is de keten ten minste {low} trager dan gewoonlijk; vanaf {margin} is dat een storing."
    ),
    was_late_unknown=(
        "van {since} tot {until} ({lasted}) was de keten ten minste {low} trager dan gewoonlijk; "
        "vanaf {margin} is dat een storing."
    ),
    losing=(
        "sinds {since} gaat van {probes} {origin} ten minste {low} meer verloren dan gewoonlijk; "
        "vanaf {margin} is dat een storing."
    ),
    was_losing=(
        "van {since} tot {until} ({lasted}) ging van {probes} {origin} ten minste {low} meer verloren dan gewoonlijk; "
        "vanaf {margin} is dat een storing."
    ),
    losing_unknown=(
        "sinds {since} gaat ten minste {low} meer verloren dan gewoonlijk; vanaf {margin} is dat een storing."
    ),
    was_losing_unknown=(
        "van {since} tot {until} ({lasted}) ging ten minste {low} meer verloren dan gewoonlijk; "
        "vanaf {margin} is dat een storing."
    ),
    added_little="Op hetzelfde moment voegden deze schakels weinig of niets toe: {parts}; dat blijkt uit {probes}.",
    added_unknown="Op dat moment liet geen enkele meting zien hoeveel een andere schakel op hetzelfde pad toevoegde.",
    at_least=(
        "Ten minste {part} van {low} ligt in {segments}, dat alleen van {party} is: zoveel blijft over "
        "als het meeste dat alle anderen kunnen hebben toegevoegd eraf gaat."
    ),
    remains=(
        "Al het andere dat de mislukte metingen nodig hebben, werkte aantoonbaar; over blijft {segments}, "
        "van {party} alleen, dus daar zit de storing."
    ),
    possible=(
        "De storing is niet te herleiden tot één partij: mogelijk blijven {candidates}, "
        "en de metingen onderscheiden hen niet."
    ),
    possible_joint=(
        "De storing zit in {segments}, waarvan {candidates} samen eigenaar zijn; "
        "wat van partijen samen is, wordt nooit tot één van hen herleid."
    ),
    possible_unassigned=(
        "De storing zit in {segments}, waarvoor geen eigenaar is afgesproken; er kan dus geen partij worden genoemd."
    ),
    reported=(
        "{party} vertelt zelf via {probe}: {how}; dat is het eigen woord naast de metingen, en bewijst alleen niets."
    ),
    possible_nobody=(
        "De storing is niet te herleiden tot één partij: over blijven {segments}, en daarvoor wordt niemand genoemd."
    ),
    simplest="De eenvoudigste verklaring is een storing in {segments}; dat is een verklaring, geen bewijs.",
    contradiction=(
        "De metingen spreken elkaar tegen: van elke schakel die {probes} nodig heeft, "
        "liet een andere meting zien dat hij werkte."
    ),
    contradiction_means=(
        "Of er ontbreekt een schakel in het ketenbestand, of een meting klopt niet; "
        "tot dat is gevonden, wordt geen partij genoemd."
    ),
    parts_contradict=(
        "De metingen spreken elkaar tegen: alle schakels samen voegen minder toe dan {probes} laat zien."
    ),
    blind_meant="Zijn metingen van die tijd gelden als onbekend: ze zeggen niets over de keten, goed noch slecht.",
    blind_means="Zolang dat duurt, gelden zijn metingen als onbekend: ze zeggen niets over de keten, goed noch slecht.",
    suspicion=(
        "Dit is een vermoeden: {rounds} meetronden moeten het bevestigen voordat het telt, "
        "en vóór die tijd wordt niemand gebeld."
    ),
    corroborated=(
        "Dit is onafhankelijk bevestigd: het blijft staan zonder de metingen van "
        "welke andere partij dan {party} ook.{margin}"
    ),
    single_sided="Dit berust op meting van {rests_on}; geen andere partij bevestigt het met eigen metingen.{margin}",
    self_measured="Dit blijkt alleen uit eigen meting van {party}; geen andere partij heeft het bevestigd.{margin}",
    margin_one=" Het blijft staan, ook als één willekeurige meting niet klopt.",
    margin_many=" Het blijft staan, ook als {count} willekeurige metingen niet kloppen.",
    mover_owner="Aan zet is {mover}, de eigenaar van {segments}.",
    mover_lead="Aan zet is {mover}, volgens afspraak voortrekker voor {segments}; dat zegt niets over de oorzaak.",
    mover_director="Aan zet is {mover}, de regievoerder van de keten; dat zegt niets over de oorzaak.",
    mover_operator="Aan zet is {mover}, die dit meetpunt beheert.",
    mover_plain="Aan zet is {mover}; dat zegt niets over de oorzaak.",
    recovering="Inmiddels slagen de metingen weer; {mover} blijft aan zet totdat ze blijven slagen.",
    back_within=(
        "De metingen liggen inmiddels weer binnen de marge; {mover} blijft aan zet totdat dat enige tijd zo is."
    ),
    closed="De storing is voorbij; niemand hoeft er nu iets voor te doen.",
    decides="Uitsluitsel geeft: {probes}.",
    confirms="Onafhankelijke bevestiging geeft: {probes}.",
    would_have_decided="Uitsluitsel had gegeven: {probes}.",
    would_have_confirmed="Onafhankelijke bevestiging had gegeven: {probes}.",
    nothing_would_have_decided=(
        "Geen meting in het ketenbestand had uitsluitsel gegeven; "
        "voor een volgende keer is daarvoor een extra meting nodig."
    ),
    decides_nothing="Geen meting in het ketenbestand geeft uitsluitsel; daarvoor is een extra meting nodig.",
    head_attributed="storing in {segments} ({party})",
    head_attributed_ended="storing in {segments} ({party})",
    head_late="{segments} ({party}) ten minste {part} trager dan gewoonlijk",
    head_losing="{segments} ({party}) verliest ten minste {part} meer dan gewoonlijk",
    head_late_open="trager dan gewoonlijk, niet te herleiden tot één partij: {candidates}",
    head_losing_open="meer verlies dan gewoonlijk, niet te herleiden tot één partij: {candidates}",
    head_late_in="{segments} trager dan gewoonlijk, niet te herleiden tot één partij",
    head_losing_in="{segments} verliest meer dan gewoonlijk, niet te herleiden tot één partij",
    head_undetermined="niet te herleiden tot één partij: {candidates}",
    head_undetermined_in="storing in {segments}, niet te herleiden tot één partij",
    head_undetermined_in_ended="storing in {segments}, niet te herleiden tot één partij",
    head_contradiction="tegenstrijdige metingen{about}",
    head_monitor="meetpunt {vantage} kan niet meten",
    head_services="; raakt {services}",
    head_suspicion="vermoedelijke storing{about}, wordt bevestigd",
    head_suspected="Vermoeden: {head}",
    head_recovering="Herstelt: {head}",
    head_closed="Voorbij: {head}",
    page_line="Incident {id}, {kind}, {state}",
    page_contact="Aan zet: {mover}{contact}",
    page_quote="Kenmerk: {quotes}",
    page_limits="Deze tekst wijst een technische oorzaak aan en is geen juridisch oordeel.",
)
