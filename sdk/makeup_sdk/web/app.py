"""The web application: the page, the JSON API, and live frames."""

import base64
import json
from importlib import resources
from typing import Any

from fastapi import FastAPI, Request, Response, WebSocket
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException

from makeup_kernels import MakeupError
from makeup_kernels.dispatch import thread_count, usable_cores
from makeup_sdk.looks.look import Look
from makeup_sdk.makeup.product_json import schema
from makeup_sdk.web.guard import Guard, GuardOptions
from makeup_sdk.web.limits import Limits
from makeup_sdk.web.live import LiveClient
from makeup_sdk.web.offers import Offer, offers
from makeup_sdk.web.places import Places, Workers
from makeup_sdk.web.requests import (
    ApplyRequest,
    EditRequest,
    LabelRequest,
    LiveRequest,
    LookRequest,
)
from makeup_sdk.web.session import Sessions
from makeup_sdk.web.studio import Studio

_STATIC = resources.files("makeup_sdk") / "web" / "static"
_SHOWN = 40
_BODIES = (ApplyRequest, EditRequest, LabelRequest, LookRequest)


def create_app(
    *,
    limits: Limits | None = None,
    loopback: bool = True,
    token: str | None = None,
    origin: str | None = None,
    threads: int | None = None,
    session_key: str | None = None,
) -> FastAPI:
    """Build the application. It keeps the gallery's looks in memory and stores no visitor data.

    Args:
        limits: sizes, counts and times that clients must keep to.
        loopback: answer only to loopback host names and to the host name of `origin`.
        token: if set, every request must carry it.
        origin: public address of a reverse proxy, such as "https://try.example".
        threads: CPU threads per frame; default all cores.
        session_key: key that replicas share, so that live sessions can move between them; None
            generates a random key.

    Raises:
        BundleError: the shipped face models are missing or damaged.
        InvalidInputError: an empty or malformed token, an origin that is not an address, or a
            session key of fewer than 16 characters.
    """
    limits = limits or Limits()
    guard = GuardOptions(loopback, token, origin, limits)
    sessions = Sessions(session_key, limits.session_seconds)
    app = FastAPI(
        title="makeup-sdk",
        description='Makeup try-on. Pictures are base64; errors are {"error": "..."}.',
        openapi_url="/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.add_middleware(Guard, options=guard)
    app.add_exception_handler(MakeupError, _explain)
    app.add_exception_handler(HTTPException, _explain_status)
    _add_routes(app, Studio(limits, threads), limits, threads, sessions)
    app.mount("/", StaticFiles(directory=str(_STATIC), html=True))
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]
    return app


def _add_routes(
    app: FastAPI, studio: Studio, limits: Limits, threads: int | None, sessions: Sessions
) -> None:
    places = Places(limits.clients, limits.clients_per_address)
    workers = Workers(max(usable_cores() // thread_count(threads), 1))

    @app.get("/openapi.json", include_in_schema=False)
    def description() -> RedirectResponse:
        """Redirects to `/v1/openapi.json`; many clients look here first."""
        return RedirectResponse("v1/openapi.json")

    @app.get("/v1/looks")
    def looks() -> list[dict[str, Any]]:
        """The looks of the gallery."""
        return [
            {"id": key, **_described(look), "thumbnail": f"/v1/looks/{key}.jpg"}
            for key, look in studio.gallery.looks.items()
        ]

    @app.get("/v1/looks/{look_id}.jpg")
    def thumbnail(look_id: str) -> Response:
        """The reference picture of a look of the gallery."""
        data = studio.gallery.thumbnail(look_id)
        if data is None:
            return _error(404, f"no look {look_id[:_SHOWN]!r} in the gallery")
        return Response(data, media_type="image/jpeg")

    @app.get("/v1/designs")
    def designs() -> list[dict[str, Any]]:
        """The designed looks: name, title, and products in the form of `LookRef.products`."""
        return studio.gallery.designs

    @app.get("/v1/designs/{name}/{skin}.jpg")
    def worn_thumbnail(name: str, skin: str) -> Response:
        """A designed look on a shipped face with "light", "medium" or "dark" skin."""
        data = studio.gallery.worn_thumbnail(name, skin)
        if data is None:
            return _error(404, f"no designed look {name[:_SHOWN]!r}, or no skin {skin[:_SHOWN]!r}")
        return Response(data, media_type="image/jpeg")

    @app.get("/v1/faces/{skin}.jpg")
    def face(skin: str) -> Response:
        """A shipped bare face with "light", "medium" or "dark" skin."""
        data = studio.gallery.face(skin)
        if data is None:
            return _error(404, f"no face {skin[:_SHOWN]!r}")
        return Response(data, media_type="image/jpeg")

    @app.get("/v1/models")
    def models() -> list[Offer]:
        """The available models: a description, the styles, and whether each removes makeup."""
        return list(offers().values())

    @app.get("/v1/styles/{model}/{style}/{skin}.jpg")
    def style_thumbnail(model: str, style: str, skin: str) -> Response:
        """A model's style on a shipped face with "light", "medium" or "dark" skin."""
        data = studio.style_thumbnail(model, style, skin)
        if data is None:
            return _error(404, f"no style {style[:_SHOWN]!r}, or no skin {skin[:_SHOWN]!r}")
        return Response(data, media_type="image/jpeg")

    @app.get("/v1/products")
    def products() -> dict[str, Any]:
        """The JSON Schema of products: kinds, finishes, ranges and defaults."""
        return schema()

    @app.post("/v1/looks", openapi_extra=_takes(LookRequest))
    async def make_look(request: Request) -> dict[str, Any]:
        """Make a look from a reference photo or from colours; the server keeps no copy.

        Returns the title, the regions, and the look file in base64. Outfits send the file back.
        """
        look = await workers.run(studio.make_look, await request.body())
        return {**_described(look), "file": base64.b64encode(look.to_bytes()).decode()}

    @app.post("/v1/apply", response_class=Response, openapi_extra=_takes(ApplyRequest))
    async def apply(request: Request) -> Response:
        """Put an outfit on the faces of a photo; returns the picture.

        The header `x-faces` is the number of faces with makeup. The header `x-result` is JSON: the
        box (fractions of width and height) and status of each face, the shipped face with the
        nearest skin tone, and the milliseconds spent on makeup.
        """
        done = await workers.run(studio.apply, await request.body())
        painted = sum(face["painted"] for face in done.told["faces"])
        headers = {"x-faces": str(painted), "x-result": json.dumps(done.told)}
        return Response(done.picture, media_type=f"image/{done.kind}", headers=headers)

    @app.get("/v1/editing")
    def editing() -> dict[str, Any]:
        """The parts that can be swapped and the label's classes; both empty without a model."""
        return studio.editing.describe()

    @app.post("/v1/label", response_class=Response, openapi_extra=_takes(LabelRequest))
    async def label(request: Request) -> Response:
        """The face part at each pixel of a photo: a PNG in the colours of the classes."""
        data = await workers.run(studio.editing.label, await request.body())
        return Response(data, media_type="image/png")

    @app.post("/v1/edit", response_class=Response, openapi_extra=_takes(EditRequest))
    async def edit(request: Request) -> Response:
        """Swap parts of one face with those of other people, or reshape it by a redrawn label."""
        picture, kind = await workers.run(studio.editing.edit, await request.body())
        return Response(picture, media_type=f"image/{kind}")

    @app.websocket("/v1/live")
    async def live(socket: WebSocket) -> None:
        """Live frames: see `makeup_sdk.web.live`."""
        await LiveClient(socket, studio, limits, places, workers, sessions).serve()


def _described(look: Look) -> dict[str, Any]:
    regions = sorted(region.name.lower() for region in look.regions)
    return {"title": look.title, "regions": regions}


def _takes(kind: type[BaseModel]) -> dict[str, Any]:
    """OpenAPI entry of a request body. FastAPI does not see it: a worker thread parses it."""
    schema = {"$ref": f"#/components/schemas/{kind.__name__}"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    _, schemas = models_json_schema(
        [(kind, "validation") for kind in (*_BODIES, LiveRequest)],
        ref_template="#/components/schemas/{model}",
    )
    document.setdefault("components", {}).setdefault("schemas", {}).update(schemas["$defs"])
    return document


def _error(status: int, reason: str) -> JSONResponse:
    return JSONResponse({"error": reason}, status)


async def _explain(_: Request, error: Exception) -> JSONResponse:
    return _error(422, str(error))


async def _explain_status(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return _error(error.status_code, str(error.detail))
