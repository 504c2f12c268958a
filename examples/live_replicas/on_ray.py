"""The same app on Ray Serve, with as many replicas as live sessions need.

MAKEUP_SESSION_KEY=$(openssl rand -hex 32) serve run on_ray:app
"""

import os

from fastapi import FastAPI
from ray import serve
from ray.serve import Application

from makeup_sdk.web.app import create_app


def replicas(session_key: str) -> Application:
    """Replicas of the try-on page that share a key. An open socket is a request to Ray Serve."""

    def build() -> FastAPI:
        return create_app(session_key=session_key, threads=1)

    deployment = serve.deployment(
        serve.ingress(build)(),
        name="Live",
        ray_actor_options={"num_cpus": 1},
        max_ongoing_requests=16,
        autoscaling_config={"min_replicas": 2, "max_replicas": 8, "target_ongoing_requests": 4},
    )
    return deployment.bind()


if "MAKEUP_SESSION_KEY" in os.environ:
    app = replicas(os.environ["MAKEUP_SESSION_KEY"])
