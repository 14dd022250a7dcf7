"""Error codes of the demonstration."""

from interlock.base.errors import Category, ErrorCode

DEMO_FOLDER_TAKEN = ErrorCode(
    "demo_folder_taken", Category.CONFLICT, "Name a folder that is empty, absent, or an earlier demonstration's."
)
DEMO_FOLDER_UNWRITABLE = ErrorCode(
    "demo_folder_unwritable", Category.STORAGE, "Name a folder that can be written with --folder."
)
DEMO_PROJECT_INVALID = ErrorCode(
    "demo_project_invalid",
    Category.INVALID,
    "Name the folder of a Python project that is tracked by git and can be built here, or mend what the message names.",
)
DEMO_CLAIM_FAILED = ErrorCode(
    "demo_claim_failed", Category.FAILED, "Report this with the folder of the demonstration: it is a defect."
)
ERRORS = (DEMO_FOLDER_TAKEN, DEMO_FOLDER_UNWRITABLE, DEMO_PROJECT_INVALID, DEMO_CLAIM_FAILED)
