"""The monthly report as plain text, for people who are not engineers. Pure: same report, same bytes."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from agent.model import Chain
from agent.report.value import Availability, IncidentRow, MonthReport, Outage, ServiceReport
from agent.words.change_text import caveat, last_change_text

_WIDTH = 100
_STANDING = {
    "corroborated": "independently confirmed",
    "single-sided": "rests on the measurement of one side",
    "self-measured": "the party's own measurement",
}
_KIND = {
    "undetermined": "not traced to one party",
    "contradiction": "measurements contradict each other",
    "monitor": "our own vantage could not look",
}
_EXCESS = {"delay": "slower than usual, nothing failed", "loss": "more lost than usual, nothing failed"}
_NORM = {
    "met": "met",
    "missed": "MISSED",
    "not assessable": "not assessable (too little was measured)",
}


def render(report: MonthReport, chain: Chain) -> str:
    """Return the report as text, lines of at most about 100 characters, with a final line feed."""
    page = _Page(report, chain)
    lines = [*page.head(), *page.services(), *page.incidents(), *page.baseline(), *page.basis()]
    return "\n".join(line.rstrip() for line in lines) + "\n"


class _Page:
    """The report with what its words need: names and the local clock."""

    def __init__(self, report: MonthReport, chain: Chain) -> None:
        self._report = report
        self._chain = chain
        self._zone = ZoneInfo(report.timezone)

    def head(self) -> list[str]:
        report = self._report
        title = f"Service-level report {report.month}"
        lines = [
            title,
            "=" * len(title),
            f"Period    {self._moment(report.start)} to {self._moment(report.stop)} ({report.timezone})",
        ]
        if report.until < report.stop:
            lines.append(f"          PROVISIONAL: the month is not over; counted until {self._moment(report.until)}")
        lines += [f"Director  {self._party(self._chain.director)}", ""]
        return lines + _wrapped(report.statement) + [""]

    def services(self) -> list[str]:
        lines = _heading("Services")
        if not self._report.services:
            lines += ["The chain file names no service.", ""]
        for service in self._report.services:
            lines += self._service(service)
        return lines

    def incidents(self) -> list[str]:
        lines = _heading("Incidents")
        if not self._report.incidents:
            lines += ["None.", ""]
        for row in self._report.incidents:
            lines += self._incident(row)
        return lines

    def baseline(self) -> list[str]:
        """Return the period beside the baseline; nothing where none was fixed."""
        known = self._report.baseline
        if known is None:
            return []
        lines = _heading("Beside the baseline")
        lines += _wrapped(
            f"Measured {self._range(known.opened, known.closed)}, fixed {self._moment(known.fixed)} for "
            f"{self._party(known.party)}. It is for comparison: no norm is judged and nothing is counted by it."
        )
        lines += ["", f"  {'':<32}{'passed':>20}{'median':>22}{'95th percentile':>22}"]
        for row in known.probes:
            for name, level in ((f"{row.probe} then", row.then), (f"{'':<{len(row.probe)}} now", row.now)):
                passed = "nothing measured" if level.passed is None else f"{level.passed} %"
                lines.append(f"  {name:<32}{passed:>20}{_bounds(level.median):>22}{_bounds(level.p95):>22}")
        return [*lines, ""]

    def basis(self) -> list[str]:
        basis = self._report.basis
        lines = _heading("What this report rests on")
        lines += [
            f"Chain file    {basis.chain}",
            f"Observations  {basis.observations}",
            f"Incidents     {basis.incidents}",
            f"Time zones    {basis.tzdata}",
        ]
        if basis.checkpoint:
            whole = "every entry, hash and signature checked" if basis.ledger_whole else "THE LEDGER IS NOT WHOLE"
            lines += [f"Ledger        {whole}; checkpoint:", ""]
            lines += [f"    {line}" for line in basis.checkpoint.splitlines()]
            lines += ["", f"Signed with   {basis.key}"]
        for text in basis.notes:
            lines += _wrapped(f"Note: {text}")
        lines += ["", "How the seconds are counted"]
        return lines + [line for text in _RULES for line in _wrapped(text, "  - ", "    ")]

    def _service(self, service: ServiceReport) -> list[str]:
        lines = [
            f"{service.name} ({service.id})",
            "-" * len(f"{service.name} ({service.id})"),
            f"Service hours  {service.hours}",
            f"Measured by    {', '.join(service.probes) or 'no probe: nothing is known of this service'}",
            "",
            *self._figures("Availability", service.availability),
        ]
        if service.before != service.availability:
            lines += self._figures("the same without exclusions", service.before)
        if service.norm is not None:
            norm = service.norm
            lines += [
                f"Norm: {norm.norm} %, {_NORM[norm.result]}",
                f"  judged on the {norm.judged_on} figure, at a coverage of at least {norm.minimum_coverage} %",
            ]
        lines += ["", *self._classes(service), *self._exclusions(service), *self._outages(service)]
        return [*lines, *self._shares(service), ""]

    def _figures(self, title: str, figures: Availability) -> list[str]:
        if figures.observed is None:
            return [f"{title}: no percentage known, nothing was measured in service hours"]
        return [
            f"{title}: {figures.observed} % of what was measured (coverage {figures.coverage} %)",
            f"  at least {figures.lower} % if everything unmeasured was down, at most {figures.upper} % if it was up",
        ]

    def _classes(self, service: ServiceReport) -> list[str]:
        classes = service.classes
        rows = [
            ("outside service hours", classes.outside),
            ("agreed maintenance", classes.maintenance),
            ("down", classes.down),
            ("unmeasured", classes.unmeasured),
            ("up", classes.up),
        ]
        lines = [f"  {name:<24}{number:>12,} s   {_duration(number)}" for name, number in rows]
        lines.append(f"  {'together':<24}{sum(number for _, number in rows):>12,} s")
        for name, number in (
            ("degraded", classes.degraded),
            ("failed, too briefly to count as down", classes.errored),
        ):
            if number:
                lines.append(f"  of up, {name}: {number:,} s")
        return [*lines, ""]

    def _exclusions(self, service: ServiceReport) -> list[str]:
        return [
            f"Excluded: maintenance by {self._party(one.party)}, {self._range(one.start, one.stop)}: "
            f"{_duration(one.seconds)}, of which down {_duration(one.down)}; agreed: {one.agreed}"
            for one in service.exclusions
        ]

    def _outages(self, service: ServiceReport) -> list[str]:
        if not service.outages:
            return ["Outages: none measured" if service.availability.observed else "Outages: not known"]
        means = (
            f"; mean time to repair {_duration(service.mttr)}, mean time between outages {_duration(service.mtbf)}"
            if service.mttr is not None and service.mtbf is not None
            else ""
        )
        lines = [f"Outages: {service.outage_count} began in this period{means}"]
        return lines + [self._outage(one) for one in service.outages]

    def _outage(self, one: Outage) -> str:
        incidents = f"   {', '.join(one.incidents)}" if one.incidents else "   no incident"
        carried = "   (began in an earlier period, counted there)" if one.carried else ""
        counted = f"{_duration(one.seconds)} ± {one.uncertainty:g} s"
        return f"  {self._range(one.start, one.stop)}   {counted}{incidents}{carried}"

    def _shares(self, service: ServiceReport) -> list[str]:
        shares = service.shares
        if not service.classes.down:
            return []
        lines = ["", "Where the down seconds come from (technical place)"]
        lines += [
            f"  {self._party(row.party):<40} {row.gross:>9,} s, of which alone {row.sole:,} s" for row in shares.parties
        ]
        for names, number in shares.joint.items():
            together = " and ".join(self._party(name) for name in names.split("+"))
            lines.append(f"  at the same time: {together}: {number:,} s")
        rows = (("not traced to one party", shares.undetermined), ("no incident recorded", shares.unexplained))
        return lines + [f"  {name:<40} {number:>9,} s" for name, number in rows if number]

    def _incident(self, row: IncidentRow) -> list[str]:
        if row.party is not None:
            finding = f"located with {self._party(row.party)}"
            finding += f", {_STANDING[row.standing]}" if row.standing else ""
            finding += f" ({', '.join(map(self._party, row.rests_on))})" if row.rests_on else ""
        else:
            finding = _KIND.get(row.kind, row.kind)
            if row.candidates:
                finding += f"; possible: {', '.join(map(self._party, row.candidates))}"
        finding = f"{_EXCESS[row.excess]}; {finding}" if row.excess else finding
        closed = "not over at the end of this report" if row.closed is None else f"to {self._moment(int(row.closed))}"
        margin = f" ± {row.uncertainty:g} s" if row.uncertainty else ""
        lines = [
            f"{self._moment(int(row.opened))} {closed}   {_duration(row.seconds)} in this period{margin}   {row.id}",
            *_wrapped(finding, "    ", "    "),
        ]
        places = (("segments", row.segments), ("services", row.services))
        lines += [f"    {name}: {', '.join(values)}" for name, values in places if values]
        for one in row.last_changes:
            told = last_change_text(one, row.opened, self._chain, "en")
            lines += _wrapped(f"last change: {told}", "    ", "      ")
        return [*lines, *([f"    {caveat('en')}"] if row.last_changes else []), ""]

    def _party(self, identifier: str) -> str:
        party = self._chain.parties.get(identifier)
        return f"{party.name} ({identifier})" if party else identifier

    def _moment(self, second: int) -> str:
        """Return local time with its offset, so that the hour that occurs twice is clear."""
        local = datetime.fromtimestamp(second, UTC).astimezone(self._zone)
        return local.strftime("%Y-%m-%d %H:%M:%S ") + local.strftime("%z")[:3] + ":" + local.strftime("%z")[3:5]

    def _range(self, start: int, stop: int) -> str:
        first, last = self._moment(start), self._moment(stop)
        return f"{first} to {last[11:] if first[:10] == last[:10] else last}"


_RULES = """\
Every second is in exactly one class: outside service hours, agreed maintenance, down, unmeasured, up; the first that \
applies counts.
A service is down from the first of 10 consecutive bad seconds (with measurements more than a second apart: from the \
first of two consecutive bad ones) and up from the first of 10 consecutive good ones (ITU-T Y.1563).
A measurement speaks until the next one, at most its interval and timeout. What is not measured is not counted as up.
Percentages are truncated, never rounded.""".splitlines()


def _bounds(bounds: tuple[float, float | None] | None) -> str:
    """Return what a quantile lies between."""
    if bounds is None:
        return "-"
    low, high = bounds
    return f"over {low * 1000:g} ms" if high is None else f"{low * 1000:g} to {high * 1000:g} ms"


def _heading(text: str) -> list[str]:
    return [text.upper(), ""]


def _duration(seconds: int) -> str:
    """Return a duration in its two largest units."""
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    first = next((place for place, (number, _) in enumerate(parts) if number), 3)
    return " ".join(f"{number} {unit}" for number, unit in parts[first : first + 2] if number) or "0 s"


def _wrapped(text: str, first: str = "", rest: str = "") -> list[str]:
    """Break a text into lines at spaces."""
    lines: list[str] = []
    line = first
    for word in text.split():
        if len(line) + len(word) >= _WIDTH and line.strip():
            lines.append(line)
            line = rest
        line += word + " "
    return [*lines, line.rstrip()]
