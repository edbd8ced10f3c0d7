"""The link between the halves, in whatever way they reach each other: one contract, a kind per scheme of addresses."""
