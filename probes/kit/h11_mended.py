"""h11, with patterns that take one pass over any line.

h11 0.16 tries every way to share blanks between a header's value and what surrounds it: a line of 15,000 blanks that
ends wrongly takes a second, one of 60,000 a quarter of a minute, and any client of the agent's web server, or any
server that a probe asks, can send one. What must stay true: the patterns accept exactly what h11's accept; they are
in place wherever h11 reads in this process, uvicorn included.
"""

import re
from typing import Final

import h11
from h11 import _readers

__all__ = ["CHUNK", "FIELD", "h11"]

_TOKEN: Final = rb"[-!#$%&'*+.^_`|~0-9a-zA-Z]+"  # RFC 9110 section 5.6.2
_TEXT: Final = rb"[^\x00\s]"
# As h11's (RFC 9112 section 5), with possessive repeats: what they have taken they do not give back.
FIELD: Final = re.compile(
    rb"(?P<field_name>" + _TOKEN + rb"):[ \t]*+(?P<field_value>(?:" + _TEXT + rb"++(?:[ \t]++" + _TEXT + rb"++)*+)?+)"
    rb"[ \t]*+"
)
# As h11's (RFC 9112 section 7.1); an extension goes up to the line's end, and h11 makes no use of it.
CHUNK: Final = re.compile(rb"(?P<chunk_size>[0-9A-Fa-f]{1,20})(?:(?P<chunk_ext>;[^\n]*+)(?<=\r)\n|[ \t]*+\r\n)")

_readers.header_field_re = FIELD
_readers.chunk_header_re = CHUNK
