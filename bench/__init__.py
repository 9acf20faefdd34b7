"""What `make bench` runs: agent-api beside two floors and a peer, on one core, against one fake upstream."""
