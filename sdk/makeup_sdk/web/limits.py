"""Limits of a server, per client and in total."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Maximum sizes, counts and times.

    Limits per address do not apply to loopback addresses: there, a proxy may serve all clients.

    Attributes:
        body_bytes: size of a photo file, or of a request without base64.
        frame_bytes: size of one socket message.
        pixels: width times height of a picture.
        side: longer side of a picture, in pixels.
        label_pixels: width times height of a drawn label.
        reference_faces: faces in one look file.
        clients: concurrent live sockets.
        clients_per_address: concurrent live sockets of one address.
        requests: concurrent requests with a body.
        requests_per_address: concurrent requests with a body, of one address.
        connections: concurrent connections, without live sockets.
        connections_per_address: the same, of one address.
        header_bytes: size of a request's first line and headers.
        header_seconds: time to send the whole header.
        body_seconds: time to send the whole body.
        answer_seconds: time to receive the next part of an answer.
        idle_seconds: time without a message, after which a socket is closed.
        session_seconds: age of a live session that a client restores.
    """

    body_bytes: int = 12 << 20
    frame_bytes: int = 4 << 20
    pixels: int = 16_000_000
    side: int = 16_000
    label_pixels: int = 4_000_000
    reference_faces: int = 4
    clients: int = 64
    clients_per_address: int = 8
    requests: int = 8
    requests_per_address: int = 4
    connections: int = 512
    connections_per_address: int = 64
    header_bytes: int = 1 << 15
    header_seconds: float = 10.0
    body_seconds: float = 60.0
    answer_seconds: float = 60.0
    idle_seconds: float = 90.0
    session_seconds: float = 30.0

    @property
    def request_bytes(self) -> int:
        """Maximum size of a body: a photo in base64 and the other fields."""
        return self.body_bytes * 3 // 2
