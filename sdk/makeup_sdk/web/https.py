"""HTTPS certificates. Browsers allow cameras on secure origins only, so phones need HTTPS."""

import os
import socket
import ssl
from datetime import datetime, timedelta, timezone
from pathlib import Path

from makeup_kernels import BackendUnavailableError, InvalidInputError
from makeup_kernels.files import as_path, make_folder, write_atomically

_DAYS = 365
"""Days of validity; browsers refuse certificates with much more."""


def default_folder() -> Path:
    """Folder of the local authority: `makeup-sdk/https` in the user's data folder."""
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "makeup-sdk" / "https"


def check_pair(certificate: str | Path, key: str | Path) -> None:
    """Check that a server can use a certificate and its key.

    Raises:
        InvalidInputError: one is missing or not a PEM file, or they do not match.
    """
    certificate, key = as_path(certificate, "--cert"), as_path(key, "--key")
    for path in (certificate, key):
        if not path.is_file():
            raise InvalidInputError(f"{path}: no such file; give a PEM file")
    try:
        # without `password`, an encrypted key would prompt on the terminal
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except (ssl.SSLError, OSError, ValueError) as error:
        raise InvalidInputError(
            f"{certificate} and {key} are no certificate and its key ({error}); "
            "give PEM files, the key without a password"
        ) from None


def local_certificate(names: list[str], folder: Path | None = None) -> tuple[Path, Path]:
    """Issue a certificate for this machine; the first call also creates the local authority.

    The authority's key stays in a folder that only the user can read. Devices that install the
    authority's certificate trust the server without a warning.

    Args:
        names: host names and addresses.
        folder: folder of the authority; default `default_folder()`.

    Returns:
        PEM file with key and certificate, valid for a year, and the authority's certificate.

    Raises:
        BackendUnavailableError: trustme is not installed.
        InvalidInputError: the authority's files are damaged.
        OutputError: the files cannot be written.
    """
    try:
        import trustme
    except ImportError as error:
        raise BackendUnavailableError(
            f"--https needs trustme ({error}); run: pip install '.[serve]', "
            "or give --cert and --key"
        ) from None
    folder = folder or default_folder()
    make_folder(folder, 0o700)
    public, secret = folder / "authority.pem", folder / "authority.key"
    if not (public.is_file() and secret.is_file()):
        made = trustme.CA(
            organization_name="makeup-sdk", organization_unit_name=socket.gethostname()
        )
        write_atomically(secret, made.private_key_pem.bytes(), private=True)
        write_atomically(public, made.cert_pem.bytes())
    try:
        authority = trustme.CA.from_pem(public.read_bytes(), secret.read_bytes())
    except ValueError as error:
        raise InvalidInputError(
            f"{folder}: damaged ({error}); remove the folder, and a new authority is made"
        ) from None
    now = datetime.now(timezone.utc)
    server = authority.issue_cert(
        *names,
        organization_name="makeup-sdk",
        organization_unit_name=socket.gethostname(),
        common_name=names[0],
        not_before=now - timedelta(days=1),  # clocks differ
        not_after=now + timedelta(days=_DAYS),
    )
    pair = folder / "server.pem"
    write_atomically(pair, server.private_key_and_cert_chain_pem.bytes(), private=True)
    return pair, public


def local_address() -> str:
    """This machine's address on the local network; 127.0.0.1 without a network.

    No packet is sent.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address reserved for documentation
            address: str = probe.getsockname()[0]
        except OSError:
            return "127.0.0.1"
    return address
