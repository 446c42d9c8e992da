"""Settings: environment `HEADGATE_*`, then `headgate.toml` in the working directory, then the defaults."""

import os
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

__all__ = ["Settings"]


class Settings(BaseSettings):
    """What a service or a worker is told from outside. All times are seconds."""

    model_config = SettingsConfigDict(env_prefix="HEADGATE_", toml_file="headgate.toml", frozen=True, extra="ignore")

    data: Path = Field(
        default=Path("headgate-data"),
        description="Folder of the embedded default: metadata, warehouse and keys.",
    )
    file_roots: Annotated[tuple[Path, ...], NoDecode] = Field(
        default=(),
        description="Folders that local files and SQLite databases may be read from, separated by colons. "
        "Default: the working directory and the data folder.",
    )
    lease: float = Field(
        default=15.0,
        ge=0.5,
        description="Seconds a worker owns a run without renewing; recovery takes as long.",
    )
    poll: float = Field(
        default=0.5, gt=0, description="Seconds between two looks at the queue when nothing wakes the worker."
    )
    parallel_splits: int = Field(
        default=max(2, min(4, os.cpu_count() or 2)),
        ge=1,
        description="Splits of one run that are read at the same time.",
    )
    parallel_runs: int = Field(default=2, ge=1, description="Runs one worker executes at the same time.")
    duckdb_memory: str = Field(
        default="256MB", description="Memory limit of the engine that reads one split, for instance 256MB."
    )
    max_attempts: int = Field(default=3, ge=1, description="Attempts before a run whose worker keeps dying is failed.")
    token_lifetime: int = Field(default=86_400, gt=0, description="Seconds a token of the built-in issuer lives.")

    @field_validator("file_roots", mode="before")
    @classmethod
    def _split_roots(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(Path(part) for part in value.split(os.pathsep) if part)
        return value

    @property
    def roots(self) -> tuple[Path, ...]:
        """The folders local sources may be read from, resolved."""
        roots = self.file_roots or (Path.cwd(), self.data)
        return tuple(root.expanduser().resolve() for root in roots)

    @property
    def private(self) -> tuple[Path, ...]:
        """The service's own files, which no source may read wherever the roots are."""
        names = ("keys", "warehouse", "metadata.db", "metadata.db-wal", "metadata.db-shm", "service.json")
        return tuple(self.data.resolve() / name for name in names)

    @property
    def metadata_url(self) -> str:
        """SQLAlchemy address of the metadata database."""
        return f"sqlite:///{self.data.resolve() / 'metadata.db'}"

    @property
    def warehouse(self) -> Path:
        """Folder that holds the lake tables and their catalog."""
        return self.data.resolve() / "warehouse"

    @property
    def keys(self) -> Path:
        """Folder of the signing key, the secrets key and the local credentials; mode 0700."""
        return self.data.resolve() / "keys"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is pydantic's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the places settings come from."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)
