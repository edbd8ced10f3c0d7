"""What every method crosses: network namespaces or a relay, with bandwidth, delay, jitter and loss."""
