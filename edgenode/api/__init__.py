"""The local API (docs/local-api.md): JSON shapes that server and clients share, the client."""
