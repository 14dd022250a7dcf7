"""The stores' registration: settings and error codes. Nothing here imports a database."""

from __future__ import annotations

from interlock.base.part import Part, SettingsSection
from interlock.stores.postgres.errors import ERRORS
from interlock.stores.postgres.settings import PostgresSettings
from interlock.stores.sqlite.settings import SqliteSettings

PART = Part(
    name="stores",
    settings=(SettingsSection("sqlite", SqliteSettings), SettingsSection("postgres", PostgresSettings)),
    errors=ERRORS,
)
