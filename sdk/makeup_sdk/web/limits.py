"""How much one client, and all clients together, may ask of a server."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What the server takes.

    Limits per address do not hold for loopback addresses, where a proxy may speak for everybody.

    Attributes:
        body_bytes: size of a photo, or of a request without base64.
        frame_bytes: size of one message over a socket.
        pixels: width times height of a picture.
        side: width, and height, of a picture.
        label_pixels: width times height of a drawn label.
        reference_faces: faces that one look file may hold.
        clients: live sockets at once.
        clients_per_address: live sockets of one address at once.
        requests: requests with a body at once.
        requests_per_address: requests with a body of one address at once.
        connections: at once, live sockets not counted.
        connections_per_address: the same, of one address.
        header_bytes: the first line and the headers of a request.
        header_seconds: until a connection has sent a whole header.
        body_seconds: until a request has sent its whole body.
        answer_seconds: until a client has taken the next part of an answer.
        idle_seconds: after which a socket without a message is closed, and its place is free.
        session_seconds: age from which a live session that a client brings is refused.
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
        """Largest body: a photo in base64, and what goes with it."""
        return self.body_bytes * 3 // 2
