"""The stores' registration: the settings of the embedded store. Nothing here imports a database."""

from __future__ import annotations

from interlock.base.part import Part, SettingsSection
from interlock.stores.sqlite.settings import SqliteSettings

PART = Part(name="stores", settings=(SettingsSection("sqlite", SqliteSettings),))
