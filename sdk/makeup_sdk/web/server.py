"""The try-on server: the application under uvicorn."""

import io
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn

from makeup_kernels import BackendUnavailableError, InvalidInputError
from makeup_sdk.web.app import create_app
from makeup_sdk.web.guard import LOOPBACK
from makeup_sdk.web.https import check_pair, local_address, local_certificate
from makeup_sdk.web.limits import Limits
from makeup_sdk.web.protocol import bounded_protocol

_EVERYWHERE = ("0.0.0.0", "::", "")


@dataclass(frozen=True)
class ServerOptions:
    """Options of the try-on server.

    Attributes:
        host: address to listen on.
        port: port to listen on.
        token: token that every request must carry; None generates one if others can connect.
        origin: public address of a reverse proxy, or None.
        certificate, key: PEM files; both or none.
        https: issue a certificate from a local authority.
        threads: CPU threads per frame; default all cores.
        session_key: see `create_app`.
        limits: limits on clients.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    origin: str | None = None
    certificate: Path | None = None
    key: Path | None = None
    https: bool = False
    threads: int | None = None
    session_key: str | None = None
    limits: Limits = field(default_factory=Limits)


class TryOnServer:
    """Checks the options and loads the shared models; `run` serves.

    Attributes:
        address: address of the page, with the token.
        authority: certificate to install on devices that shall trust `https`, or None.

    Raises:
        InvalidInputError: conflicting options, or an invalid certificate or token.
        BackendUnavailableError: `https` needs a package that is not installed.
    """

    def __init__(self, options: ServerOptions) -> None:
        if (options.certificate is None) != (options.key is None):
            raise InvalidInputError("--cert and --key: give both, or none")
        if options.https and options.certificate is not None:
            raise InvalidInputError("--https makes a certificate; leave it out beside --cert")
        loopback = options.host in LOOPBACK
        token = options.token
        if token is None and not (loopback and options.origin is None):
            token = secrets.token_urlsafe(16)
        host = local_address() if options.host in _EVERYWHERE else options.host
        self.authority: Path | None = None
        tls = self._tls(options, host)
        self._options = options
        self._app = create_app(
            limits=options.limits,
            loopback=loopback,
            token=token,
            origin=options.origin,
            threads=options.threads,
            session_key=options.session_key,
        )
        self._tls_options = tls
        name = f"[{host}]" if ":" in host else host
        own = f"{'https' if tls else 'http'}://{name}:{options.port}"
        self.address = f"{options.origin or own}/" + (f"?token={token}" if token else "")

    def _tls(self, options: ServerOptions, host: str) -> dict[str, Any]:
        if options.certificate is not None and options.key is not None:
            check_pair(options.certificate, options.key)
            return {"ssl_certfile": options.certificate, "ssl_keyfile": options.key}
        if not options.https:
            return {}
        names = list(dict.fromkeys([host, "localhost", "127.0.0.1"]))
        pair, self.authority = local_certificate(names)
        return {"ssl_certfile": pair}

    def run(self) -> None:
        """Serve until a signal stops the process."""
        limits = self._options.limits
        uvicorn.run(
            self._app,
            host=self._options.host,
            port=self._options.port,
            log_level="warning",
            http=bounded_protocol(limits),
            h11_max_incomplete_event_size=limits.header_bytes,
            ws_max_size=limits.frame_bytes,
            ws_max_queue=1,
            timeout_graceful_shutdown=5,
            server_header=False,
            **self._tls_options,
        )


def qr_code(address: str) -> str:
    """The QR code of an address, drawn in half blocks for a terminal.

    Raises:
        BackendUnavailableError: segno is not installed.
    """
    try:
        import segno
    except ImportError as error:
        raise BackendUnavailableError(
            f"the QR code needs segno ({error}); run: pip install '.[serve]'"
        ) from None
    drawn = io.StringIO()
    segno.make_qr(address, error="l").terminal(drawn, border=2, compact=True)
    return drawn.getvalue()
