"""English: the sentence patterns."""

from agent.words.phrases import Phrases

ENGLISH = Phrases(
    and_="and",
    or_="or",
    decimal=".",
    more="{count} more",
    quoted="“{name}”",
    probe="“{name}” ({type} to {target})",
    self_check="the self-check of {vantage}",
    self_checks="the self-checks of {vantages}",
    from_vantages="from {vantages}",
    owned="{segments} ({owner})",
    nobody="no agreed owner",
    months=(
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ),
    and_also=", and ",
    clock="{time} {zone}",
    moment="{time} {zone} on {day} {month} {year}",
    days=("{count} day", "{count} days"),
    hours=("{count} hour", "{count} hours"),
    minutes=("{count} minute", "{count} minutes"),
    seconds=("{count} second", "{count} seconds"),
    disturbed_one="{services} is disturbed: {clause}",
    disturbed_many="{services} are disturbed: {clause}",
    were_disturbed_one="{services} was disturbed: {clause}",
    were_disturbed_many="{services} were disturbed: {clause}",
    fails_one="since {since}, the measurement {probes} {origin} fails: {how}.",
    fails_many="since {since}, {count} measurements {origin} fail, {probes}: {how}.",
    failed_one="from {since} until {until} ({lasted}), the measurement {probes} {origin} failed: {how}.",
    failed_many="from {since} until {until} ({lasted}), {count} measurements {origin} failed, {probes}: {how}.",
    fails_unknown="since {since}, the chain does not work as agreed.",
    failed_unknown="from {since} until {until} ({lasted}), the chain did not work as agreed.",
    blind="Since {since}, the measuring point {vantage} cannot measure: {how}.",
    was_blind="From {since} until {until} ({lasted}), the measuring point {vantage} could not measure: {how}.",
    worked="At the same moment these parts worked: {parts}; this is shown by {probes}.",
    worked_even=(
        "At the same moment these parts worked: {parts}; this is shown by {probes}, "
        "and by failing measurements themselves, which got that far."
    ),
    worked_nothing="At that moment no measurement showed that another part on the same path worked.",
    late=(
        "since {since}, the time of {probes} {origin} is at least {low} longer than usual; "
        "from {margin} on that is a disturbance."
    ),
    was_late=(
        "from {since} until {until} ({lasted}), the time of {probes} {origin} was at least {low} longer than usual; "
        "from {margin} on that is a disturbance."
    ),
    late_unknown=(
        "since {since}, the chain is at least {low} slower than usual; from {margin} on that is a disturbance."
    ),
    was_late_unknown=(
        "from {since} until {until} ({lasted}), the chain was at least {low} slower than usual; "
        "from {margin} on that is a disturbance."
    ),
    losing=(
        "since {since}, at least {low} more than usual of {probes} {origin} gets lost; "
        "from {margin} on that is a disturbance."
    ),
    was_losing=(
        "from {since} until {until} ({lasted}), at least {low} more than usual of {probes} {origin} got lost; "
        "from {margin} on that is a disturbance."
    ),
    losing_unknown="since {since}, at least {low} more than usual gets lost; from {margin} on that is a disturbance.",
    was_losing_unknown=(
        "from {since} until {until} ({lasted}), at least {low} more than usual got lost; "
        "from {margin} on that is a disturbance."
    ),
    added_little="At the same moment these parts added little or nothing: {parts}; this is shown by {probes}.",
    added_unknown="At that moment no measurement showed how much another part on the same path added.",
    at_least=(
        "At least {part} of {low} lies in {segments}, owned by {party} alone: so much is left "
        "when the most that all others can have added is taken off."
    ),
    remains=(
        "Everything else that the failing measurements need was shown to work; what remains is {segments}, "
        "owned by {party} alone, so the disturbance lies there."
    ),
    possible=(
        "The disturbance cannot be traced to one party: still possible are {candidates}, "
        "and the measurements do not tell them apart."
    ),
    possible_joint=(
        "The disturbance lies in {segments}, which {candidates} own together; "
        "what parties own together is never traced to one of them."
    ),
    possible_unassigned="The disturbance lies in {segments}, which has no agreed owner, so no party can be named.",
    reported=(
        "{party} itself tells by {probe}: {how}; that is its own word beside the measurements, "
        "and proves nothing alone."
    ),
    possible_nobody="The disturbance cannot be traced to one party: {segments} remain, and nobody is named for them.",
    simplest="The simplest explanation is a disturbance in {segments}; that is an explanation, not proof.",
    contradiction=(
        "The measurements contradict each other: each part that {probes} needs "
        "was shown to work by another measurement."
    ),
    contradiction_means=(
        "Either a part is missing from the chain file or a measurement is wrong, "
        "so no party is named until that is found."
    ),
    parts_contradict=("The measurements contradict each other: all parts together add less than what {probes} shows."),
    blind_means=(
        "For as long as that lasts, its measurements count as unknown: they say nothing about the chain, good or bad."
    ),
    blind_meant="Its measurements of that time count as unknown: they say nothing about the chain, good or bad.",
    suspicion=(
        "This is a suspicion: {rounds} confirmation rounds must agree before it counts, "
        "and nobody is called before that."
    ),
    corroborated=(
        "This is independently confirmed: it stands without the measurements "
        "of any one operator other than {party}.{margin}"
    ),
    single_sided="This rests on the measurements of {rests_on}; no other operator's measurements confirm it.{margin}",
    self_measured="This is shown by the own measurements of {party} only; no other operator has confirmed it.{margin}",
    margin_one=" It stands even if any one measurement is wrong.",
    margin_many=" It stands even if any {count} measurements are wrong.",
    mover_owner="It is now the move of {mover}, the owner of {segments}.",
    mover_lead=(
        "It is now the move of {mover}, who by agreement takes the lead for {segments}; "
        "that says nothing about the cause."
    ),
    mover_director="It is now the move of {mover}, the director of the chain; that says nothing about the cause.",
    mover_operator="It is now the move of {mover}, who operates this measuring point.",
    mover_plain="It is now the move of {mover}; that says nothing about the cause.",
    recovering="By now the measurements pass again; it stays the move of {mover} until they keep passing.",
    back_within=(
        "By now the measurements are within the margin again; "
        "it stays the move of {mover} until they have been so for a while."
    ),
    closed="The disturbance has ended; nobody needs to act on it now.",
    decides="What would decide it: {probes}.",
    confirms="What would confirm it independently: {probes}.",
    decides_nothing="No measurement in the chain file would decide it; that takes one more measurement.",
    would_have_decided="What would have decided it: {probes}.",
    would_have_confirmed="What would have confirmed it independently: {probes}.",
    nothing_would_have_decided=(
        "No measurement in the chain file would have decided it; for a next time that takes one more measurement."
    ),
    head_attributed="{segments} ({party}) fails",
    head_attributed_ended="{segments} ({party}) failed",
    head_late="{segments} ({party}) at least {part} slower than usual",
    head_losing="{segments} ({party}) loses at least {part} more than usual",
    head_late_open="slower than usual, cannot be traced to one party: {candidates}",
    head_losing_open="more lost than usual, cannot be traced to one party: {candidates}",
    head_late_in="{segments} slower than usual, cannot be traced to one party",
    head_losing_in="{segments} loses more than usual, cannot be traced to one party",
    head_undetermined="cannot be traced to one party: {candidates}",
    head_undetermined_in="{segments} fails, cannot be traced to one party",
    head_undetermined_in_ended="{segments} failed, cannot be traced to one party",
    head_contradiction="measurements contradict each other{about}",
    head_monitor="measuring point {vantage} cannot measure",
    head_services="; affects {services}",
    head_suspicion="suspected disturbance{about}, being confirmed",
    head_suspected="Suspected: {head}",
    head_recovering="Recovering: {head}",
    head_closed="Ended: {head}",
    page_line="Incident {id}, {kind}, {state}",
    page_contact="To act: {mover}{contact}",
    page_quote="Quote: {quotes}",
    page_limits="This text locates a technical cause; it is not a legal judgement.",
)
