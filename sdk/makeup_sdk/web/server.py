"""The server: what the command line asks for, as an application and uvicorn's options."""

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
    """How the try-on server runs.

    Attributes:
        host: address to listen on.
        port: port to listen on.
        token: required of every visitor; None makes one where others than this machine can come.
        origin: address under which a proxy in front shows the page, or None.
        certificate, key: PEM files; both or none.
        https: make a certificate of a local authority.
        threads: CPU threads of one frame; default all cores.
        session_key: see `create_app`.
        limits: what is taken from clients.
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
    """Checks options and loads everything; `run` serves.

    Attributes:
        address: of the page, token included.
        authority: certificate to install on devices that shall trust `https`; None without.

    Raises:
        InvalidInputError: options that do not go together, or a certificate or token that is none.
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
        """Serve until the process is told to end."""
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
    """A QR code of an address in half blocks, for terminals.

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
