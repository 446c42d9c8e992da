"""What a connection to a cloud says, in each of its forms, and what is refused of it."""

import base64
from typing import Any

import pytest

from headgate.errors import BadParameter, ParameterMissing, ProviderRefusal
from headgate.sources.files.stores.amazon import AmazonKeys
from headgate.sources.files.stores.azure import AzureKeys
from headgate.sources.files.stores.google import GoogleKey

KEY = base64.b64encode(b"k" * 32).decode()
S3 = {"s3AccessKey": "a", "s3SecretKey": "s"}
FRANKFURT = "https://ns.compat.objectstorage.eu-frankfurt-1.oraclecloud.com"
ORACLE = {"serviceUrl": FRANKFURT, "accessKey": "a", "secretKey": "s"}
PRINCIPAL = {"servicePrincipalId": "id", "servicePrincipalKey": "s", "tenant": "example.com"}
ACC, GEN2 = "https://acc.blob.core.windows.net", "https://acc.dfs.core.windows.net"
CHINA = "https://acc.blob.core.chinacloudapi.cn"
WHOLE = f"DefaultEndpointsProtocol=https;AccountName=acc;AccountKey={KEY};EndpointSuffix=x.net"
PLACED = f"BlobEndpoint=http://10.0.0.1:1/acc;AccountName=acc;AccountKey={KEY};"


@pytest.mark.parametrize(
    ("vendor", "params", "region", "service", "folder"),
    [
        ("amazon", S3, "", "", ()),
        ("amazon", {**S3, "bucketName": "b", "folderPath": "/in//x/"}, "", "", ("b", "in", "x")),
        ("amazon", {**S3, "folderPath": "b/in"}, "", "", ("b", "in")),
        ("amazon", {**S3, "serviceUrl": "https://minio:9000/"}, "us-east-1", "https://minio:9000", ()),
        ("amazon", {**S3, "serviceUrl": "https://s3.eu-west-3.amazonaws.com"}, "eu-west-3", None, ()),
        ("amazon", {**S3, "region": "cn-north-1"}, "cn-north-1", "", ()),
        ("google", {"accessKeyId": "a", "secretAccessKey": "s"}, "auto", "https://storage.googleapis.com", ()),
        ("oracle", ORACLE, "eu-frankfurt-1", None, ()),
    ],
)
def test_keys_of_s3(
    vendor: Any, params: dict[str, Any], region: str, service: str | None, folder: tuple[str, ...]
) -> None:
    keys = AmazonKeys.of(vendor, params)
    assert (keys.key, keys.secret, keys.region, keys.folder) == ("a", "s", region, folder)
    assert service is None or keys.service == service
    assert "secret" not in repr(keys)


@pytest.mark.parametrize(
    ("params", "url", "folder"),
    [
        ({"connectionString": WHOLE}, "https://acc.blob.x.net", ()),
        ({"connectionString": PLACED, "container": "c"}, "http://10.0.0.1:1/acc", ("c",)),
        ({"connectionString": f"BlobEndpoint={ACC};SharedAccessSignature=?sv=1&sig=s"}, ACC, ()),
        ({"sasUri": f"{ACC}/c/in%20x?sv=1&sig=s", "folderPath": ""}, ACC, ("c", "in x")),
        ({**PRINCIPAL, "serviceEndpoint": f"{CHINA}/", "container": "c", "folderPath": "in"}, CHINA, ("c", "in")),
        ({**PRINCIPAL, "url": f"{GEN2}/fs"}, ACC, ("fs",)),
        ({"url": GEN2, "accountKey": KEY}, ACC, ()),
    ],
)
def test_keys_of_azure(params: dict[str, Any], url: str, folder: tuple[str, ...]) -> None:
    keys = AzureKeys.of(params)
    assert (keys.account, keys.url, keys.folder) == ("acc", url, folder)
    assert sum(map(bool, (keys.key, keys.signature, keys.principal))) == 1
    assert KEY not in repr(keys)
    assert "sig" not in repr(keys).replace("signature", "")


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"s3AccessKey": "a"}, "s3SecretKey"),
        ({**S3, "region": "eu west"}, "region"),
        ({**S3, "serviceUrl": "minio:9000"}, "serviceUrl"),
        ({**S3, "serviceUrl": "https://minio/bucket"}, "serviceUrl"),
        ({**S3, "serviceUrl": "https://user:p@minio"}, "serviceUrl"),
        ({**S3, "bucketName": "b/c"}, "bucketName"),
        ({**S3, "folderPath": "a/../b"}, "folderPath"),
        ({**S3, "s3SecretKey": "a\nb"}, "control"),
    ],
)
def test_what_s3_cannot_use_is_refused_by_name(params: dict[str, Any], says: str) -> None:
    with pytest.raises(ProviderRefusal, match=says):
        AmazonKeys.of("amazon", params)
    with pytest.raises(ParameterMissing, match=r"compat\.objectstorage"):
        AmazonKeys.of("oracle", {"accessKey": "a", "secretKey": "s"})


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({}, "url is missing"),
        ({"connectionString": "UseDevelopmentStorage=true"}, "UseDevelopmentStorage"),
        ({"connectionString": f"AccountKey={KEY}"}, "AccountName"),
        ({"connectionString": "AccountName=acc"}, "one of them"),
        ({"connectionString": f"AccountName=acc;AccountKey={KEY};SharedAccessSignature=sig"}, "one of them"),
        ({"connectionString": "AccountName=acc;AccountKey=!"}, "Base64"),
        ({"sasUri": "https://acc.blob.core.windows.net/c"}, "no signature"),
        ({"sasUri": "ftp://acc/c?sig=s"}, "no address"),
        ({**PRINCIPAL, "serviceEndpoint": "http://acc.blob.core.windows.net"}, "https"),
        ({**PRINCIPAL, "url": "https://acc.dfs.core.windows.net", "tenant": "../x"}, "tenant"),
        ({**PRINCIPAL, "url": "https://10.0.0.1"}, "which account"),
    ],
)
def test_what_azure_cannot_use_is_refused_by_name(params: dict[str, Any], says: str) -> None:
    with pytest.raises(ProviderRefusal, match=says) as caught:
        AzureKeys.of(params)
    assert KEY not in caught.value.detail


def test_a_key_of_google_is_the_whole_file() -> None:
    for key in (None, "x", "[]", "{}", {"client_email": "a"}, {"client_email": "a", "private_key": "x"}):
        with pytest.raises(BadParameter, match="serviceAccountKey"):
            GoogleKey.of({"serviceAccountKey": key, "bucketName": "b"})
