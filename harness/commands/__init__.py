"""The commands of ``pageferry``, one module each with a click command named ``command``. Heavy imports are in the bodies."""
