"""Migration streams without QEMU: files, synthesis, and who feeds and takes them."""
