"""The try-on service of examples/fastapi_service on Ray Serve, with as many replicas as it needs.

LOOKS=looks/ serve run serve_app:app
curl --data-binary @photo.jpg 'localhost:8000/try-on?look=red&strength=0.8' -o out.jpg
"""

import os
import sys
from pathlib import Path

from ray import serve
from starlette.requests import Request
from starlette.responses import Response

SERVICE = Path(__file__).resolve().parents[1] / "fastapi_service"


@serve.deployment(
    ray_actor_options={"num_cpus": 1},
    max_ongoing_requests=4,
    autoscaling_config={"min_replicas": 1, "max_replicas": 8, "target_ongoing_requests": 2},
)
class TryOn:
    """A replica: its own networks, and the looks of a folder."""

    def __init__(self, looks: str) -> None:
        sys.path.insert(0, str(SERVICE))
        from service import create_app

        self._app = create_app(Path(looks))

    async def __call__(self, request: Request) -> Response:
        """Hand a request to the service, and its answer back."""
        sent: list[dict] = []

        async def send(message: dict) -> None:
            sent.append(message)

        await self._app(request.scope, request.receive, send)
        body = b"".join(message.get("body", b"") for message in sent[1:])
        headers = {key.decode(): value.decode() for key, value in sent[0]["headers"]}
        return Response(body, sent[0]["status"], headers)


if "LOOKS" in os.environ:
    app = TryOn.bind(os.environ["LOOKS"])
