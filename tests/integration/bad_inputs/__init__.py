"""The bad inputs 1 to 80, each in one row of `table.py`."""
