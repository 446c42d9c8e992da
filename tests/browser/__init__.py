"""The console in a real browser. axe-core (MPL-2.0) lies here for these tests alone; it is not shipped."""
