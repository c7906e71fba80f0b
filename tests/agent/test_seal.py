"""What travels with an answer to a peer."""

from hypothesis import given
from hypothesis import strategies as st

from agent.seal import PAGES_MOST, Pages, answer_of, place, read_pages, write_pages

NAMES = st.from_regex(r"[A-Za-z0-9._-]{1,60}", fullmatch=True)
ALERTS = st.lists(st.tuples(NAMES, st.lists(NAMES, max_size=40).map(tuple)), max_size=60).map(tuple)


@given(ALERTS)
def test_pages_fit_a_header(alerts: tuple[tuple[str, tuple[str, ...]], ...]) -> None:
    """Whatever is paged fits one header field, and what was left out is left out from the end."""
    pages = Pages(via=(place("https://alertmanager:9093"),), alerts=alerts)
    text = write_pages(pages)
    assert len(text) <= PAGES_MOST
    again = read_pages(text)
    assert again.via == pages.via
    assert again.alerts == alerts[: len(again.alerts)]


@given(st.text())
def test_any_header_is_pages(text: str) -> None:
    """A header that is not ours pages nobody."""
    assert isinstance(read_pages(text), Pages)
    assert answer_of({"demarc-vantage": "a", "demarc-time": text}, b"", nonce="", since_round=0) is None or (
        text.isascii() and text.isdigit()
    )


def test_many_places_leave_no_room() -> None:
    """Where even the places fill the header no alert is told, and writing ends."""
    pages = Pages(via=tuple(place(str(n)) for n in range(400)), alerts=(("msp", ("a",)),))
    assert read_pages(write_pages(pages)).alerts == ()
