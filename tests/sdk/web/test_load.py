"""Many clients at once, and malformed ones, against a real server process on loopback."""

import asyncio
import http.client
import random
import socket
from pathlib import Path
from urllib.parse import urlsplit

import websockets

from .conftest import Server

CLIENTS = 50
FRAMES = 3


def resident_mib(process_id: int) -> float:
    status = Path(f"/proc/{process_id}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def test_fifty_clients_are_served_fairly(server: Server, photo: bytes) -> None:
    url = server.address.replace("http", "ws") + "v1/live"
    order: list[int] = []

    async def client(number: int) -> None:
        async with websockets.connect(url, max_size=1 << 22, open_timeout=60) as live:
            await live.send('{"colors": {"lips": "#b3123a"}}')
            for _ in range(FRAMES):
                await live.send(photo)
                answer = await asyncio.wait_for(live.recv(), 120)
                assert isinstance(answer, bytes)
                order.append(number)

    async def crowd() -> None:
        await asyncio.gather(*(client(number) for number in range(CLIENTS)))

    asyncio.run(crowd())  # warms up threads and buffers
    before = resident_mib(server.process.pid)
    order.clear()
    asyncio.run(crowd())
    assert len(order) == CLIENTS * FRAMES
    assert resident_mib(server.process.pid) - before < 60
    first_round = order[: 2 * CLIENTS]
    assert (
        len(set(first_round)) > 0.8 * CLIENTS
    )  # nobody is served three times before the rest once
    assert server.process.poll() is None


def test_malformed_bodies_never_end_the_process(server: Server) -> None:
    rng = random.Random(7)
    host = urlsplit(server.address).netloc
    paths = ["/v1/apply", "/v1/looks", "/", "/v1/looks/x.jpg", "/v1/live", "/%00", "/" + "a" * 3000]
    for _ in range(150):
        connection = http.client.HTTPConnection(host, timeout=30)
        body = rng.randbytes(rng.choice([0, 1, 100, 5000]))
        if rng.random() < 0.5:
            body = (
                b'{"image": "' + body.hex().encode() + b'", "outfit": {"look": ' + body[:3] + b"}}"
            )
        headers = {"content-type": rng.choice(["application/json", "text/plain", "\x7f"])}
        connection.request(rng.choice(["GET", "POST", "PUT"]), rng.choice(paths), body, headers)
        assert connection.getresponse().status < 500
        connection.close()
    assert server.process.poll() is None


def test_malformed_sockets_never_end_the_process(server: Server) -> None:
    rng = random.Random(8)
    parts = urlsplit(server.address)
    head = (
        f"GET /v1/live HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n"
    ).encode()
    for _ in range(60):
        with socket.create_connection((parts.hostname, parts.port), 10) as raw:
            raw.sendall(head if rng.random() < 0.8 else head[: rng.randrange(len(head))])
            raw.sendall(rng.randbytes(rng.randrange(1, 400)))
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    connection.request("GET", "/v1/looks")
    assert connection.getresponse().status == 200
    assert server.process.poll() is None
