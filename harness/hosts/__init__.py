"""The machine that parties run on: children, CPU time, limits, signals, and what of ours must go when we do."""
