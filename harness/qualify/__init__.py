"""Takes a backend from a list of checks to a certificate. Start reading in ``runner``."""
