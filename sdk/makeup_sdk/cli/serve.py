"""`makeup serve`: try-on in the browser."""

import secrets
from typing import Annotated

import typer
from rich.console import Console

from makeup_kernels import BackendUnavailableError


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 8000,
    token: Annotated[
        str | None,
        typer.Option(help="Required of every visitor; made up unless --host is loopback."),
    ] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads; default all cores.")] = None,
) -> None:
    """Serve the try-on page and the JSON API. Nothing of a visitor's pictures is stored."""
    try:
        import uvicorn

        from makeup_sdk.web.app import create_app
        from makeup_sdk.web.guard import LOOPBACK
        from makeup_sdk.web.pictures import Limits
    except ImportError as error:
        raise BackendUnavailableError(
            f"makeup serve needs the web packages ({error}); run: pip install '.[serve]'"
        ) from None
    loopback = host in LOOPBACK
    if token is None and not loopback:
        token = secrets.token_urlsafe(16)
    limits = Limits()
    app = create_app(limits=limits, loopback=loopback, token=token, threads=threads)
    name = f"[{host}]" if ":" in host else host
    Console().print(
        f"http://{name}:{port}/" + (f"?token={token}" if token else ""), markup=False, style="bold"
    )
    uvicorn.run(
        app,
        host=host,
        port=port,
        log_level="warning",
        ws_max_size=limits.body_bytes,
        ws_max_queue=4,
        timeout_graceful_shutdown=5,
    )
