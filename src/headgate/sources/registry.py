"""Finds the source for a connection spec."""

from collections.abc import Mapping
from functools import partial
from importlib import import_module
from typing import Any, cast

from headgate.config import Settings
from headgate.errors import SourceNotOnDemand
from headgate.model.scope import Tenancy
from headgate.sources.context import Context, Factory, Telling
from headgate.sources.interface import Source
from headgate.sources.references import resolved
from headgate.sources.specs import ConnectionSpec, connection_specs, plugged

__all__ = ["landing_upload", "open_source", "sweep_copies", "sweep_landing_zones"]

# By the name of the spec, where the factory is; those that are not here have a manifest in `rest/`. It is imported when
# it is needed, so that a source costs nothing to those who use another.
_FACTORIES: Mapping[str, str] = {
    "postgresql": "headgate.sources.sql.postgres:open_postgres",
    "sqlite": "headgate.sources.sql.sqlite:open_sqlite",
    "duckdb": "headgate.sources.sql.duckdb_file:open_duckdb",
    "microsoft-sql-server": "headgate.sources.sql.sqlserver:open_sqlserver",
    "azure-synapse-analytics": "headgate.sources.sql.sqlserver:open_synapse",
    "oracle": "headgate.sources.sql.oracle:open_oracle",
    "snowflake": "headgate.sources.sql.snowflake:open_snowflake",
    "google-big-query": "headgate.sources.sql.bigquery:open_bigquery",
    "azure-databricks": "headgate.sources.sql.databricks:open_databricks",
    "clickhouse": "headgate.sources.sql.clickhouse:open_clickhouse",
    "trino": "headgate.sources.sql.trino:open_trino",
    "amazon-redshift": "headgate.sources.sql.redshift:open_redshift",
    "greenplum": "headgate.sources.sql.greenplum:open_greenplum",
    "sqlalchemy": "headgate.sources.sql.alchemy:open_sqlalchemy",
    "mysql": "headgate.sources.sql.mysql:open_mysql",
    "mariadb": "headgate.sources.sql.mysql:open_mariadb",
    "odbc": "headgate.sources.sql.odbc:open_odbc",
    "hp-vertica": "headgate.sources.sql.odbc:open_vertica",
    "teradata-vantage": "headgate.sources.sql.odbc:open_teradata",
    "ibm-db2": "headgate.sources.sql.odbc:open_db2",
    "apache-hive": "headgate.sources.sql.odbc:open_hive",
    "phoenix": "headgate.sources.sql.odbc:open_phoenix",
    "singer": "headgate.sources.child:open_singer",
    "airbyte": "headgate.sources.child:open_airbyte",
    "local-files": "headgate.sources.files:open_local_files",
    "landing-zone": "headgate.sources.files.landing_zone:open_landing_zone",
    "ftp": "headgate.sources.files:open_ftp",
    "azure-file-storage": "headgate.sources.files:open_smb",
    "hdfs": "headgate.sources.files:open_hdfs",
    "sftp": "headgate.sources.files:open_sftp",
    "amazon-s3": "headgate.sources.files.clouds:open_amazon",
    "azure-blob": "headgate.sources.files.clouds:open_azure",
    "azure-data-lake-storage-gen2": "headgate.sources.files.clouds:open_azure",
    "google-cloud-storage": "headgate.sources.files.clouds:open_google",
    "http-files": "headgate.sources.files.clouds:open_web",
    "oracle-object-storage": "headgate.sources.files.clouds:open_oracle",
}


def open_source(
    spec_id: str, auth_params: Mapping[str, Any], settings: Settings, tenancy: Tenancy, telling: Telling | None = None
) -> Source:
    """The source behind the connection spec `spec_id`, with the parameters of one connection's `auth`.

    References in place of secrets are followed. Nothing is reached yet, but where the source would reach to is
    judged; `tenancy` is from `Store.tenants.tenancy()`, and `telling` takes lines for a run's log. Raises
    SourceNotOnDemand for a spec that is unknown, a target, or only listed; MissingExtra; ReferenceRefused;
    HostNotAllowed; PathNotAllowed.
    """
    spec = next((spec for spec in connection_specs() if spec.id == spec_id), None)
    if spec is None:
        told = "".join(f" {sentence}" for sentence in plugged().broken)
        raise SourceNotOnDemand(f"No connection spec has the id {spec_id!r}, so nothing can be read through it.{told}")
    if not spec.is_source:
        raise SourceNotOnDemand(f"{spec.title} is a target; it cannot be read.")
    factory = _factory(spec)
    if factory is None:
        raise SourceNotOnDemand(f"{spec.title} is listed in the catalogue, but this version cannot read it.")
    context = Context(settings, tenancy) if telling is None else Context(settings, tenancy, telling)
    return factory(resolved(auth_params, spec.secrets, settings, tenancy), context)


def _factory(spec: ConnectionSpec) -> Factory | None:
    """What opens the source of `spec`, None when it is only listed."""
    if not spec.runnable:
        return None
    if (found := plugged().factories.get(spec.id)) is not None:
        return found
    if spec.name in _FACTORIES:
        module, _, name = _FACTORIES[spec.name].partition(":")
        return cast(Factory, getattr(import_module(module), name))
    from headgate.sources.rest import open_rest

    return partial(open_rest, spec.name, spec.title, [(auth.name, auth.schema) for auth in spec.auth_specs])


def sweep_copies(settings: Settings) -> int:
    """Delete the copies of files that processes have left which ended in the middle of a run; of how many runs."""
    if next(settings.scratch_folder.glob("*"), None) is None:
        return 0
    from headgate.sources.files import Scratch

    return Scratch.of(settings).sweep()


def landing_upload(path: str, settings: Settings, tenancy: Tenancy) -> tuple[str, int]:
    """An address that one file may be PUT to in a sandbox's zone, which lies in a bucket; and until when, in seconds.

    Nothing is reached. Raises MissingExtra, BadParameter, SourcePathForbidden, SourceError.
    """
    from headgate.sources.files.clouds import see_installed

    see_installed()
    from headgate.sources.files.landing_bucket import zone

    return zone(settings, tenancy).upload(path)


def sweep_landing_zones(settings: Settings) -> int:
    """Delete the files of landing zones that have been there for as many days as the settings say; how many.

    Raises SourceError where the zones lie in a bucket, and MissingExtra.
    """
    if not settings.landing_zone_days:
        return 0
    from headgate.sources.files.landing_zone import sweep

    return sweep(settings)
