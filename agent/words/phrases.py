"""The shape of a language: every sentence pattern that the words need, as one frozen value.

A language that misses a pattern does not type-check. Names in braces are filled by the caller;
both languages use the same names (a test compares them).
"""

import msgspec


class Phrases(msgspec.Struct, frozen=True, kw_only=True):
    """Sentence patterns of one language; `_one` and `_many` differ in number only."""

    and_: str
    decimal: str
    more: str
    quoted: str
    probe: str
    self_check: str
    self_checks: str
    from_vantages: str
    owned: str
    nobody: str
    months: tuple[str, ...]
    moment: str
    clock: str
    and_also: str
    days: tuple[str, str]
    hours: tuple[str, str]
    minutes: tuple[str, str]
    seconds: tuple[str, str]
    disturbed_one: str
    disturbed_many: str
    were_disturbed_one: str
    were_disturbed_many: str
    fails_one: str
    fails_many: str
    failed_one: str
    failed_many: str
    fails_unknown: str
    failed_unknown: str
    blind: str
    was_blind: str
    worked: str
    worked_even: str
    worked_nothing: str
    late: str
    was_late: str
    late_unknown: str
    was_late_unknown: str
    losing: str
    was_losing: str
    losing_unknown: str
    was_losing_unknown: str
    added_little: str
    added_unknown: str
    at_least: str
    remains: str
    possible: str
    possible_joint: str
    possible_unassigned: str
    possible_nobody: str
    simplest: str
    reported: str
    contradiction: str
    contradiction_means: str
    parts_contradict: str
    blind_means: str
    blind_meant: str
    suspicion: str
    corroborated: str
    single_sided: str
    self_measured: str
    margin_one: str
    margin_many: str
    mover_owner: str
    mover_lead: str
    mover_director: str
    mover_operator: str
    mover_plain: str
    recovering: str
    back_within: str
    closed: str
    decides: str
    confirms: str
    decides_nothing: str
    would_have_decided: str
    would_have_confirmed: str
    nothing_would_have_decided: str
    head_attributed: str
    head_attributed_ended: str
    head_late: str
    head_losing: str
    head_late_open: str
    head_losing_open: str
    head_late_in: str
    head_losing_in: str
    head_undetermined: str
    head_undetermined_in: str
    head_undetermined_in_ended: str
    head_contradiction: str
    head_monitor: str
    head_services: str
    head_suspected: str
    head_suspicion: str
    head_recovering: str
    head_closed: str
    or_: str
    page_line: str
    page_contact: str
    page_quote: str
    page_limits: str
