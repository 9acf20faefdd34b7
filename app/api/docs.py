"""`/docs`, `/redoc` and `/openapi.json`: the API for people and for generators. Nothing comes from another host."""

from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from app.api.framework import Api
from app.api.prefix import prefix_of

DOCUMENT = "/openapi.json"
_CACHED = 8  # prefixes whose document is kept
_PAGES = Path(__file__).parent / "pages"
_ASSETS = Path(str(files("fastapi_standalone_docs"))) / "static"
_FILES = {
    "/docs": _PAGES / "docs.html",
    "/docs/start.js": _PAGES / "start.js",
    "/docs/swagger-ui-bundle.js": _ASSETS / "swagger/swagger-ui-bundle.js",
    "/docs/swagger-ui.css": _ASSETS / "swagger/swagger-ui.css",
    "/docs/favicon.png": _ASSETS / "fastapi/favicon.png",
    "/redoc": _PAGES / "redoc.html",
    "/redoc/redoc.standalone.js": _ASSETS / "redoc/redoc.standalone.js",
    "/redoc/logo-mini.svg": _ASSETS / "redoc/logo-mini.svg",
    "/redoc/favicon.png": _ASSETS / "fastapi/favicon.png",
}
PATHS = frozenset({DOCUMENT, *_FILES})
"""Every path of the documentation, none of which wants credentials."""

_POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self' data:; style-src 'self'{styles}; "
    "{workers}base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_SWAGGER = _POLICY.format(styles="", workers="")
_REDOC = _POLICY.format(styles=" 'unsafe-inline'", workers="worker-src blob:; ")  # it writes its styles and its search


def routes(api: Api, *, pages: bool) -> None:
    """Serve the document, and with `pages` the pages that show it."""

    @lru_cache(_CACHED)
    def document(prefix: str) -> bytes:
        servers = {"servers": [{"url": prefix}]} if prefix else {}
        return msgspec.json.encode(api.openapi() | servers)

    async def openapi(request: Request) -> Response:
        return Response(document(prefix_of(request.scope)), media_type="application/json")

    api.add_route(DOCUMENT, openapi, include_in_schema=False)
    for path, file in _FILES.items() if pages else ():
        _serve(api, path, file)


def _serve(api: Api, path: str, file: Path) -> None:
    folder = StaticFiles(directory=file.parent)
    headers = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache"}
    if file.suffix == ".html":
        headers["Content-Security-Policy"] = _REDOC if path == "/redoc" else _SWAGGER

    async def serve(request: Request) -> Response:
        response = await folder.get_response(file.name, request.scope)
        response.headers.update(headers)
        return response

    api.add_route(path, serve, include_in_schema=False)
