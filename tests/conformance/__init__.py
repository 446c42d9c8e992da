"""Every built-in source through the suite that any other source can run."""
