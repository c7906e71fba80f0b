"""The page's own files: read once from the package, addressed by a hash of their content."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from agent.web.page.document import Assets

# One dashed line between two parties: what the product is about.
_FAVICON: Final = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="6" height="16" fill="#0072b2"/>'
    b'<rect x="10" width="6" height="16" fill="#e69f00"/>'
    b'<path d="M8 0v16" stroke="#777" stroke-width="2" stroke-dasharray="3 2"/></svg>'
)
# RFC 9111 and RFC 8246: content under a hashed address never changes.
_FOREVER: Final = "public, max-age=31536000, immutable"


class File(msgspec.Struct, frozen=True, kw_only=True):
    """One file as it is served; `digest` is the start of its SHA-256."""

    content: bytes
    media_type: str
    digest: str


class StaticFiles:
    """The files of the page; serves `/static/{digest}/{name}`."""

    def __init__(self) -> None:
        folder = Path(__file__).parents[1] / "static"  # a megabyte less than by importlib.resources
        self._files: Mapping[str, File] = {
            "page.css": _file((folder / "page.css").read_bytes(), "text/css"),
            "page.js": _file((folder / "page.js").read_bytes(), "text/javascript"),
            "favicon.svg": _file(_FAVICON, "image/svg+xml"),
        }

    @property
    def addresses(self) -> Assets:
        """Return where the page finds its files."""
        return Assets(style=self._path("page.css"), script=self._path("page.js"), favicon=self._path("favicon.svg"))

    @property
    def version(self) -> str:
        """Return a word that changes with any of the files: an open page then reloads itself."""
        return "-".join(f.digest[:6] for f in self._files.values())

    async def serve(self, request: Request) -> Response:
        """Answer for one file; kept for ever by whoever asked for exactly this content."""
        file = self._files.get(request.path_params["name"])
        if file is None:
            return PlainTextResponse("no such file\n", status_code=404)
        exact = request.path_params["digest"] == file.digest
        headers = {"cache-control": _FOREVER if exact else "no-cache", "x-content-type-options": "nosniff"}
        return Response(file.content, media_type=file.media_type, headers=headers)

    def _path(self, name: str) -> str:
        return f"/static/{self._files[name].digest}/{name}"


def _file(content: bytes, media_type: str) -> File:
    return File(content=content, media_type=media_type, digest=hashlib.sha256(content).hexdigest()[:16])
