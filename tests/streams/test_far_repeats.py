"""The experiment of docs/recordings.md finds the repeats that are planted, and only those that are far."""

import numpy as np
from benchmarks.far_repeats import BATCH_BYTES, far_repeats, last_places


def test_planted_repeats_are_found_to_the_byte_and_near_ones_are_left_out():
    data = np.random.default_rng(3).integers(0, 256, 3 * BATCH_BYTES, dtype=np.uint8)
    data[BATCH_BYTES + 100 : BATCH_BYTES + 140] = data[500:540]  # far
    data[BATCH_BYTES + 900 : BATCH_BYTES + 931] = data[700:731]  # a byte too short
    data[9000:9064] = data[8000:8064]  # near
    data[2 * BATCH_BYTES + 7 : 2 * BATCH_BYTES + 71] = data[5000:5064]  # far, and farther
    last = last_places(data)
    far = np.flatnonzero(far_repeats(last))
    assert far.tolist() == [
        *range(BATCH_BYTES + 100, BATCH_BYTES + 140),
        *range(2 * BATCH_BYTES + 7, 2 * BATCH_BYTES + 71),
    ]
    assert far_repeats(last, 2 * BATCH_BYTES - 6000).sum() == 64
    assert len(far_repeats(last)) == len(data)
