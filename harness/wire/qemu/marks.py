"""The numbers by which QEMU marks the parts of its migration stream: of sections (migration/savevm.c) and of
"ram" records (migration/ram.c)."""

from __future__ import annotations

MAGIC = b"QEVM\x00\x00\x00\x03"
"""With the version. Everything is big-endian."""

MULTIFD_MAGIC = b"\x11\x22\x33\x44"
"""With this each of multifd's channels begins, and each packet in it (migration/multifd.c)."""

CPR_MAGIC = b"QCPR"
"""With this the state of cpr-transfer begins (migration/cpr.c)."""

EOF, START, PART, END, FULL, SUBSECTION, VMDESCRIPTION, CONFIGURATION, COMMAND = range(9)
FOOTER = 0x7E

ZERO, MEM_SIZE, PAGE, EOS, CONTINUE, XBZRLE = 0x02, 0x04, 0x08, 0x10, 0x20, 0x40
COMPRESS_PAGE, MULTIFD_FLUSH = 0x100, 0x200
