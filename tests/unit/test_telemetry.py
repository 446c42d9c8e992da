"""What is masked in texts of others before they are logged or answered."""

import pytest

from headgate.telemetry import redact


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Server=h;PWD=hunter2;Port=1", "Server=h;PWD=xxxx;Port=1"),
        ('password: "two words" was sent', "password: xxxx was sent"),
        ("postgresql://me:hunter2@db/shop", "postgresql://me:xxxx@db/shop"),
        ("the key is k3y-of-ours", "the key is xxxx"),
        ("(using password: hunter2)", "(using password: xxxx"),
        ("password: yes-indeed)", "password: xxxx"),
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str, masked: str) -> None:
    assert redact(text, ["k3y-of-ours"]) == masked


@pytest.mark.parametrize("sent", ["YES", "NO"])
def test_whether_a_password_was_sent_is_told(sent: str) -> None:
    said = f"Access denied for user 'reader'@'127.0.0.1' (using password: {sent})"
    assert redact(said, ["hunter2"]) == said
