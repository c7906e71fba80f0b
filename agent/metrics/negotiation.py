"""Which form of the exposition a client takes: its Accept and Accept-Encoding headers (RFC 9110, 12.4 and 12.5).

Pure. What must stay true: whatever the headers say, one of the forms that we have comes out; a client
that refuses everything still gets plain text, as Prometheus' own libraries do.
"""

import re
from collections.abc import Iterator
from typing import Final

PLAIN: Final = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"

# The media ranges that cover each form, the most specific first: only that one's weight counts (12.5.1).
_RANGES: Final = {
    OPENMETRICS: ("application/openmetrics-text", "application/*", "*/*"),
    PLAIN: ("text/plain", "text/*", "*/*"),
}
_VERSIONS: Final = {"application/openmetrics-text": ("", "1.0.0", "0.0.1"), "text/plain": ("", "0.0.4")}
# A header of more than 50 parts is no client's.
_MOST_PARTS: Final = 50
_WEIGHT: Final = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")  # qvalue of 12.4.2


def chosen(accept: str) -> str:
    """Return the content type for an Accept header; plain text where the client has no preference."""
    weights: dict[str, float] = {}
    for kind, weight, parameters in _parts(accept):
        if parameters.get("version", "") in _VERSIONS.get(kind, (parameters.get("version", ""),)):
            weights[kind] = max(weight, weights.get(kind, 0.0))
    wanted = {form: next((weights[r] for r in ranges if r in weights), 0.0) for form, ranges in _RANGES.items()}
    named = "application/openmetrics-text" in weights
    above = wanted[OPENMETRICS] > wanted[PLAIN] or (named and wanted[OPENMETRICS] == wanted[PLAIN])
    return OPENMETRICS if above and wanted[OPENMETRICS] > 0 else PLAIN


def takes_gzip(header: str) -> bool:
    """Tell whether an Accept-Encoding header allows gzip."""
    weights = {coding: weight for coding, weight, _ in _parts(header)}
    return weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0))) > 0


def _parts(header: str) -> Iterator[tuple[str, float, dict[str, str]]]:
    """Yield each part of a list: its name, its weight (1 when it has none, 0 when it has a strange one), the rest."""
    for part in header.lower().split(",", _MOST_PARTS)[:_MOST_PARTS]:
        name, *rest = (text.strip() for text in part.split(";"))
        pairs = (text.partition("=") for text in rest)
        parameters = {key.strip(): value.strip().strip('"') for key, _, value in pairs}
        weight = parameters.pop("q", "1")
        yield name, float(weight) if _WEIGHT.fullmatch(weight) else 0.0, parameters
