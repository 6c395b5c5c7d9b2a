"""What the program says of itself while it runs: the log and its events."""
