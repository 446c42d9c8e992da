"""The use-cases: what can be done here, whoever asks and however. Knows no HTTP and no SQL."""

from headgate.service.service import Service

__all__ = ["Service"]
