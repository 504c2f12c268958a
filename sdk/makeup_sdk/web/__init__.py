"""Web try-on: one page, a JSON API and live frames over a WebSocket (extra `serve`)."""
