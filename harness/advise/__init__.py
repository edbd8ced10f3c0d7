"""A guest and a link in, advice out: which method, level and threads to use, and why."""
