"""Tokens of Google, which its advertising and its analytics ask for alike."""

from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request

from tests.vendors.fake import Refused

__all__ = ["Tokens"]


class Tokens:
    """What oauth2.googleapis.com/token gives for a refresh token."""

    def __init__(self, client: str, secret: str, refresh: str) -> None:
        self._client = {"client_id": client, "client_secret": secret}
        self._refresh = refresh
        self.given: list[str] = []

    def token(self, _: Request, body: bytes) -> Any:
        form = dict(parse_qsl(body.decode()))
        if form.pop("grant_type", None) != "refresh_token":
            raise Refused(400, {"error": "unsupported_grant_type", "error_description": "Invalid grant_type"})
        if form != {**self._client, "refresh_token": self._refresh}:
            raise Refused(400, {"error": "invalid_grant", "error_description": "Bad Request"})
        return self.give()

    def give(self) -> Any:
        """A new token; no other lets in from now on."""
        self.given.append(f"ya29.{len(self.given)}-secret-google-token")
        return {"access_token": self.given[-1], "expires_in": 3599, "token_type": "Bearer"}

    def let_in(self, request: Request) -> bool:
        """Whether the newest token was sent."""
        return bool(self.given) and request.headers.get("authorization") == f"Bearer {self.given[-1]}"
