"""Error codes of access: what somebody may not do, and what is wrong with a declaration or a token.

It raises nothing itself. A message names what was asked for, and never who may do it or what a token holds.
"""

from interlock.base.errors import Category, ErrorCode

PERMISSION_DENIED = ErrorCode(
    "permission_denied",
    Category.REFUSED,
    "Ask whoever administers the tenant for a role with this permission; `principal show` lists those that you have.",
)
PRINCIPAL_UNKNOWN = ErrorCode(
    "principal_unknown", Category.REFUSED, "Name a principal that the section `access` of the settings declares."
)
ACCESS_UNSOUND = ErrorCode(
    "access_unsound", Category.INVALID, "Correct the section `access` of the settings at the place that is named."
)
ROLE_UNKNOWN = ErrorCode("role_unknown", Category.NOT_FOUND, "Name a role that `role list` shows.")
GROUP_UNKNOWN = ErrorCode(
    "group_unknown", Category.NOT_FOUND, "Name a group that the section `access` of the settings declares."
)
TENANT_NOT_FOUND = ErrorCode("tenant_not_found", Category.NOT_FOUND, "Name a tenant that `tenant list` shows.")
TOKEN_INVALID = ErrorCode(
    "token_invalid", Category.REFUSED, "Use a token that is whole, has not expired and was not revoked."
)
TOKEN_UNSOUND = ErrorCode("token_unsound", Category.INVALID, "Correct the value at the place named.")
TOKEN_EXCEEDS = ErrorCode(
    "token_exceeds",
    Category.REFUSED,
    "Give it roles whose permissions you have, or let an administrator make it.",
)
TOKEN_OUTLIVES = ErrorCode(
    "token_outlives",
    Category.REFUSED,
    "Ask for less, or for no time at all: it ends with its maker's token then; or let an administrator make it.",
)
TOKEN_GENERATIONS = ErrorCode(
    "token_generations",
    Category.REFUSED,
    "Make it with a token that fewer tokens stand behind, or let an administrator make it.",
)
TOKEN_NOT_FOUND = ErrorCode("token_not_found", Category.NOT_FOUND, "Name the id of a token that `token list` shows.")

ERRORS = (
    PERMISSION_DENIED,
    PRINCIPAL_UNKNOWN,
    ACCESS_UNSOUND,
    ROLE_UNKNOWN,
    GROUP_UNKNOWN,
    TENANT_NOT_FOUND,
    TOKEN_INVALID,
    TOKEN_UNSOUND,
    TOKEN_EXCEEDS,
    TOKEN_OUTLIVES,
    TOKEN_GENERATIONS,
    TOKEN_NOT_FOUND,
)
