"""What a result looks like drawn."""
