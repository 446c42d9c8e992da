"""The HTTP face: the flow service and its neighbours. Knows nothing of what lies behind the service."""

from headgate.api.app import create_app

__all__ = ["create_app"]
