"""What the environment of the service holds for clouds is the service's: no connection uses it, or sends it away."""

import json
import os
import subprocess
import sys
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.emulators import ACCOUNT_KEY, small_s3

KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
CANARY = {
    **dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_TOKEN"), "canary"),
    **dict.fromkeys(("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_USER_AGENT", "AWS_BUCKET"), "canary"),
    **dict.fromkeys(("AWS_SKIP_SIGNATURE", "AWS_REQUESTER_PAYS", "AWS_REQUEST_PAYER", "AWS_UNSIGNED_PAYLOAD"), "true"),
    **dict.fromkeys(("AWS_S3_EXPRESS", "AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "AWS_ALLOW_INVALID_CERTIFICATES"), "true"),
    **dict.fromkeys(("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_METADATA_ENDPOINT"), "http://127.0.0.1:1"),
    **dict.fromkeys(("AWS_PROXY_URL", "AZURE_PROXY_URL", "GOOGLE_PROXY_URL", "ALL_PROXY"), "http://127.0.0.1:1"),
    **dict.fromkeys(("AWS_PROXY_EXCLUDES", "AZURE_PROXY_EXCLUDES", "GOOGLE_PROXY_EXCLUDES"), "127.0.0.1"),
    "AWS_SERVER_SIDE_ENCRYPTION": "sse-c",
    "AWS_SSE_CUSTOMER_KEY_BASE64": KEY,
    "AWS_CHECKSUM_ALGORITHM": "sha256",
    "AZURE_STORAGE_ACCOUNT_NAME": "canary",
    "AZURE_STORAGE_ACCOUNT_KEY": KEY,
    "AZURE_STORAGE_SAS_KEY": "sig=canary",
    "AZURE_STORAGE_TOKEN": "canary",
    "AZURE_STORAGE_ENDPOINT": "http://127.0.0.1:1",
    "AZURE_CREDENTIAL_TYPE": "managed_identity",
    "AZURE_ENCRYPTION_KEY": KEY,
    "AZURE_CLIENT_ID": "canary",
    **dict.fromkeys(("AZURE_SKIP_SIGNATURE", "AZURE_STORAGE_USE_EMULATOR", "AZURE_USE_AZURE_CLI"), "true"),
    "GOOGLE_BEARER_TOKEN": "canary",
    "GOOGLE_BASE_URL": "http://127.0.0.1:1",
    "GOOGLE_BUCKET": "canary",
    "GOOGLE_SKIP_SIGNATURE": "true",
}
READS = """
import json, sys
from pathlib import Path
from headgate.config import Settings
from headgate.outbound import Outbound
from headgate.sources.files.stores.amazon import AmazonAccount, AmazonKeys
from headgate.sources.files.stores.azure import AzureAccount, AzureKeys
from headgate.sources.files.stores.google import GoogleAccount, GoogleKey
from headgate.sources.files.stores.objects import ObjectStore

asked = json.load(sys.stdin)
outbound = Outbound(Settings(data=Path(asked["data"])), shared=False)
accounts = [AmazonAccount(AmazonKeys.of("amazon", asked["s3"]), outbound)]
accounts += [AzureAccount(AzureKeys.of(params), outbound) for params in asked["azure"]]
accounts += [GoogleAccount(GoogleKey.of(asked["google"]), outbound)]
for account in accounts:
    store = ObjectStore(account)
    print(store.pin(f"{account.prefix}data/a.csv"))
"""


def test_every_request_is_the_same_whatever_the_environment_holds(tmp_path: Path) -> None:
    """Requests differ in their moment alone, and so in what is signed with it."""
    private = rsa.generate_private_key(65537, 2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    with small_s3() as small:
        small.objects = {"data/a.csv": b"n\n", "acc/data/a.csv": b"n\n"}
        address = f"{small.address}/acc"
        asked = {
            "data": str(tmp_path),
            "s3": small.params(),
            "azure": [
                {"connectionString": f"AccountName=acc;AccountKey={ACCOUNT_KEY};BlobEndpoint={address}"},
                {"sasUri": f"{address}?sv=2023-11-03&sig=own"},
            ],
            "google": {
                "serviceAccountKey": {"client_email": "own", "private_key": pem, "private_key_id": "1"},
                "bucketName": "data",
                "serviceUrl": small.address,
            },
        }
        seen = []
        plain = {name: value for name, value in os.environ.items() if name not in CANARY}
        for environment in (plain, {**plain, **CANARY}):
            done = subprocess.run(
                [sys.executable, "-c", READS],
                input=json.dumps(asked),
                env={**environment, "PYTHONPATH": os.pathsep.join(sys.path)},
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            seen.append([(method, path, _without_the_moment(headers)) for method, path, headers in small.asked])
            assert "canary" not in str(small.asked)
            assert KEY not in str(small.asked)
            small.asked.clear()
        assert len(seen[0]) == 4
        assert seen[0] == seen[1]


def _without_the_moment(headers: dict[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in headers.items() if name not in ("date", "x-amz-date", "x-ms-date")}
    return {**kept, "authorization": kept.get("authorization", "").split(":")[0].split("Signature=")[0].split(".")[0]}
