"""`makeup serve`: try-on in the browser."""

from pathlib import Path
from typing import Annotated

import typer

from makeup_kernels import BackendUnavailableError
from makeup_kernels.terminal import JsonOption, Reporter
from makeup_sdk.cli.options import ThreadsOption


def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 for phones on your network.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 8000,
    token: Annotated[
        str | None,
        typer.Option(help="Token of every request; random by default if others can connect."),
    ] = None,
    https: Annotated[
        bool,
        typer.Option("--https", help="Serve HTTPS with a local certificate; cameras need it."),
    ] = False,
    cert: Annotated[Path | None, typer.Option(help="Certificate for HTTPS, PEM.")] = None,
    key: Annotated[Path | None, typer.Option(help="Key of the certificate, PEM.")] = None,
    origin: Annotated[
        str | None, typer.Option(help="Public address of a proxy, e.g. https://try.example.")
    ] = None,
    threads: ThreadsOption = None,
    session_key: Annotated[
        str | None,
        typer.Option(
            envvar="MAKEUP_SESSION_KEY",
            help="Key that replicas share, so that live sessions can move between them.",
        ),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print only the address, without its QR code.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Serve the try-on page and the JSON API. Visitors' pictures are never stored.

    makeup serve

    makeup serve --host 0.0.0.0 --https
    """
    try:
        from makeup_sdk.web.guard import LOOPBACK
        from makeup_sdk.web.server import ServerOptions, TryOnServer, qr_code
    except ImportError as error:
        raise BackendUnavailableError(
            f"makeup serve needs the web packages ({error}); run: pip install '.[serve]'"
        ) from None
    server = TryOnServer(
        ServerOptions(
            host=host,
            port=port,
            token=token,
            origin=origin,
            certificate=cert,
            key=key,
            https=https,
            threads=threads,
            session_key=session_key,
        )
    )
    reporter = Reporter(quiet=quiet, as_json=as_json)
    reporter.names([server.address])
    reporter.json({"address": server.address, "authority": server.authority}, indent=None)
    reporter.say(server.address, "bold")
    if server.authority is not None:
        reporter.say(f"Browsers warn at first: go on, or install {server.authority} on the device.")
    if host not in LOOPBACK or origin is not None:
        reporter.say(qr_code(server.address))
    server.run()
