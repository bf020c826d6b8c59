"""The page and its files, from memory, compressed, with validators.

Only files found under dashboard/ when the server starts can ever be served: a path is a key
of a table, not a place on a disk.
"""

from __future__ import annotations

import gzip
import mimetypes
from functools import cached_property
from pathlib import Path

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.routing import Route

from zerogex.serving.responses import accepts_gzip, fingerprint, matches

DASHBOARD = Path(__file__).parent / "dashboard"
TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
COMPRESSIBLE = frozenset({".html", ".js", ".mjs", ".css", ".svg", ".txt"})
REVALIDATE = "no-cache"
IMMUTABLE = "public, max-age=31536000, immutable"  # vendored files carry their version in their name


class Asset:
    """One file, read once."""

    def __init__(self, path: Path, cache: str) -> None:
        self.body = path.read_bytes()
        self.etag = f'"{fingerprint(self.body)}"'
        self.cache = cache
        kind = TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "text/plain"
        self.media_type = kind if kind.startswith("image/") else f"{kind}; charset=utf-8"
        self._compressible = path.suffix in COMPRESSIBLE

    @cached_property
    def gzipped(self) -> bytes | None:
        """The compressed body, or None where that does not help."""
        return gzip.compress(self.body, 9, mtime=0) if self._compressible else None

    def response(self, request: Request) -> Response:
        """The file, or 304 to a client that has it."""
        headers = {"ETag": self.etag, "Cache-Control": self.cache, "Vary": "Accept-Encoding"}
        if matches(request, self.etag):
            return Response(status_code=304, headers=headers)
        body = self.body
        if accepts_gzip(request) and self.gzipped is not None:
            body = self.gzipped
            headers["Content-Encoding"] = "gzip"
        return Response(body, headers=headers, media_type=self.media_type)


def assets(folder: Path = DASHBOARD) -> dict[str, Asset]:
    """Every file of the page by its path below `folder`."""
    return {
        path.relative_to(folder).as_posix(): Asset(path, IMMUTABLE if path.parent.name == "vendor" else REVALIDATE)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


def mount(app: FastAPI) -> None:
    """Serve the page at / and its files below /assets."""
    table = assets()

    async def page(request: Request) -> Response:
        return table["index.html"].response(request)

    async def asset(request: Request) -> Response:
        found = table.get(request.path_params["path"])
        if found is None:
            raise HTTPException(404)
        return found.response(request)

    async def icon(request: Request) -> Response:
        return table["icon.svg"].response(request)

    app.router.routes.extend([Route("/", page), Route("/assets/{path:path}", asset), Route("/favicon.ico", icon)])
