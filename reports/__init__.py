"""Result(s) -> self-contained HTML pages. Works from saved results alone; imports ``harness.results`` and ``harness.units``."""
