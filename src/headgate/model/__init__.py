"""The domain, pure: what a flow, a run, a window and a column are. Imports no driver and no framework."""
