"""Finding the plan of a run: registered by the application, named as MODULE:PLAN, or a document that the run keeps.

What it does: keeps plans by operation and version, loads one from a module, a Python file or a document that the local
user names, and makes that of a document anew from the bytes in the store. What it does not do: it never guesses; what
a run's history names is loaded only as a plan, and is accepted only with the fingerprint that the history records.

Rule: importing a module runs its code, so a source is followed only where the caller acts for the user of this machine
(docs/threats.md, T3). A plan of a document is found by its fingerprint: two documents may share name and version.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import logging
import re
import sys
from collections import OrderedDict
from pathlib import Path
from types import ModuleType, TracebackType

from interlock.base.errors import InterlockError
from interlock.base.ids import shown
from interlock.engine.authoring import Plan
from interlock.engine.document.lint import Linter
from interlock.engine.document.plans import is_document, load_document, plan_of_outline
from interlock.engine.document.reading import SUFFIXES
from interlock.engine.document.source import document_path
from interlock.engine.errors import PLAN_IMPORT_FAILED, PLAN_INVALID, PLAN_NOT_FOUND, place_of
from interlock.engine.plan import ExecutionPlan
from interlock.engine.run_state import RunState
from interlock.engine.steps.call import StepHandlers
from interlock.journal.ports import Artifacts

DOCUMENTS_KEPT_MAX = 256
"""Plans of documents that are kept ready; others are made anew when they are needed."""

_LOG = logging.getLogger("interlock.plans")
_SOURCE = re.compile(r"\A(?P<where>[^:\x00]{1,4000}):(?P<name>[A-Za-z_][A-Za-z0-9_.]{0,200})\Z")


class Plans:
    """The plans that an application knows."""

    def __init__(self, handlers: StepHandlers | None = None, *, children_anywhere: bool = False) -> None:
        self.handlers = StepHandlers() if handlers is None else handlers
        self.linter = Linter(self.handlers, anywhere=children_anywhere)
        self._known: dict[tuple[str, str], ExecutionPlan] = {}
        self._documents: OrderedDict[tuple[str, str], ExecutionPlan] = OrderedDict()

    def add(self, plan: Plan | ExecutionPlan) -> ExecutionPlan:
        """Register a plan under its operation and version; the latest wins. Raises: `plan_invalid`."""
        if not isinstance(plan, (Plan, ExecutionPlan)):
            raise PLAN_INVALID.error(f"a plan is expected, not a {type(plan).__name__}", reason="not_a_plan")
        built = plan.build() if isinstance(plan, Plan) else plan
        path = None if built.document is None else document_path(built.document.source)
        if path is not None:
            return self._keep(path, built)
        self._known[built.op_id, built.version] = built
        return built

    def load(self, source: str) -> ExecutionPlan:
        """The plan that `MODULE:PLAN`, `file.py:PLAN` or a document's file names.

        Raises: as `load_plan`; `document_invalid`.
        """
        return load_document(source, self.linter, self.handlers) if is_document(source) else load_plan(source)

    def known(self, op_id: str, version: str) -> ExecutionPlan | None:
        """The registered plan, if there is one."""
        return self._known.get((op_id, version))

    async def of_run(self, state: RunState, artifacts: Artifacts) -> ExecutionPlan:
        """The plan of a run, which of a document is made of the bytes that the run keeps.

        Raises: `plan_not_found`, `document_unreadable`, `step_handler_missing`; storage errors.
        """
        path = document_path(state.plan_source)
        if path is None:
            return self.find(state.op_id, state.plan_version, state.plan_source)
        known = self._documents.get((state.fingerprint, path))
        if known is not None:
            return known
        [outline] = await artifacts.get([state.fingerprint])
        return self._keep(path, plan_of_outline(outline, path, self.handlers))

    def find(self, op_id: str, version: str, source: str | None) -> ExecutionPlan:
        """The plan that a run's history names and that is no document. Raises: `plan_not_found`."""
        known = self._known.get((op_id, version))
        if known is not None:
            return known
        if source is None:
            raise PLAN_NOT_FOUND.error(f"no plan {op_id} version {version} is registered", op_id=op_id)
        return self.add(load_plan(source))

    def _keep(self, path: str, plan: ExecutionPlan) -> ExecutionPlan:
        self._documents[plan.fingerprint, path] = plan
        while len(self._documents) > DOCUMENTS_KEPT_MAX:
            self._documents.popitem(last=False)
        return plan


def named_source(plan: ExecutionPlan, source: str | None) -> str | None:
    """How a run names its plan: as its caller did, and a document by the bytes that the run keeps."""
    return source if plan.document is None else plan.document.source


def absolute_source(source: str) -> str:
    """The same source, with a file named by its whole path, so that it is found again from any folder."""
    if document_path(source) is not None:
        return source
    where, _, name = source.rpartition(":")
    return f"{Path(where).resolve()}:{name}" if where.endswith(".py") else source


def source_of(plan: Plan | ExecutionPlan, beside: str) -> str | None:
    """How a plan is named that stands in the same module or file as the source `beside`; None where it does not."""
    where = beside.rpartition(":")[0]
    name = _file_module(Path(where)) if where.endswith(".py") else where
    members = vars(sys.modules.get(name)) if name in sys.modules else {}
    found = next((member for member, value in members.items() if value is plan), None)
    return None if found is None else f"{where}:{found}"


def source_folder(source: str) -> str | None:
    """The folder of the code that a source names, once it is loaded, or of a document."""
    path = document_path(source)
    if path is not None:
        return str(Path(path).parent)
    where = source.rpartition(":")[0]
    if where.endswith(".py"):
        return str(Path(where).resolve().parent)
    file = getattr(sys.modules.get(where), "__file__", None)
    return None if file is None else str(Path(file).parent)


def load_plan(source: str) -> ExecutionPlan:
    """The plan that `MODULE:NAME` or `path/to/file.py:NAME` names. Side effect: imports that module.

    Raises: `plan_not_found` if there is no such module or plan; `plan_import_failed` if its code fails;
    `plan_invalid`.
    """
    match = _SOURCE.match(source)
    if match is None or not _is_place(match["where"]):
        raise _unnamed(source)
    where, name = match["where"], match["name"]
    module = _module(where)
    found: object = module
    for attribute in name.split("."):
        found = getattr(found, attribute, None)
    if isinstance(found, Plan):
        return found.build()
    if isinstance(found, ExecutionPlan):
        return found
    known = _plans_in(module)
    has = f"; it has {', '.join(known[:5])}" if known else ""
    raise PLAN_NOT_FOUND.error(f"{shown(where, 200)} has no plan named {name}{has}", source=shown(source, 200))


def _unnamed(source: str) -> InterlockError:
    """The error of a source that names no plan, with what it could name. Side effect: as `load_plan`, of a file."""
    name = shown(source, 200)
    if source.endswith(".py") and "\0" not in source:
        known = [f"{name}:{each}" for each in _plans_in(_module(source))]
        has = f"say which of its plans: {', '.join(known[:5])}" if known else f"{name} has no plan"
        return PLAN_NOT_FOUND.error(f"{name} is a file: {has}" if known else has, source=name)
    near = next((f"{name}{ending}" for ending in (*SUFFIXES, ".py") if _is_file(source + ending)), None)
    hint = "" if near is None else f"; did you mean {near}{':PLAN' if near.endswith('.py') else ''}?"
    return PLAN_NOT_FOUND.error(
        f"{name} is not of the form MODULE:PLAN, file.py:PLAN or plan.yaml (a document){hint}", source=name
    )


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):
        return False


def _plans_in(module: ModuleType) -> list[str]:
    return [each for each, value in vars(module).items() if isinstance(value, (Plan, ExecutionPlan))]


def _is_place(where: str) -> bool:
    """Whether a source names a file of Python, or a module by its whole name."""
    return where.endswith(".py") or all(part.isidentifier() for part in where.split("."))


def _module(where: str) -> ModuleType:
    """The module of a source. What its code raises is shown on the log, with its place, and never in the error."""
    try:
        if where.endswith(".py"):
            return _module_from_file(Path(where).resolve())
        _import_from(Path.cwd())
        return importlib.import_module(where)
    except InterlockError:
        raise
    except ModuleNotFoundError as fault:
        if fault.name is not None and where.startswith(fault.name):
            raise PLAN_NOT_FOUND.error(f"there is no module {shown(fault.name)}", module=shown(fault.name)) from fault
        raise _import_failed(where, fault) from fault
    except (Exception, SystemExit) as fault:
        raise _import_failed(where, fault) from fault


def _import_failed(where: str, fault: BaseException) -> InterlockError:
    _LOG.error("the code of a plan failed", exc_info=(type(fault), fault, _frames_of_plan(fault)))
    place = place_of(fault).removeprefix(" at ")
    if isinstance(fault, SyntaxError):  # it was raised by the compiler, and says itself where the fault stands
        place = f"{Path(fault.filename or where).name}:{fault.lineno}" if fault.lineno else Path(where).name
    return PLAN_IMPORT_FAILED.error(
        f"{shown(where, 200)} cannot be imported: {type(fault).__name__} at {place}", place=place
    )


def _frames_of_plan(fault: BaseException) -> TracebackType | None:
    """The trace without its beginning in this file and in the machinery of imports; None where nothing is left."""
    trace = fault.__traceback__
    while trace is not None and _is_machinery(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    return trace


def _is_machinery(file: str) -> bool:
    return file in (__file__, importlib.__file__) or file.startswith("<frozen importlib")


def _import_from(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _file_module(path: Path) -> str:
    """The name under which the module of a file is kept."""
    return f"_interlock_plan_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"


def _module_from_file(path: Path) -> ModuleType:
    """The module of a file: its own name for each path, its siblings importable, nothing left behind if it fails."""
    name = _file_module(path)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise PLAN_NOT_FOUND.error(f"there is no file {path.name}", file=path.name)
    _import_from(path.parent)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
