"""How small each codec makes the recordings that come with pageferry: each MiB of them in turn, in thousandths, as a sender's
batches of 1 MiB have it; and how much larger batches of 64 KiB are. Made with lz4 4.4, ISA-L 2.31 and zstd 1.5.7, 2026-11-28."""

from __future__ import annotations

import math

RATES = {
    # Compressing and restoring, MB/s of one thread's CPU time at speed 1: on the same recordings, a quarter more than auto knows of
    # beforehand, which was measured beside other work.
    "none": (8000, 8000),
    "lz4": (640, 2060),
    "isal:1": (480, 650),
    "zstd:1": (430, 1090),
    "zstd:3": (264, 1010),
    "zstd:6": (91, 1010),
    "zstd-long:1": (290, 960),
    "zstd-long:2": (250, 1020),
    "zstd-long:3": (198, 1020),
}

_SMALL = {
    "lz4": 1.014,
    "isal:1": 1.004,
    "zstd:1": 1.023,
    "zstd:3": 1.065,
    "zstd:6": 1.067,
    "zstd-long:1": 1.002,
    "zstd-long:2": 1.002,
    "zstd-long:3": 1.003,
}

_SIZES = {
    "linux-idle": {
        "lz4": "716 740 752 723 523 248 265 4 236 194 239 192 203 31",
        "isal:1": "572 593 597 574 368 182 187 1 150 136 152 124 88 25",
        "zstd:1": "595 626 633 595 364 159 153 0 114 104 116 102 45 19",
        "zstd:3": "534 569 571 520 341 154 150 0 116 102 118 98 42 19",
        "zstd:6": "503 540 544 502 323 142 128 0 113 98 115 94 45 17",
        "zstd-long:1": "595 626 632 595 362 156 145 0 117 105 118 103 40 23",
        "zstd-long:2": "558 592 596 558 347 153 158 0 117 104 119 102 40 23",
        "zstd-long:3": "534 567 569 537 339 150 143 0 119 103 120 100 33 25",
    },
    "linux-build": {
        "lz4": "708 13 709 533 742 181 15 176 225 438 757 547 337 560 619 630 250 142 214 190 151",
        "isal:1": "565 9 561 380 569 133 10 125 143 188 602 406 237 399 507 509 103 107 154 136 118",
        "zstd:1": "591 8 582 355 551 111 6 97 110 135 631 367 238 409 496 465 36 85 126 92 87",
        "zstd:3": "533 7 507 349 512 106 6 95 111 130 553 322 213 382 462 457 35 82 121 82 83",
        "zstd:6": "503 7 489 329 503 98 6 90 107 129 519 315 200 372 447 452 44 76 113 76 78",
        "zstd-long:1": "590 7 585 353 544 109 6 98 114 135 629 368 238 407 497 463 49 74 115 63 49",
        "zstd-long:2": "556 7 549 347 541 108 6 97 114 135 581 342 227 399 481 458 48 74 112 61 48",
        "zstd-long:3": "533 7 524 347 541 106 6 97 115 132 552 322 214 388 468 457 31 73 112 60 47",
    },
    "linux-redis": {
        "lz4": "5 333 571 170 335 279 234 349 544 478 578 364 373 328 341 394 392 368 261 364 394 408 377 379 363 367 292",
        "isal:1": "3 250 454 119 247 193 149 264 433 352 457 264 273 241 250 285 282 266 196 282 289 298 290 288 277 285 228",
        "zstd:1": "2 223 447 86 210 161 115 230 430 332 478 234 245 213 224 262 261 243 171 254 265 278 264 267 252 260 210",
        "zstd:3": "2 213 415 84 193 156 118 219 391 311 419 220 232 204 213 248 246 231 163 236 248 260 243 248 213 207 197",
        "zstd:6": "2 200 402 57 183 150 114 208 372 295 401 204 215 187 196 232 230 213 152 223 231 243 228 234 200 195 188",
        "zstd-long:1": "2 221 447 74 205 161 120 231 424 332 476 222 239 206 215 256 254 236 167 70 30 19 45 41 36 43 52",
        "zstd-long:2": "2 216 433 91 200 157 120 227 406 318 454 216 230 201 208 246 245 228 161 67 28 18 42 39 34 40 50",
        "zstd-long:3": "2 213 420 72 191 154 121 220 387 308 418 210 224 196 203 240 240 224 157 65 27 18 40 37 32 39 48",
    },
}

_MIB = 1 << 20


def recorded_bytes(recording: str) -> int:
    """Of stream, about."""
    return len(_SIZES[recording]["lz4"].split()) * _MIB


class Recorded:
    """A recording's memory, again and again."""

    def __init__(self, recording: str) -> None:
        self._sizes = {choice: [int(each) / 1000 for each in row.split()] for choice, row in _SIZES[recording].items()}

    def size(self, choice: str, at: int, count: int) -> float:
        """Of ``count`` bytes from ``at`` on, as a share of them."""
        if choice == "none":
            return 1.0
        sizes, size, end = self._sizes[choice], 0.0, at + count
        while at < end:
            step = min(end, (at // _MIB + 1) * _MIB) - at
            size += sizes[at // _MIB % len(sizes)] * step
            at += step
        smallness = max(0.0, min(1.0, math.log2(_MIB / count) / 4))
        return size / count * (1 + (_SMALL[choice] - 1) * smallness)
