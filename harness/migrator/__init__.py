"""The page migrator: a sender and a receiver that carry one migration stream, compressed, between two QEMUs."""
