"""What a sweep's cells look like drawn."""
