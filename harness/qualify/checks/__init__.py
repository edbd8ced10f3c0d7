"""The checks, a module per kind. Each module's ``CHECKS`` is in the order in which they run; ``catalogue`` collects them."""
