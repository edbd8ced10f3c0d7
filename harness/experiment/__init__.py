"""A scenario in, a result out: which run is next, one migration, progress, summary. Start at ``runner.py``."""
