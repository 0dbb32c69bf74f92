"""What of each kind of record goes into a file."""
