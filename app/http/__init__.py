"""The HTTP server below the app: sockets, connections with deadlines and bounds, the metrics port."""
