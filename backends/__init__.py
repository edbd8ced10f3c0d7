"""Compress and decompress batches of guest pages. Knows nothing of QEMU, links or measurements: start at ``api``."""
