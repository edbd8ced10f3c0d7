"""What the two halves say to each other: frames, messages, and which may come when. No I/O."""
