"""What the source QEMU is told to believe, so that it stops its guest at the right moment."""
