"""One thing that `demarc doctor` looked at."""

import msgspec

OK, WARN, FAIL = "ok", "warn", "fail"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing looked at: `state` is ok, warn or fail; `remedy` is empty when nothing is to be done."""

    subject: str
    state: str
    text: str
    remedy: str = ""
