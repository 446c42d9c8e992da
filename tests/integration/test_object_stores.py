"""Object stores as places of files: what is listed, pinned and read, and what is refused."""

import os
import ssl
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwt
from joserfc.jwk import RSAKey

from headgate.config import Settings
from headgate.errors import (
    HeadgateError,
    HostNotAllowed,
    SourceAccessDenied,
    SourceChanged,
    SourceError,
    SourceObjectMissing,
    SourcePathForbidden,
    SourceUnreachable,
)
from headgate.outbound import Outbound
from headgate.sources.files.stores import amazon, asking, objects
from headgate.sources.files.stores.amazon import AmazonAccount, AmazonKeys
from headgate.sources.files.stores.azure import AzureAccount, AzureKeys
from headgate.sources.files.stores.google import GoogleAccount, GoogleKey
from headgate.sources.files.stores.objects import ObjectStore
from tests.emulators import (
    ACCOUNT,
    ACCOUNT_KEY,
    BLOB,
    Bucket,
    SmallS3,
    account_signature,
    answer,
    blob_container,
    connection_string,
    fault,
    half,
    s3_bucket,
    small_s3,
)

ODD = ["a b+c.csv", "p%41q.csv", "ünï/é.csv", "#h", "q?x=1", 't"q', "<x>&y", "[x]*", "😀", "~t", "é"]


@pytest.fixture
def outbound(tmp_path: Path) -> Outbound:
    return Outbound(Settings(data=tmp_path), shared=False)


@pytest.fixture(params=["s3", "azure"])
def bucket(request: pytest.FixtureRequest) -> Bucket:
    """An empty bucket of each emulator."""
    name = f"b{os.urandom(6).hex()}"
    if request.param == "s3":
        return s3_bucket(request.getfixturevalue("s3_address"), name)
    return blob_container(request.getfixturevalue("azure_address"), name)


@pytest.fixture
def small() -> Iterator[SmallS3]:
    with small_s3() as made:
        yield made


def opened(bucket: Bucket, outbound: Outbound, **more: str) -> ObjectStore:
    params = {**bucket.auth["params"], **more}
    if bucket.spec == BLOB:
        return ObjectStore(AzureAccount(AzureKeys.of(params), outbound))
    return ObjectStore(AmazonAccount(AmazonKeys.of("amazon", params), outbound))


def s3(small: SmallS3, outbound: Outbound, **more: str) -> ObjectStore:
    return ObjectStore(AmazonAccount(AmazonKeys.of("amazon", small.params(**more)), outbound))


def content(store: ObjectStore, address: str, **part: int) -> bytes:
    file = store.pin(address)
    assert file is not None
    return b"".join(store.read(file, **part))


def test_objects_are_listed_pinned_and_read_by_their_names(bucket: Bucket, outbound: Outbound) -> None:
    odd = ODD if bucket.spec == BLOB else [*ODD, "back\\slash"]  # Azurite takes it for a slash
    for name in odd:
        bucket.put(f"in/{name}", name.encode())
    bucket.put("in/deep/er/x.csv", b"0123456789")
    bucket.put("top.csv", b"n\n")
    store = opened(bucket, outbound)
    store.check()
    assert bucket.name in {entry.name for entry in store.listed(store.address(""))}
    root = store.address(bucket.name)
    assert root == bucket.root
    below = dict(store.below(root))
    assert set(below) == {*(f"in/{name}" for name in odd), "in/deep/er/x.csv", "top.csv"}
    for name in odd:
        assert b"".join(store.read(below[f"in/{name}"])) == name.encode()
        assert store.pin(f"{root}/in/{name}") == below[f"in/{name}"]
    listed = {entry.name: entry for entry in store.listed(f"{root}/in")}
    assert set(listed) == {"deep", "ünï", *(name for name in odd if "/" not in name)}
    assert listed["deep"].folder == f"{root}/in/deep"
    assert listed["#h"].file == below["in/#h"]
    assert content(store, f"{root}/in/deep/er/x.csv", start=3, size=4) == b"3456"
    assert content(store, f"{root}/in/deep/er/x.csv", start=8, size=40) == b"89"
    assert store.pin(f"{root}/in/deep") is None
    assert store.pin(root) is None


def test_what_is_not_there_is_told_apart(bucket: Bucket, outbound: Outbound) -> None:
    bucket.put("in/a.csv", b"n\n")
    store = opened(bucket, outbound)
    for path in ("in/b.csv", "in/a", "i", "in/a.csv/x"):
        with pytest.raises(SourceObjectMissing, match=path):
            store.pin(f"{bucket.root}/{path}")
    with pytest.raises(SourceObjectMissing, match="no folder"):
        list(store.listed(f"{bucket.root}/out"))
    for call in (store.pin, lambda address: list(store.listed(address)), lambda address: list(store.below(address))):
        with pytest.raises(SourceObjectMissing, match="no bucket or container"):
            call(store.address("nowhere-at-all"))
    for path in ("../x", "a/../../b", "x\0y", "x\ny"):
        with pytest.raises(SourcePathForbidden):
            store.address(path)


def test_a_connection_is_held_to_its_bucket_and_folder(bucket: Bucket, outbound: Outbound) -> None:
    bucket.put("in/a.csv", b"n\n")
    bucket.put("secret.csv", b"n\n")
    named = {"container" if bucket.spec == BLOB else "bucketName": bucket.name}
    store = opened(bucket, outbound, **named, folderPath="/in/")
    store.check()
    assert [name for name, _ in store.below(store.address(""))] == ["a.csv"]
    assert store.address("a.csv") == store.address(f"{bucket.root}/in/a.csv") == f"{bucket.root}/in/a.csv"
    for address in (f"{bucket.root}/secret.csv", f"{bucket.root}/inside/x", bucket.root):
        with pytest.raises(SourcePathForbidden, match="held to"):
            store.address(address)


@pytest.mark.parametrize("gone", [True, False])
def test_only_the_pinned_version_is_read(bucket: Bucket, outbound: Outbound, gone: bool) -> None:
    bucket.put("a.csv", b"n\n1\n")
    store = opened(bucket, outbound)
    file = store.pin(f"{bucket.root}/a.csv")
    assert file is not None
    assert file.version is not None
    assert file.version.startswith('"')
    bucket.delete("a.csv")
    if not gone:
        bucket.put("a.csv", b"n\n2\n")
    with pytest.raises(SourceChanged, match=r"a\.csv"):
        list(store.read(file))


def test_a_large_object_is_read_by_parts(bucket: Bucket, outbound: Outbound, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "_PIECE", 100_000)
    body = os.urandom(1_234_567)
    bucket.put("big.bin", body)
    store = opened(bucket, outbound)
    assert content(store, f"{bucket.root}/big.bin") == body
    assert content(store, f"{bucket.root}/big.bin", start=1000, size=900_000) == body[1000:901_000]
    file = store.pin(f"{bucket.root}/big.bin")
    assert file is not None
    pieces = store.read(file)
    next(pieces)
    bucket.put("big.bin", body[::-1])
    with pytest.raises(SourceChanged):
        list(pieces)


def test_wrong_keys_are_refused_with_the_stores_own_reason(azure_address: str, outbound: Outbound) -> None:
    container = blob_container(azure_address, f"b{os.urandom(6).hex()}")
    container.put("a.csv", b"n\n")
    wrong = connection_string(azure_address, f"Z{ACCOUNT_KEY[1:]}")
    store = ObjectStore(AzureAccount(AzureKeys.of({"connectionString": wrong}), outbound))
    calls: list[Callable[[], Any]] = [
        store.check,
        lambda: store.pin(f"{container.root}/a.csv"),
        lambda: list(store.listed(container.root)),
        lambda: list(store.below(container.root)),
    ]
    for call in calls:
        with pytest.raises(SourceAccessDenied, match="It says: Server failed to authenticate") as caught:
            call()
        assert ACCOUNT_KEY[1:] not in caught.value.detail


def test_what_marks_a_folder_is_no_file(s3_address: str, outbound: Outbound) -> None:
    bucket = s3_bucket(s3_address, f"b{os.urandom(6).hex()}")
    bucket.put("in/", b"")
    bucket.put("in/a.csv", b"n\n")
    bucket.put("bare/", b"")
    store = opened(bucket, outbound)
    assert [name for name, _ in store.below(bucket.root)] == ["in/a.csv"]
    assert {entry.name for entry in store.listed(bucket.root)} == {"in", "bare"}
    assert [entry.name for entry in store.listed(f"{bucket.root}/in")] == ["a.csv"]
    assert store.pin(f"{bucket.root}/in") is None
    assert store.pin(f"{bucket.root}/bare") is None


def test_names_that_no_request_can_say_are_refused_by_name(s3_address: str, outbound: Outbound) -> None:
    bucket = s3_bucket(s3_address, f"b{os.urandom(6).hex()}")
    bucket.put("odd//x.csv", b"n\n")
    bucket.put("in/a.csv", b"n\n")
    store = opened(bucket, outbound)
    with pytest.raises(SourcePathForbidden, match=r"'odd//x\.csv' cannot be read"):
        list(store.below(bucket.root))
    assert [name for name, _ in store.below(f"{bucket.root}/in")] == ["a.csv"]


def test_archived_and_encrypted_objects_are_refused(s3_address: str, small: SmallS3, outbound: Outbound) -> None:
    bucket = s3_bucket(s3_address, f"b{os.urandom(6).hex()}")
    bucket.put("cold.csv", b"n\n", x_amz_storage_class="GLACIER")
    bucket.put("own.csv", b"n\n", **{"x-amz-meta-x-amz-key-v2": "wrapped"})
    store = opened(bucket, outbound)
    with pytest.raises(SourceError, match=r"lies in the archive.*InvalidObjectState"):
        store.pin(f"{bucket.root}/cold.csv")
    with pytest.raises(SourceError, match="was encrypted by whoever wrote it"):
        list(store.read(dict(store.below(bucket.root))["own.csv"]))
    sentence = "The object was stored using a form of Server Side Encryption. The correct parameters must be provided."
    small.acts.append(lambda request: answer(request, 400, fault("InvalidRequest", sentence)))
    with pytest.raises(SourceError, match="encrypted with a key of its own"):
        s3(small, outbound).pin("s3://data/x")


@pytest.mark.parametrize(
    ("status", "code", "kind", "says"),
    [
        (403, "AccessDenied", SourceAccessDenied, "refuses access to s3://data/x. It says: Why not (AccessDenied)"),
        (403, "RequestTimeTooSkewed", SourceError, "Set its clock right"),
        (400, "ExpiredToken", SourceAccessDenied, "refuses access"),
        (400, "AuthorizationHeaderMalformed", SourceError, "in another region"),
        (301, "PermanentRedirect", SourceError, "in another region"),
        (409, "BlobArchived", SourceError, "lies in the archive"),
        (409, "BlobUsesCustomerSpecifiedEncryption", SourceError, "encrypted with a key of its own"),
        (503, "SlowDown", SourceUnreachable, "cannot answer just now"),
        (418, "Teapot", SourceError, "418. It says: Why not (Teapot)"),
    ],
)
def test_refusals_say_what_to_do(
    small: SmallS3,
    outbound: Outbound,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    code: str,
    kind: type[HeadgateError],
    says: str,
) -> None:
    monkeypatch.setitem(asking.RETRIES, "max_retries", 0)
    small.acts.append(lambda request: answer(request, status, fault(code, "Why not")))
    with pytest.raises(HeadgateError) as caught:
        s3(small, outbound).pin("s3://data/x")
    assert type(caught.value) is kind
    assert says in caught.value.detail
    assert "canary" not in str(caught.value)


def test_what_passes_is_tried_again(small: SmallS3, outbound: Outbound) -> None:
    small.objects["data/a.csv"] = bytes(range(256)) * 100
    store = s3(small, outbound)
    slow: Callable[[BaseHTTPRequestHandler], bool] = lambda request: answer(request, 503, fault("SlowDown", "Slow"))  # noqa: E731
    small.acts += [slow, slow]
    file = store.pin("s3://data/a.csv")
    assert file is not None

    small.acts += [partial(half, small), slow]
    assert b"".join(store.read(file)) == small.objects["data/a.csv"]


def test_a_store_that_is_silent_or_not_there_is_told_of(
    small: SmallS3, outbound: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(asking.RETRIES, "max_retries", 0)
    monkeypatch.setitem(asking._CLIENT, "read_timeout", "300ms")
    free = threading.Event()
    small.acts.append(lambda _: free.wait(20))
    with pytest.raises(SourceUnreachable, match="did not answer"):
        s3(small, outbound).pin("s3://data/a.csv")
    free.set()
    gone = {**small.params(), "serviceUrl": "http://127.0.0.1:1"}
    with pytest.raises(SourceUnreachable, match="Connection refused"):
        ObjectStore(AmazonAccount(AmazonKeys.of("amazon", gone), outbound)).pin("s3://data/a.csv")


def test_redirects_lead_nowhere(small: SmallS3, outbound: Outbound) -> None:
    with small_s3() as inner:
        inner.objects["data/a.csv"] = b"inner"
        small.acts += [lambda request: answer(request, 302, Location=f"{inner.address}/data/a.csv")] * 10
        with pytest.raises(SourceError, match="is not followed"):
            s3(small, outbound).pin("s3://data/a.csv")
        assert not inner.asked


def test_hosts_are_judged_before_they_are_reached(small: SmallS3, tmp_path: Path) -> None:
    shared = Outbound(Settings(data=tmp_path), shared=True)
    with pytest.raises(HostNotAllowed, match="HEADGATE_ALLOWED_HOSTS"):
        s3(small, shared)
    with pytest.raises(HostNotAllowed, match="metadata"):
        AmazonAccount(AmazonKeys.of("amazon", small.params(serviceUrl="http://169.254.169.254")), shared)
    with pytest.raises(HostNotAllowed):
        AzureAccount(AzureKeys.of({"connectionString": connection_string(small.address)}), shared)
    assert not small.asked


def test_a_name_that_means_something_else_by_now_leads_nowhere(
    small: SmallS3, outbound: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = small.address.rpartition(":")[2]
    found = ["127.0.0.1"]
    monkeypatch.setattr("headgate.outbound._resolve", lambda _: tuple(found))
    store = s3(small, outbound, serviceUrl=f"http://store.test:{port}")
    small.objects["data/a.csv"] = b"n\n"
    found[:] = ["169.254.169.254"]
    assert content(store, "s3://data/a.csv") == b"n\n"  # at the address that was judged
    found[:] = ["127.0.0.1"]
    store = s3(small, outbound, serviceUrl="http://store.test:1")
    found[:] = ["169.254.169.254"]
    with pytest.raises(SourceError, match="metadata"):  # which did not answer, so that it is judged anew
        store.pin("s3://data/a.csv")


def test_the_proxy_serves_its_store_alone(small: SmallS3, outbound: Outbound) -> None:
    account = AmazonAccount(AmazonKeys.of("amazon", small.params()), outbound)
    ours = account.tunnel.url
    strange = ours.replace(ours.partition("headgate:")[2].partition("@")[0], "guessed")
    with httpx.Client(proxy=strange, trust_env=False) as client:
        assert client.get(f"{small.address}/data/a.csv").status_code == 403
    with small_s3() as other, httpx.Client(proxy=ours, trust_env=False) as client:
        assert client.get(f"{small.address}/data/a.csv").status_code == 404
        assert client.get(f"{other.address}/data/a.csv").status_code == 403
        assert not other.asked
    assert all("proxy-authorization" not in headers for _, _, headers in small.asked)


@pytest.mark.parametrize("known", [True, False])
def test_a_certificate_is_looked_at_through_the_proxy(
    certificate: Path, outbound: Outbound, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    monkeypatch.setitem(asking.RETRIES, "max_retries", 0)
    if known:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with small_s3(tls) as secure:
        secure.objects["data/a.csv"] = b"n\n"
        if known:
            assert content(s3(secure, outbound), "s3://data/a.csv") == b"n\n"
            return
        with pytest.raises(SourceError, match="The certificate of the store is refused: UnknownIssuer"):
            s3(secure, outbound).pin("s3://data/a.csv")
    assert not secure.asked


def test_the_region_of_a_bucket_is_found_out(
    small: SmallS3, outbound: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(amazon, "_ANYWHERE", small.address)
    monkeypatch.setattr(amazon, "_endpoint", lambda _: small.address)
    small.objects["data/a.csv"] = b"n\n"
    params = {key: value for key, value in small.params().items() if key != "serviceUrl"}
    store = ObjectStore(AmazonAccount(AmazonKeys.of("amazon", params), outbound))
    small.acts.append(lambda request: answer(request, 403, x_amz_bucket_region="eu-south-2"))
    assert content(store, "s3://data/a.csv") == b"n\n"
    assert "authorization" not in small.asked[0][2]
    assert "/eu-south-2/s3/" in small.asked[1][2]["authorization"]
    small.acts.append(lambda request: answer(request, 404))
    with pytest.raises(SourceObjectMissing, match="Set region"):
        store.pin("s3://other/a.csv")


def test_a_listing_comes_as_pages_do(small: SmallS3, outbound: Outbound, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "_PER_CHUNK", 100)
    small.page = 100
    small.objects |= {f"data/in/{number:05}.csv": b"n\n" for number in range(1000)}
    found = s3(small, outbound).below("s3://data/in")
    assert next(found)[0] == "00000.csv"
    assert len(small.asked) < 5
    assert sum(1 for _ in found) == 999
    assert len(small.asked) == 10


def test_a_signed_address_lets_in_as_far_as_it_says(azure_address: str, outbound: Outbound) -> None:
    container = blob_container(azure_address, f"b{os.urandom(6).hex()}")
    container.put("in/a.csv", b"n\n1\n")
    signed = f"{azure_address}/{ACCOUNT}?{account_signature('rl')}"
    store = ObjectStore(AzureAccount(AzureKeys.of({"sasUri": signed}), outbound))
    assert container.name in {entry.name for entry in store.listed(store.address(""))}
    assert [name for name, _ in store.below(container.root)] == ["in/a.csv"]
    assert content(store, f"{container.root}/in/a.csv") == b"n\n1\n"
    held = f"{azure_address}/{ACCOUNT}/{container.name}/in?{account_signature('r')}"
    store = ObjectStore(AzureAccount(AzureKeys.of({"sasUri": held}), outbound))
    assert content(store, store.address("a.csv")) == b"n\n1\n"
    with pytest.raises(SourceAccessDenied) as caught:
        list(store.below(store.address("")))
    assert "sig=" not in caught.value.detail


def test_a_service_principal_asks_its_directory_for_a_token(
    small: SmallS3, outbound: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AzureAccount, "_authority", small.address)
    keys = AzureKeys("acc", small.address, principal=("example.com", "own-id", "canary-secret"))
    token = b'{"access_token": "own-token", "expires_in": 3600, "token_type": "Bearer"}'
    small.objects["data/a.csv"] = b"n\n"
    small.acts.append(lambda request: answer(request, 200, token, Content_Type="application/json"))
    store = ObjectStore(AzureAccount(keys, outbound))
    assert content(store, f"{small.address}/data/a.csv") == b"n\n"
    assert small.asked[0][:2] == ("POST", "/example.com/oauth2/v2.0/token")
    assert small.asked[1][2]["authorization"] == "Bearer own-token"
    with pytest.raises(SourceError, match="Name the container"):
        list(store.listed(store.address("")))
    wrong = b'{"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret. Trace ID: 1"}'
    small.acts += [lambda request: answer(request, 401, wrong, Content_Type="application/json")] * 10
    with pytest.raises(SourceAccessDenied, match="AADSTS7000215: Invalid client secret") as caught:
        ObjectStore(AzureAccount(keys, outbound)).pin(f"{small.address}/data/a.csv")
    assert "canary" not in caught.value.detail


def test_a_bucket_may_be_part_of_the_hosts_name(
    small: SmallS3, outbound: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "headgate.outbound._resolve", lambda host: ("127.0.0.1",) if host.endswith(".test") else (host,)
    )
    small.objects = {"a.csv": b"n\n"}
    port = small.address.rpartition(":")[2]
    store = s3(small, outbound, serviceUrl=f"http://store.test:{port}", virtualHosted="true")
    assert content(store, "s3://data/a.csv") == b"n\n"
    assert small.asked[0][2]["host"] == f"data.store.test:{port}"


@pytest.mark.parametrize("vendor", ["google", "oracle"])
def test_others_are_read_through_the_same_protocol(s3_address: str, outbound: Outbound, vendor: Any) -> None:
    bucket = s3_bucket(s3_address, f"b{os.urandom(6).hex()}")
    bucket.put("in/a.csv", b"n\n1\n")
    names = {"google": ("accessKeyId", "secretAccessKey", "gs"), "oracle": ("accessKey", "secretKey", "oci")}
    key, secret, scheme = names[vendor]
    params = {key: "own", secret: "canary-secret", "serviceUrl": s3_address}
    store = ObjectStore(AmazonAccount(AmazonKeys.of(vendor, params), outbound))
    assert bucket.name in {entry.name for entry in store.listed(store.address(""))}
    [(name, file)] = store.below(store.address(bucket.name))
    assert (name, file.path) == ("in/a.csv", f"{scheme}://{bucket.name}/in/a.csv")
    assert b"".join(store.read(file)) == b"n\n1\n"


def test_a_service_account_of_google_lists_and_reads(small: SmallS3, outbound: Outbound) -> None:
    private = rsa.generate_private_key(65537, 2048)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    key = {"client_email": "own@example.com", "private_key": private.private_bytes(*form).decode()}
    params = {"serviceAccountKey": key, "bucketName": "data", "folderPath": "in", "serviceUrl": small.address}
    small.objects = {"data/in/a.csv": b"n\n1\n", "data/other.csv": b"n\n"}
    store = ObjectStore(GoogleAccount(GoogleKey.of(params), outbound))
    store.check()
    [(name, file)] = store.below(store.address(""))
    assert (name, file.path) == ("a.csv", "gs://data/in/a.csv")
    assert b"".join(store.read(file)) == b"n\n1\n"
    token = small.asked[0][2]["authorization"].removeprefix("Bearer ")
    claims = jwt.decode(
        token,
        RSAKey.import_key(
            private.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        ),
    ).claims
    assert claims["iss"] == claims["sub"] == "own@example.com"
    assert claims["scope"].endswith("devstorage.read_only")
    assert 0 < claims["exp"] - claims["iat"] <= 3600
