"""Change what the simulator does: `python -m lab.microsoft.script STATE [key=value …|freeze|reset]`."""

import argparse
import sys
import time
from pathlib import Path

import msgspec

from lab.microsoft.state import State, change, freeze, load, save


def value(text: str) -> object:
    """Return `text` as a switch's value: null, true, false and numbers of seconds, else a string."""
    return {"null": None, "true": True, "false": False}.get(text, text)


def given(name: str, text: str) -> object:
    """Return what the word `name=text` gives the switch: a number, a list (of words with commas), or a value."""
    if name == "permissions":
        return [word for word in text.split(",") if word]
    if name.endswith("_errors"):
        return int(text)
    return float(text) if name.endswith("_seconds") and text != "null" else value(text)


def apply(state: State, words: list[str], now: float) -> State:
    """Return `state` after the changes in `words`; raises ValueError with the word that does not fit."""
    for word in words:
        name, equals, text = word.partition("=")
        if word == "reset":
            state = State()
        elif word == "freeze":
            state = freeze(state, now)
        elif not equals:
            raise ValueError(f"{word!r}: write key=value, freeze or reset")
        else:
            state = change(state, {name: given(name, text)})
    return state


def main(arguments: list[str] | None = None) -> int:
    """Apply the changes, show the state; exit 2 when a change does not fit."""
    parser = argparse.ArgumentParser(prog="python -m lab.microsoft.script", description=__doc__)
    parser.add_argument("state", type=Path)
    parser.add_argument("changes", nargs="*")
    options = parser.parse_args(arguments)
    try:
        state = apply(load(options.state), options.changes, time.time())
    except (ValueError, msgspec.ValidationError) as error:
        print(error, file=sys.stderr)
        return 2
    if options.changes:
        save(options.state, state)
    print(msgspec.json.format(msgspec.json.encode(state)).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
