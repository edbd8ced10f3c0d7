"""pageferry: migrates running QEMU/KVM guests with compressed memory, and measures what that bought."""
