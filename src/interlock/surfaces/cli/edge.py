"""Where the command line stands: which store it means, and who is asking.

What it does: finds the default store, says where it was looked for if there is none, makes the folder that it needs,
and makes the principal of the person at this machine. What it does not do: it opens nothing, and makes no folder for a
store that is named.

Rules: a store that is named is taken as named; else the nearest folder upwards that holds `.interlock`
decides, like the repository of a version control system; else the working directory. The person is who the
operating system says, not who the environment claims.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

from interlock.base.errors import InterlockError
from interlock.base.principal import Principal, local_principal
from interlock.journal.errors import STORE_NOT_FOUND, STORE_UNWRITABLE
from interlock.journal.store_name import StoreName, store_name

STORE_FOLDER = ".interlock"
STORE_FILE = "store.db"
STORES_NAMED_MAX = 3
"""Stores that are named where none was found in its place."""


def store_path(named: str | None, folder: Path) -> StoreName:
    """The store that is meant: `named`, or the default seen from `folder`."""
    if named:
        return store_name(named)
    return (store_home(folder) or folder / STORE_FOLDER) / STORE_FILE


def store_home(folder: Path) -> Path | None:
    """The nearest `.interlock` upwards of `folder`, or None."""
    places = (place / STORE_FOLDER for place in (folder, *folder.parents))
    return next((place for place in places if place.is_dir()), None)


@contextmanager
def looked_for(store: StoreName, folder: Path, *, named: bool) -> Iterator[None]:
    """Whoever named no store is told where one was looked for, and which stores stand beside that place.

    Raises: `store_not_found`, and whatever is raised within.
    """
    try:
        yield
    except InterlockError as fault:
        if named or fault.kind is not STORE_NOT_FOUND or not isinstance(store, Path):
            raise
        home = store.parent
        where = "the nearest .interlock upwards" if home.is_dir() else f"no .interlock in {folder} or above it"
        others = sorted(islice(home.glob(f"*/{STORE_FILE}"), STORES_NAMED_MAX))
        more = f"; there is {', '.join(map(str, others))}" if others else ""
        raise STORE_NOT_FOUND.error(f"{fault.message} ({where}){more}", **fault.details) from None


@contextmanager
def folder_of(store: Path) -> Iterator[None]:
    """The folder of a default store while it is in use; one that was made for nothing goes again.

    Raises: `store_unwritable`.
    """
    try:
        store.parent.mkdir(mode=0o700, exist_ok=True)
    except OSError as fault:
        raise STORE_UNWRITABLE.error(f"no folder {STORE_FOLDER} can be made: {fault.strerror}") from None
    try:
        yield
    finally:
        with suppress(OSError):
            store.parent.rmdir()  # only an empty folder can be removed


@contextmanager
def folder_if_default(store: StoreName) -> Iterator[None]:
    """As `folder_of`, where a store stands in the folder of default stores; nothing for any other. Raises: the same."""
    if isinstance(store, Path) and store.parent.name == STORE_FOLDER:
        with folder_of(store):
            yield
    else:
        yield


def person() -> Principal:
    """The principal `local:<user>` of whoever runs this process."""
    return local_principal(_user())


def _user() -> str:
    import pwd

    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:  # a container may run under a number that has no name
        return f"uid-{number}"
