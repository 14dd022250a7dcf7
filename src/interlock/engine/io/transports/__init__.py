"""The ways out: one module for each group of namespaces, behind the port that `port` declares.

What it does: lists the factories, settings and error codes of the product's own transports, for the engine's
registration. What it does not do: it makes no transport; the router does, at the first call.

Rule: of the packages that do the product's work, only this one imports libraries of networks, processes and
sockets, and heavy ones only at their first use.
"""

from typing import Final

from interlock.base.errors import ErrorCode
from interlock.base.part import Services, SettingsSection, TransportFactory
from interlock.engine.io.transports import exec as programs
from interlock.engine.io.transports import http_errors, mcp_client, nix, peer, python, requests
from interlock.engine.io.transports.exec import ExecSettings, ExecTransport
from interlock.engine.io.transports.http import HttpSettings, HttpTransport
from interlock.engine.io.transports.nix import NixSettings, NixTransport
from interlock.engine.io.transports.python import PythonFunctions, PythonTransport
from interlock.engine.io.transports.requests import local_secret


def _exec(services: Services) -> ExecTransport:
    return ExecTransport(services.get(ExecSettings), local_secret)


def _http(services: Services) -> HttpTransport:
    return HttpTransport(services.get(HttpSettings), local_secret)


def _nix(services: Services) -> NixTransport:
    return NixTransport(services.get(NixSettings))


def _python(services: Services) -> PythonTransport:
    return PythonTransport(services.get(PythonFunctions))


TRANSPORTS: Final = (
    TransportFactory("exec", _exec),
    TransportFactory("http", _http),
    TransportFactory("nix.exec", _nix),
    TransportFactory("python", _python),
)
SETTINGS: Final = (
    SettingsSection("exec", ExecSettings),
    SettingsSection("http", HttpSettings),
    SettingsSection("nix", NixSettings),
)
ERRORS: Final[tuple[ErrorCode, ...]] = (
    *requests.ERRORS,
    *programs.ERRORS,
    *http_errors.ERRORS,
    *mcp_client.ERRORS,
    *nix.ERRORS,
    *peer.ERRORS,
    *python.ERRORS,
)
