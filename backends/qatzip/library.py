"""QATzip's C library through ctypes: the few calls that compressing takes, and what their answers mean. Knows no backend.

Facts are of QATzip 1.3.1 (include/qatzip.h, API 2.5; src/qatzip.c, src/qatzip_utils.c; Intel, BSD licence):

* ``qzInit(sess, sw_backup)`` with ``sw_backup`` 0 answers with a ``QZ_NOSW_*`` code where there is no hardware.
* Raw deflate with ``last`` 1: pieces of ``hw_buff_sz`` are flushed fully, the last one is final. So one call makes one stream.
* Input below ``input_sz_thrshold`` (at least 128) goes to software whatever ``sw_backup`` says; so does level 9 on older APIs.
* ``ext_rc`` has a bit for "software did it", but the synchronous deflate path never sets it; the session's state tells too.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

ENVIRONMENT = "PAGEFERRY_QATZIP"
"""Names the library where the loader does not find it."""

SMALLEST_INPUT_BYTES = 128
"""QZ_COMP_THRESHOLD_MINIMUM: what is shorter never reaches a card."""

_OK, _DUPLICATE = 0, 1
_NO_SOFTWARE = 0
_SOFTWARE_BIT = 1 << 4
_RAW_DEFLATE, _GZIP_EXT, _BOTH_DIRECTIONS, _COMPRESS, _DEFLATE = 3, 2, 2, 0, 8
_CODES = {
    2: "QZ_FORCE_SW", -1: "QZ_PARAMS", -2: "QZ_FAIL", -3: "QZ_BUF_ERROR", -4: "QZ_DATA_ERROR", -5: "QZ_TIMEOUT",
    -100: "QZ_INTEG", 11: "QZ_NO_HW", 12: "QZ_NO_MDRV", 13: "QZ_NO_INST_ATTACH", 14: "QZ_LOW_MEM", 15: "QZ_LOW_DEST_MEM",
    16: "QZ_UNSUPPORTED_FMT", 100: "QZ_NONE", -101: "QZ_NOSW_NO_HW", -102: "QZ_NOSW_NO_MDRV",
    -103: "QZ_NOSW_NO_INST_ATTACH", -104: "QZ_NOSW_LOW_MEM", -105: "QZ_NO_SW_AVAIL", -116: "QZ_NOSW_UNSUPPORTED_FMT",
    -117: "QZ_POST_PROCESS_ERROR", -200: "QZ_NOT_SUPPORTED",
}  # fmt: skip
_LACKS = {
    11: ("no QuickAssist device", "check lspci for one, and adf_ctl or /sys/kernel/debug/qat for its state"),
    12: ("no memory driver", "load the kernel modules qat_* and usdm_drv"),
    13: ("no free instance of a device", "give this process's section an instance in /etc/*.conf, or stop other users"),
}


class QatzipError(Exception):
    """A call failed. One line, with QATzip's own name of the code."""


class QatzipMissing(QatzipError):  # noqa: N818 - a state of the machine, told like one
    """It cannot work on this machine. ``missing`` names the piece, ``remedy`` what to do."""

    def __init__(self, missing: str, remedy: str) -> None:
        super().__init__(f"{missing}; {remedy}")
        self.missing = missing
        self.remedy = remedy


class SessionState(ctypes.Structure):
    """``QzSession_T``."""

    _fields_ = (
        ("hw_session_stat", ctypes.c_long),
        ("thd_sess_stat", ctypes.c_int),
        ("internal", ctypes.c_void_p),
        ("total_in", ctypes.c_ulong),
        ("total_out", ctypes.c_ulong),
    )


class DeflateParameters(ctypes.Structure):
    """``QzSessionParamsDeflate_T``, its common part written out."""

    _fields_ = (
        ("direction", ctypes.c_int),
        ("comp_lvl", ctypes.c_uint),
        ("comp_algorithm", ctypes.c_ubyte),
        ("max_forks", ctypes.c_uint),
        ("sw_backup", ctypes.c_ubyte),
        ("hw_buff_sz", ctypes.c_uint),
        ("strm_buff_sz", ctypes.c_uint),
        ("input_sz_thrshold", ctypes.c_uint),
        ("req_cnt_thrshold", ctypes.c_uint),
        ("wait_cnt_thrshold", ctypes.c_uint),
        ("polling_mode", ctypes.c_int),
        ("is_sensitive_mode", ctypes.c_uint),
        ("huffman_hdr", ctypes.c_int),
        ("data_fmt", ctypes.c_int),
    )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one call of ``qzCompressExt`` says that it did."""

    consumed_bytes: int
    produced_bytes: int
    in_software: bool


def load() -> ctypes.CDLL:
    """The library, its functions declared. :raises QatzipMissing: not here, or too old."""
    path = os.environ.get(ENVIRONMENT) or ctypes.util.find_library("qatzip") or "libqatzip.so.3"
    try:
        library = ctypes.CDLL(path)
    except OSError as exc:
        reason = " ".join(str(exc).split())
        raise QatzipMissing(
            f"libqatzip does not load ({reason})", f"install QATzip and a card's driver, or name it in {ENVIRONMENT}"
        ) from exc
    session, size = ctypes.POINTER(SessionState), ctypes.POINTER(ctypes.c_uint)
    signatures = {
        "qzInit": (session, ctypes.c_ubyte),
        "qzGetDefaultsDeflate": (ctypes.POINTER(DeflateParameters),),
        "qzSetupSessionDeflate": (session, ctypes.POINTER(DeflateParameters)),
        "qzCompressExt": (
            session, ctypes.c_void_p, size, ctypes.c_void_p, size, ctypes.c_uint, ctypes.POINTER(ctypes.c_uint64)
        ),
        "qzTeardownSession": (session,),
        "qzClose": (session,),
    }  # fmt: skip
    for name, arguments in signatures.items():
        function = getattr(library, name, None)
        if function is None:
            raise QatzipMissing(f"{path} has no {name}", "install QATzip 1.2 or newer")
        function.argtypes, function.restype = arguments, ctypes.c_int
    return library


class Session:
    """One thread's session. Compresses raw deflate, in submissions of ``submission_bytes``, a power of two."""

    def __init__(self, library: ctypes.CDLL, *, level: int, submission_bytes: int) -> None:
        """:raises QatzipMissing: no card that works. :raises QatzipError: it refuses these settings."""
        self._library = library
        self._state = SessionState()
        initialised = library.qzInit(self._state, _NO_SOFTWARE)
        if initialised not in (_OK, _DUPLICATE):
            raise _failure("qzInit", initialised)
        parameters = _defaults(library)
        parameters.direction = _COMPRESS
        parameters.comp_lvl = level
        parameters.sw_backup = _NO_SOFTWARE
        parameters.hw_buff_sz = parameters.strm_buff_sz = submission_bytes
        parameters.input_sz_thrshold = SMALLEST_INPUT_BYTES
        parameters.is_sensitive_mode = 0  # it would send part of the load to software
        parameters.data_fmt = _RAW_DEFLATE
        set_up = library.qzSetupSessionDeflate(self._state, parameters)
        if set_up != _OK:
            raise _failure("qzSetupSessionDeflate", set_up)

    def compress(self, source: npt.NDArray[np.uint8], target: npt.NDArray[np.uint8]) -> Outcome:
        """One stream of ``source`` into ``target``. Without the GIL. :raises QatzipError: the library's code is not QZ_OK."""
        consumed, produced, extended = ctypes.c_uint(len(source)), ctypes.c_uint(len(target)), ctypes.c_uint64(0)
        code = self._library.qzCompressExt(
            self._state, source.ctypes.data, consumed, target.ctypes.data, produced, 1, extended
        )
        if code != _OK:
            raise _failure("qzCompressExt", code)
        in_software = bool(extended.value & _SOFTWARE_BIT) or self._state.hw_session_stat != _OK
        return Outcome(consumed.value, produced.value, in_software)

    def close(self) -> None:
        """Give the instance back."""
        self._library.qzTeardownSession(self._state)
        self._library.qzClose(self._state)


def _defaults(library: ctypes.CDLL) -> DeflateParameters:
    """The library's own, which also show whether its parameters lie where ours do. :raises QatzipMissing: they don't."""
    parameters = DeflateParameters()
    ctypes.memset(ctypes.byref(parameters), 0xA5, ctypes.sizeof(parameters))
    code = library.qzGetDefaultsDeflate(parameters)
    if code != _OK:
        raise _failure("qzGetDefaultsDeflate", code)
    known = (parameters.direction, parameters.comp_algorithm, parameters.huffman_hdr, parameters.data_fmt)
    if known != (_BOTH_DIRECTIONS, _DEFLATE, 0, _GZIP_EXT) or parameters.is_sensitive_mode > 1:
        raise QatzipMissing("this QATzip lays its parameters out in another way", "install QATzip 1.2 or newer")
    return parameters


def _failure(call: str, code: int) -> QatzipError:
    name = _CODES.get(code, "an unknown code")
    lack = _LACKS.get(code) or _LACKS.get(-code - 90)
    if lack is not None and call != "qzCompressExt":
        return QatzipMissing(f"{lack[0]} ({call}: {name}, {code})", lack[1])
    return QatzipError(f"{call} failed: {name} ({code})")
