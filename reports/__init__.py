"""Result(s) -> self-contained HTML pages. Works from saved results alone; imports ``harness.result`` and ``harness.units``."""
