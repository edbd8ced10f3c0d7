"""What a user wrote: text in, a checked model out, and the cells of a sweep."""
