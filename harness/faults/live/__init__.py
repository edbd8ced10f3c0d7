"""One guest in real QEMUs, and the pair's halves as processes between them."""
