"""The web application: the page, the JSON API, and live frames."""

import base64
from importlib import resources
from typing import Annotated, Any

from fastapi import FastAPI, Request, Response, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, ConfigDict, Field

from makeup_kernels import MakeupError
from makeup_kernels.dispatch import thread_count, usable_cores
from makeup_sdk.engine import MakeupEngine
from makeup_sdk.faces import BundledFaceAnalyzer
from makeup_sdk.look import Look
from makeup_sdk.web.guard import Guard
from makeup_sdk.web.live import LiveClient, Places
from makeup_sdk.web.outfits import ColorCard, Gallery, Outfit, from_base64
from makeup_sdk.web.pictures import Limits, encode_picture, open_picture

_STATIC = resources.files("makeup_sdk") / "web" / "static"


class ApplyRequest(BaseModel):
    """A photo and what its faces shall wear."""

    model_config = ConfigDict(extra="forbid")

    image: str = Field(description="JPEG, PNG or WebP file, base64.")
    outfit: Outfit
    format: Annotated[str, Field(pattern="^(jpeg|png)$")] = "jpeg"


class LookRequest(BaseModel):
    """A reference photo, or colours, to make a look of."""

    model_config = ConfigDict(extra="forbid")

    photo: str | None = Field(default=None, description="JPEG, PNG or WebP file, base64.")
    colors: ColorCard | None = None
    title: str = Field(default="look", max_length=80)


def create_app(
    *,
    limits: Limits | None = None,
    loopback: bool = True,
    token: str | None = None,
    threads: int | None = None,
) -> FastAPI:
    """Build the application. It keeps looks of the gallery in memory and nothing of its visitors.

    Args:
        limits: what is taken from one client.
        loopback: answer to loopback host names only.
        token: required of every request when set.
        threads: CPU threads of one frame; default all cores.

    Raises:
        BundleError: the shipped face models are missing or damaged.
    """
    limits = limits or Limits()
    analyzer = BundledFaceAnalyzer(threads=threads)
    gallery = Gallery(analyzer)
    places = Places(limits.clients, frames=max(usable_cores() // thread_count(threads), 1))
    app = FastAPI(
        title="makeup-sdk",
        description='Makeup try-on. Pictures are base64; errors are {"error": "..."}.',
        openapi_url="/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.add_middleware(Guard, loopback=loopback, token=token, body_bytes=limits.body_bytes * 3 // 2)
    app.add_exception_handler(MakeupError, _explain)
    app.add_exception_handler(RequestValidationError, _explain_fields)

    @app.get("/v1/looks")
    def looks() -> list[dict[str, Any]]:
        """The looks of the gallery."""
        return [
            {"id": key, **_described(look), "thumbnail": f"/v1/looks/{key}.jpg"}
            for key, look in gallery.looks.items()
        ]

    @app.get("/v1/looks/{look_id}.jpg")
    def thumbnail(look_id: str) -> Response:
        """The reference picture of a look of the gallery."""
        data = gallery.thumbnail(look_id)
        if data is None:
            return JSONResponse({"error": f"no look {look_id!r} in the gallery"}, 404)
        return Response(data, media_type="image/jpeg")

    @app.post("/v1/looks")
    async def make_look(request: LookRequest) -> dict[str, Any]:
        """Make a look of a reference photo or of colours; the server keeps no copy.

        Returns its title, regions, and the look file in base64, to be sent back in outfits.
        """
        look = await places.run(_make_look, request, limits, analyzer)
        return {**_described(look), "file": base64.b64encode(look.to_bytes()).decode()}

    @app.post("/v1/apply", response_class=Response)
    async def apply(request: ApplyRequest) -> Response:
        """Put an outfit on the faces of a photo; returns the picture.

        The header `x-faces` counts the faces that were made up.
        """
        data, faces = await places.run(_apply, request, limits, gallery, analyzer, threads)
        return Response(data, media_type=f"image/{request.format}", headers={"x-faces": str(faces)})

    @app.websocket("/v1/live")
    async def live(socket: WebSocket) -> None:
        """Live frames: see `makeup_sdk.web.live`."""
        engine = MakeupEngine(analyzer=analyzer, threads=threads)
        await LiveClient(socket, engine, gallery, limits, places).serve()

    app.mount("/", StaticFiles(directory=str(_STATIC), html=True))
    return app


def _make_look(request: LookRequest, limits: Limits, analyzer: BundledFaceAnalyzer) -> Look:
    if request.photo is not None:
        photo = open_picture(from_base64(request.photo, "photo"), limits)
        return Look.from_photo(photo, title=request.title, analyzer=analyzer)
    card = request.colors or ColorCard()
    return Look.from_colors(**card.model_dump(), title=request.title)


def _apply(
    request: ApplyRequest,
    limits: Limits,
    gallery: Gallery,
    analyzer: BundledFaceAnalyzer,
    threads: int | None,
) -> tuple[bytes, int]:
    image = open_picture(from_base64(request.image, "image"), limits)
    look = gallery.dress(request.outfit)
    painted = 0
    if look is not None:
        strength = request.outfit.strength.by_region()
        engine = MakeupEngine(look, strength=strength, analyzer=analyzer, threads=threads)
        result = engine.process_detailed(image, out=image)
        painted = sum(face.painted for face in result.faces)
    return encode_picture(image, request.format), painted


def _described(look: Look) -> dict[str, Any]:
    regions = sorted(region.name.lower() for region in look.regions)
    return {"title": look.title, "regions": regions}


async def _explain(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"error": str(error)}, 422)


async def _explain_fields(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"][1:]) or "body"
    return JSONResponse({"error": f"{field}: {first['msg']}"}, 422)
