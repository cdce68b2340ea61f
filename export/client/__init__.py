"""Models on a server, by REST and gRPC."""
