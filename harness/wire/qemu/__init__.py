"""QEMU's migration stream and return path, read as far as the pair must know them. No I/O."""
