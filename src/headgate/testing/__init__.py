"""What a source is held to, for those who write one. Needs pytest."""
