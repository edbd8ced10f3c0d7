"""QEMU as it is: processes, QMP, what this version has, one migration."""
