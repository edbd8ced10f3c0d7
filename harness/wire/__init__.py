"""Bytes in, data out: QEMU's migration stream, batches of pages, and our own frames. No I/O, no clocks, no threads."""
