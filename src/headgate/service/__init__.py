"""The use-cases: what can be done here, whoever asks and however. Knows no HTTP and no SQL.

`service.Service` has them all; the modules are imported one by one, so that a command pays for what it uses alone.
"""
