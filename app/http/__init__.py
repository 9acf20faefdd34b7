"""HTTP as it comes from strangers: sockets, connections and their bounds, the port for metrics."""
