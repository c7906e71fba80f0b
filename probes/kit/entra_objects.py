"""Objects that the directory could not take over as they are: counted by what is in conflict.

Pure. Source: learn.microsoft.com, "onPremisesProvisioningError resource type": PropertyConflict is its only category,
UserPrincipalName and ProxyAddress are the properties. What must stay true: whose object it is, and the conflicting
value, are read only where the chain file asks for names, and then shown in the detail only.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Final

import msgspec

from probes.kit.https_exchange import Reply
from probes.kit.microsoft import Blind, next_path, read_json
from probes.kit.result import Outcome, Result, Stage, failed
from probes.kit.spec import Fault, Metric

KINDS: Final = ("users", "groups", "contacts")
# Of a collection (learn.microsoft.com, the List pages of users, groups and organizational contacts).
PERMISSION: Final = {"users": "User.Read.All", "groups": "Group.Read.All", "contacts": "OrgContact.Read.All"}
# A page of 100 objects has some 40 KiB; what more pages than these hold is counted by Graph's own total.
_PAGE: Final = 100
MOST_PAGES: Final = 5
# $count and the lambda need the eventual consistency level ("Advanced query capabilities on directory objects").
HEADERS: Final = {"ConsistencyLevel": "eventual"}
_NAMED: Final = {"users": "userPrincipalName", "groups": "displayName", "contacts": "displayName"}
_MOST_NAMES: Final = 5
_NAME_LENGTH: Final = 113  # a user principal name has 113 characters at most

OBJECT_METRICS: Final = (
    Metric("entra_object_errors", "Objects that the directory could not take over as they are."),
    Metric("entra_object_errors_upn", "Of these, conflicts of a user principal name."),
    Metric("entra_object_errors_proxy_address", "Of these, conflicts of a mail address."),
    Metric("entra_object_errors_other", "Of these, other conflicts."),
    Metric("entra_object_error_oldest_timestamp_seconds", "When the oldest of these conflicts arose, UTC epoch."),
)
OBJECT_FAULTS: Final = (
    Fault(
        "objects-in-error",
        Stage.CONNECT,
        "So many objects are in error (degraded from `warn_objects` on, failed from `critical_objects` on).",
        "Correct the duplicate attributes where the objects are kept; the admin centre lists them.",
    ),
)


class _Error(msgspec.Struct, rename="camel"):
    property_causing_error: str | None = None
    occurred_date_time: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class _Object(msgspec.Struct, rename="camel"):
    user_principal_name: str | None = None
    display_name: str | None = None
    on_premises_provisioning_errors: tuple[_Error, ...] | None = None


class _Objects(msgspec.Struct):
    value: tuple[_Object, ...]
    count: int | None = msgspec.field(default=None, name="@odata.count")
    further: str | None = msgspec.field(default=None, name="@odata.nextLink")


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One page: how many objects Graph counts in all, causes and names of those on it, and the next page's path."""

    total: int
    objects: int
    causes: tuple[str, ...]
    oldest: float | None
    names: tuple[str, ...]
    further: str | None


def first_path(kind: str, *, names: bool) -> str:
    """Return what to ask for objects in error of `kind`; names only where they are wanted."""
    selected = ["id", "onPremisesProvisioningErrors", *([_NAMED[kind]] if names else [])]
    condition = "onPremisesProvisioningErrors/any(o:o/category%20eq%20'PropertyConflict')"
    return f"/v1.0/{kind}?$filter={condition}&$select={','.join(selected)}&$count=true&$top={_PAGE}"


def read_page(reply: Reply, target: str, *, names: bool) -> Page | Blind:
    """Return what a 200 lists; a next page elsewhere than at `target` is not Graph's."""
    listed = read_json(reply.body, _Objects)
    if listed is None:
        return Blind(fault="not-graph", detail="a 200 that is not Graph's list of objects")
    further = next_path(listed.further, target) if listed.further else None
    if listed.further and further is None:
        return Blind(fault="not-graph", detail="a list whose next page is at another address")
    errors = [error for one in listed.value for error in one.on_premises_provisioning_errors or ()]
    moments = (error.occurred_date_time for error in errors)
    shown = (one.user_principal_name or one.display_name for one in listed.value) if names else ()
    return Page(
        total=max(listed.count or 0, len(listed.value)),
        objects=len(listed.value),
        causes=tuple(error.property_causing_error or "" for error in errors),
        oldest=min((moment.timestamp() for moment in moments if moment and moment.year > 1970), default=None),
        names=tuple(_plain(name) for name in shown if name),
        further=further,
    )


def _plain(name: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in name[:_NAME_LENGTH])


def judge_objects(pages: Iterable[tuple[str, Page]], warn: int, critical: int) -> Result:
    """Return what the pages of each kind say together; `critical` 0: never failed."""
    seen = tuple(pages)
    totals: dict[str, int] = {}
    for kind, page in seen:
        totals[kind] = max(totals.get(kind, 0), page.total)
    total, read = sum(totals.values()), sum(page.objects for _, page in seen)
    values = {"entra_object_errors": float(total)}
    causes = [cause.lower() for _, page in seen for cause in page.causes]
    upn, mail = causes.count("userprincipalname"), causes.count("proxyaddress")
    if read == total:  # what was not read has no cause that we know
        values |= {
            "entra_object_errors_upn": float(upn),
            "entra_object_errors_proxy_address": float(mail),
            "entra_object_errors_other": float(len(causes) - upn - mail),
        }
        oldest = min((page.oldest for _, page in seen if page.oldest is not None), default=None)
        values |= {} if oldest is None else {"entra_object_error_oldest_timestamp_seconds": oldest}
    if total < warn:
        return Result(outcome=Outcome.OK, detail=f"{total} objects in error", values=values)
    words = [f"{total} objects in error", *(f"{number} {kind}" for kind, number in totals.items() if number)]
    words += [f"{number} {what}" for number, what in ((upn, "by name"), (mail, "by mail address")) if number]
    names = [name for _, page in seen for name in page.names][:_MOST_NAMES]
    detail = ", ".join(words) + (f": {', '.join(names)}" if names else "")
    if critical and total >= critical:
        return failed(Stage.CONNECT, "objects-in-error", detail=detail, values=values)
    return Result(outcome=Outcome.DEGRADED, fault="objects-in-error", detail=detail, values=values)
