"""A try-on service: looks from a folder, photos in, made-up photos out.

LOOKS=looks/ uvicorn service:app --port 8080
curl --data-binary @photo.jpg 'localhost:8080/try-on?look=red&strength=0.8' -o out.jpg
"""

import os
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from makeup_sdk import BundledFaceAnalyzer, Look, MakeupEngine, MakeupError, decode_image

MAX_BYTES = 8 << 20
PHOTOS = {".jpg", ".jpeg", ".png"}


def create_app(folder: Path) -> FastAPI:
    analyzer = BundledFaceAnalyzer()  # loaded once, shared by all requests
    looks = {
        path.stem: Look.load(path) if path.suffix == ".look" else Look.from_photo(path)
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in PHOTOS | {".look"}
    }
    app = FastAPI(title="Try-on")

    @app.get("/looks")
    def list_looks() -> list[str]:
        return list(looks)

    @app.post("/try-on", response_class=Response)
    async def try_on(
        request: Request, look: str, strength: Annotated[float, Query(ge=0, le=1)] = 1.0
    ) -> Response:
        if look not in looks:
            raise HTTPException(404, f"no look {look!r}; there are {', '.join(looks)}")
        data = await body(request)
        # engines are cheap: the networks are in the analyzer, the makeup in the look
        engine = MakeupEngine(looks[look], strength=strength, analyzer=analyzer)
        try:
            picture, painted = await run_in_threadpool(make_up, engine, data)
        except MakeupError as error:
            raise HTTPException(422, str(error)) from error
        return Response(picture, media_type="image/jpeg", headers={"x-faces": str(painted)})

    return app


async def body(request: Request) -> bytes:
    """The request's body, refused as soon as it is too large."""
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_BYTES:
            raise HTTPException(413, f"photo: send at most {MAX_BYTES} bytes")
    return bytes(data)


def make_up(engine: MakeupEngine, data: bytes) -> tuple[bytes, int]:
    """The bytes of an image file to those of a JPEG, and how many faces were made up."""
    result = engine.process_detailed(decode_image(np.frombuffer(data, np.uint8), "photo"))
    done, encoded = cv2.imencode(".jpg", result.image)
    assert done
    return encoded.tobytes(), sum(face.painted for face in result.faces)


if "LOOKS" in os.environ:
    app = create_app(Path(os.environ["LOOKS"]))
