"""Numbers about migrations: downtime, CPU, statistics, and whether the memory arrived."""
