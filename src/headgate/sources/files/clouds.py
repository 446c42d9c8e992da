"""Opens the file sources that are reached over HTTP: object stores, and plain web servers."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, Literal

from headgate.sources.context import Context
from headgate.sources.files.copies import Scratch
from headgate.sources.files.source import Files
from headgate.sources.libraries import lacking

__all__ = ["open_amazon", "open_azure", "open_google", "open_oracle", "open_web", "see_installed"]


def open_amazon(auth_params: Mapping[str, Any], context: Context) -> Files:
    """The source of the spec `amazon-s3`."""
    return _speaking_s3("amazon", auth_params, context)


def open_oracle(auth_params: Mapping[str, Any], context: Context) -> Files:
    """The source of the spec `oracle-object-storage`, whose protocol is Amazon's too."""
    return _speaking_s3("oracle", auth_params, context)


def open_google(auth_params: Mapping[str, Any], context: Context) -> Files:
    """The source of the spec `google-cloud-storage`: by interoperability keys, or by a service account's key."""
    if not auth_params.get("serviceAccountKey"):
        return _speaking_s3("google", auth_params, context)
    see_installed()
    from headgate.sources.files.stores.google import GoogleAccount, GoogleKey
    from headgate.sources.files.stores.objects import ObjectStore

    account = GoogleAccount(GoogleKey.of(auth_params), context.outbound)
    return Files(ObjectStore(account), Scratch.of(context.settings))


def open_azure(auth_params: Mapping[str, Any], context: Context) -> Files:
    """The source of the specs `azure-blob` and `azure-data-lake-storage-gen2`."""
    see_installed()
    from headgate.sources.files.stores.azure import AzureAccount, AzureKeys
    from headgate.sources.files.stores.objects import ObjectStore

    account = AzureAccount(AzureKeys.of(auth_params), context.outbound)
    return Files(ObjectStore(account), Scratch.of(context.settings))


def open_web(auth_params: Mapping[str, Any], context: Context) -> Files:
    """The source of the spec `http-files`."""
    from headgate.sources.files.stores.web import WebAddresses, WebFiles

    return Files(WebFiles(WebAddresses.of(auth_params), context.outbound), Scratch.of(context.settings))


def _speaking_s3(vendor: Literal["amazon", "google", "oracle"], params: Mapping[str, Any], context: Context) -> Files:
    see_installed()
    from headgate.sources.files.stores.amazon import AmazonAccount, AmazonKeys
    from headgate.sources.files.stores.objects import ObjectStore

    account = AmazonAccount(AmazonKeys.of(vendor, params), context.outbound)
    return Files(ObjectStore(account), Scratch.of(context.settings))


def see_installed() -> None:
    """Raises MissingExtra where the library that reads object stores is not."""
    if find_spec("obstore") is None or find_spec("arro3") is None:
        raise lacking("An object store", "obstore", "cloud")
