"""HTTPS with a local authority or with given files, and the QR code of the address."""

import contextlib
import os
import select
import socket
import ssl
import stat
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("trustme", reason="needs the serve extra")

from makeup_sdk import InvalidInputError
from makeup_sdk.web.https import check_pair, local_address, local_certificate
from makeup_sdk.web.server import ServerOptions, TryOnServer, qr_code

from .conftest import free_port


def shake_hands(pair: Path, authority: Path, name: str) -> dict:
    """The certificate that a client which trusts the authority accepts for a name."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pair)
    client = ssl.create_default_context(cafile=str(authority))
    here, there = socket.socketpair()

    def serve() -> None:
        with contextlib.suppress(ssl.SSLError), server.wrap_socket(there, server_side=True) as tls:
            tls.recv(1)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(here, server_hostname=name) as tls:
            found = tls.getpeercert()
            tls.send(b"x")
    finally:
        here.close()
        thread.join()
        there.close()
    assert found is not None
    return found


def test_a_local_certificate_is_accepted_by_those_who_trust_the_authority(tmp_path: Path) -> None:
    folder = tmp_path / "https"
    pair, authority = local_certificate(["192.168.1.5", "localhost"], folder)
    for name in ("192.168.1.5", "localhost"):
        assert shake_hands(pair, authority, name)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(pair, authority, "other.example")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for secret in (pair, folder / "authority.key"):
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert b"PRIVATE KEY" not in authority.read_bytes()
    names = {"authority.key", "authority.pem", "server.pem"}
    assert {path.name for path in folder.iterdir()} == names


def test_the_authority_stays_and_browsers_accept_how_long_a_certificate_is_good(
    tmp_path: Path,
) -> None:
    _, authority = local_certificate(["a.example"], tmp_path)
    first = authority.read_bytes()
    pair, authority = local_certificate(["b.example"], tmp_path)
    assert authority.read_bytes() == first
    found = shake_hands(pair, authority, "b.example")
    begins, ends = (ssl.cert_time_to_seconds(found[key]) for key in ("notBefore", "notAfter"))
    assert 300 * 86400 < ends - begins < 398 * 86400


def test_a_damaged_authority(tmp_path: Path) -> None:
    local_certificate(["a.example"], tmp_path)
    (tmp_path / "authority.key").write_bytes(b"-----BEGIN nothing")
    with pytest.raises(InvalidInputError, match="remove the folder, and a new authority is made"):
        local_certificate(["a.example"], tmp_path)


def test_pairs_that_no_server_can_use(tmp_path: Path) -> None:
    pair, authority = local_certificate(["a.example"], tmp_path)
    check_pair(pair, pair)
    for certificate, key, message in (
        (tmp_path / "none.pem", pair, "no such file; give a PEM file"),
        (pair, tmp_path, "no such file; give a PEM file"),
        (authority, pair, "are no certificate and its key"),
        (authority, authority, "are no certificate and its key"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            check_pair(certificate, key)
    with pytest.raises(InvalidInputError, match="--cert and --key: give both, or none"):
        TryOnServer(ServerOptions(certificate=pair))
    with pytest.raises(InvalidInputError, match="--https makes a certificate; leave it out"):
        TryOnServer(ServerOptions(certificate=pair, key=pair, https=True))


def test_the_page_over_https(tmp_path: Path) -> None:
    port = free_port()
    code = "from makeup_sdk.cli import main; main()"
    command = [sys.executable, "-c", code, "serve", "--https", "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--host", "0.0.0.0", "--token", "s3cret", "--threads", "1"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "XDG_DATA_HOME": str(tmp_path), "COLUMNS": "60"},
    )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address == f"https://{local_address()}:{port}/?token=s3cret"
        authority = tmp_path / "makeup-sdk" / "https" / "authority.pem"
        assert f"install {authority} on the device" in process.stdout.readline()
        drawn = [process.stdout.readline() for _ in range(10)]
        assert sum(map(len, drawn)) > 200
        trust = ssl.create_default_context(cafile=str(authority))
        for _ in range(1200):
            try:
                own = f"https://localhost:{port}/?token=s3cret"
                with urllib.request.urlopen(own, timeout=60, context=trust) as page:
                    assert b"<title>Makeup try-on</title>" in page.read()
                    assert page.headers["set-cookie"].endswith("Secure")
                    assert "server" not in page.headers
                break
            except urllib.error.URLError as error:
                if not isinstance(error.reason, ConnectionRefusedError):
                    raise
                assert process.poll() is None
                select.select([], [], [], 0.1)  # let it start
        else:
            raise AssertionError("the server never answered")
    finally:
        process.terminate()
        process.wait(60)


def test_the_qr_code_reads_as_the_address() -> None:
    address = "https://192.168.1.5:8000/?token=AbCdEf012345_-AbCdEf01"
    rows: list[list[int]] = []
    for line in qr_code(address).splitlines():
        halves = {" ": (0, 0), "\u2580": (1, 0), "\u2584": (0, 1), "\u2588": (1, 1)}
        cells = [halves[c] for c in line if c in halves]
        rows += [[upper for upper, _ in cells], [lower for _, lower in cells]]
    width = max(map(len, rows))
    dark_on_light = np.array([row + [1] * (width - len(row)) for row in rows], np.uint8) * 255
    picture = cv2.resize(dark_on_light, None, fx=8, fy=8, interpolation=cv2.INTER_NEAREST)
    picture = cv2.copyMakeBorder(picture, 40, 40, 40, 40, cv2.BORDER_CONSTANT, value=255)
    assert cv2.QRCodeDetector().detectAndDecode(picture)[0] == address
