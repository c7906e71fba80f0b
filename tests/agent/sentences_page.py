"""The catalogue of sentences; `python -m tests.agent.sentences_page > docs/sentences.md` renews it.

Every sample incident as it is told in both languages, then every pattern. A test holds the page to the code.
"""

import sys

from agent.words import LANGUAGES, sentences, summary
from agent.words.dutch import DUTCH
from agent.words.english import ENGLISH
from agent.words.phrases import Phrases
from tests.agent.samples import CHAIN, INCIDENTS, PASSING

HEAD = """# The sentences

What readers who are not engineers are told of an incident, on the status page, in alerts, on the command line and in
reports, in English and in Dutch. Made by `agent/words`; each sentence follows from what the incident holds, and none
judges. Read it as a contract manager: what failed, what worked at the same moment, why only this party remains or who
is still possible, on whose word it rests, whose move it is, what would decide it.

The examples are of an imagined chain. This page is made by `python -m tests.agent.sentences_page`; a test holds it to
the code.

## Examples
"""
PATTERNS = """
## Every pattern

What stands in braces is filled in from the incident.

| name | English | Nederlands |
|---|---|---|
"""


def page() -> str:
    """Return the page."""
    parts = [HEAD]
    for name, incident in INCIDENTS.items():
        parts.append(f"\n### {name[0].upper()}{name[1:]}\n")
        for language in LANGUAGES:
            parts.append(f"\n**{summary(incident, CHAIN, language)}**\n\n")
            parts += (f"- {text}\n" for text in sentences(incident, CHAIN, PASSING, language))
    parts.append(PATTERNS)
    parts += (
        f"| `{name}` | {_cell(getattr(ENGLISH, name))} | {_cell(getattr(DUTCH, name))} |\n"
        for name in Phrases.__struct_fields__
    )
    return "".join(parts)


def _cell(pattern: str | tuple[str, ...]) -> str:
    return pattern.strip() if isinstance(pattern, str) else ", ".join(pattern)


if __name__ == "__main__":
    sys.stdout.write(page())
