"""What a manifest's templates and pages become in requests."""

import pytest

from headgate.sources.rest.templates import Filling, Template


@pytest.mark.parametrize(
    ("given", "host"),
    [
        ("acme.example.com", "acme.example.com"),
        ("https://acme.example.com/", "acme.example.com"),
        ("https://acme.example.com/api/v2?x=1", "acme.example.com"),
        ("localhost:8080/below", "localhost:8080"),
    ],
)
def test_a_host_is_taken_of_an_address_or_of_itself(given: str, host: str) -> None:
    template = Template.of("https://{endpoint|host}/api", ["endpoint"])
    assert template.filled(Filling({"endpoint": given})) == f"https://{host}/api"
