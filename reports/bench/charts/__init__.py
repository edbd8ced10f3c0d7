"""What a bench looks like drawn."""
