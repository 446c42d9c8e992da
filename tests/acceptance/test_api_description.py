"""What /openapi.json says of the API is held against the API itself, by schemathesis over a socket.

Requests that fit the description, that break it, and chains of them: none may be answered 5xx, and every answer must
be one that is described.
"""

import subprocess
import sys
from pathlib import Path

import httpx

from tests.acceptance.test_service import Deployment

SECONDS = 60
NOT_HELD = (
    "missing_required_header",  # a missing token is 403 in this contract
    "positive_data_acceptance",  # a body that fits the description may still name what does not exist
    "negative_data_rejection",  # the contract demands leniency: unknown members, numbers as text
    "unsupported_method",  # as HEAD, which no answer describes
)


def test_the_api_is_what_it_is_said_to_be(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path)
    with deployment.service():
        known = deployment.credentials()
        headers = {
            "Authorization": f"Bearer {known['accessToken']}",
            "x-api-key": known["apiKey"],
            "x-gw-ims-org-id": known["orgId"],
            "x-sandbox-name": known["sandbox"],
        }
        done = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "run", f"{known['baseUrl']}/openapi.json"),
                *(f"--header={name}: {value}" for name, value in headers.items()),
                *("--mode=all", "--continue-on-failure", f"--max-time={SECONDS}", "--seed=1"),
                f"--exclude-checks={','.join(NOT_HELD)}",
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=SECONDS * 4,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-20_000:]
        assert httpx.get(f"{known['baseUrl']}/health/ready").status_code == 200
