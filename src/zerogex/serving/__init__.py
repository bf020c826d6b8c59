"""Data out: HTTP, WebSocket, the page."""
