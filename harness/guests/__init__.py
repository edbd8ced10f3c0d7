"""What is migrated: real guests in QEMU, recorded streams, generated ones."""
