"""FORMAT.md's worked example is what the code writes, byte for byte."""

from importlib.resources import files

from tests.agent.ledger.example import section


def test_the_worked_example_is_what_the_code_makes() -> None:
    """Bodies, hashes, checkpoint, signature and proof in the document are the code's own."""
    document = files("agent.ledger").joinpath("FORMAT.md").read_text(encoding="utf-8")
    assert document[document.index("## Worked example") :] == section()
