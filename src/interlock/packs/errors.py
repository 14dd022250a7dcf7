"""Error codes of packs and of the keys that sign them.

What it does: declares each code once, with what to do next. What it does not do: it raises nothing.

Rule: a verification raises none of the codes about content; they stand in its list of errors.
"""

from interlock.base.errors import Category, ErrorCode

PACK_NOT_FOUND = ErrorCode("pack_not_found", Category.NOT_FOUND, "Name the file of a pack, or its unpacked folder.")
PACK_UNREADABLE = ErrorCode("pack_unreadable", Category.STORAGE, "Check the permissions, then try again.")
PACK_EXISTS = ErrorCode("pack_exists", Category.CONFLICT, "Name another file, or replace it with --force.")
PACK_SIGNED = ErrorCode(
    "pack_signed", Category.CONFLICT, "Keep that signature, or replace it with --force: a pack has one."
)
PACK_UNWRITABLE = ErrorCode(
    "pack_unwritable", Category.STORAGE, "Check the folder, its permissions and its free space."
)
PACK_PLACE_REFUSED = ErrorCode(
    "pack_place_refused", Category.REFUSED, "Export on the machine where the file is to stand, as its user."
)
PACK_WITHHELD = ErrorCode(
    "pack_withheld",
    Category.REFUSED,
    "Have it exported where the store is, or let everybody see raw values of evidence in `[gates.evidence]`.",
)
PACK_SCENARIO_NEEDED = ErrorCode(
    "pack_scenario_needed", Category.INVALID, "Give the scenario that the run is of: `--scenario ID`."
)
PACK_TOO_LARGE = ErrorCode(
    "pack_too_large", Category.INVALID, "Leave child runs out with --without-children, and export them one by one."
)
PACK_STORE_DAMAGED = ErrorCode(
    "pack_store_damaged", Category.CORRUPT, "Run `interlock doctor`, and restore a backup: no pack was written."
)
PACK_CONTAINER_INVALID = ErrorCode(
    "pack_container_invalid", Category.CORRUPT, "Ask for the pack again: these bytes are not a canonical container."
)
PACK_CONTENT_INVALID = ErrorCode(
    "pack_content_invalid", Category.CORRUPT, "Do not rely on it: no version wrote what stands there."
)
PACK_FROM_FUTURE = ErrorCode(
    "pack_from_future", Category.CORRUPT, "A newer version wrote this pack: verify it with that version."
)
PACK_MANIFEST_INVALID = ErrorCode(
    "pack_manifest_invalid", Category.CORRUPT, "Ask for the pack again: its manifest is not canonical."
)
PACK_MANIFEST_WRONG = ErrorCode(
    "pack_manifest_wrong", Category.CORRUPT, "Do not rely on it: the manifest says something else than the events."
)
PACK_MEMBER_MISSING = ErrorCode(
    "pack_member_missing", Category.CORRUPT, "Ask for the pack again: something was taken out of it."
)
PACK_MEMBER_EXTRA = ErrorCode(
    "pack_member_extra", Category.CORRUPT, "Ask for the pack again: something was put into it."
)
PACK_MEMBER_WRONG = ErrorCode(
    "pack_member_wrong", Category.CORRUPT, "Ask for the pack again: a member differs from its digest."
)
PACK_VIEW_WRONG = ErrorCode(
    "pack_view_wrong", Category.CORRUPT, "Do not rely on it: the view shows something else than the events."
)
PACK_LINK_WRONG = ErrorCode(
    "pack_link_wrong", Category.CORRUPT, "Do not rely on it: parent, child and inbox do not fit each other."
)
PACK_FACT_WRONG = ErrorCode(
    "pack_fact_wrong", Category.CORRUPT, "Do not rely on it: a fact does not answer the effect that was intended."
)
PACK_UNSIGNED = ErrorCode("pack_unsigned", Category.REFUSED, "Ask for the signature, which stands beside a pack.")
PACK_SIGNER_UNTRUSTED = ErrorCode(
    "pack_signer_untrusted", Category.REFUSED, "Find out whose key it is before you add it to those you trust."
)
PACK_SIGNATURE_INVALID = ErrorCode(
    "pack_signature_invalid", Category.CORRUPT, "Do not rely on it: the signature is not one of this pack."
)
KEY_NOT_FOUND = ErrorCode(
    "key_not_found", Category.NOT_FOUND, "Make a key with `interlock key new`, or name another file."
)
TRUSTED_KEY_NOT_FOUND = ErrorCode(
    "trusted_key_not_found",
    Category.NOT_FOUND,
    "Name the file of the signer's public key, or its id; ask the signer for it by a way that you trust.",
)
KEY_INVALID = ErrorCode(
    "key_invalid", Category.INVALID, "Sign with a private Ed25519 key in PEM; trust its public key, or the id of it."
)
KEY_EXPOSED = ErrorCode("key_exposed", Category.REFUSED, "Let nobody else read it: chmod 600, and consider a new key.")
KEY_EXISTS = ErrorCode("key_exists", Category.CONFLICT, "Name another file: a key is never written over.")
RUNPACK_SCENARIO_WRONG = ErrorCode(
    "runpack_scenario_wrong", Category.CORRUPT, "Do not rely on it: its scenario is not the one that the run was of."
)
RUNPACK_TOO_LARGE = ErrorCode(
    "runpack_too_large", Category.INVALID, "Export the run with `interlock pack export`, whose members may be larger."
)
RUNPACK_TIME_INVALID = ErrorCode(
    "runpack_time_invalid", Category.INVALID, "Give a time of RFC 3339, milliseconds since 1970, or `logical:<number>`."
)
RUNPACK_SEQUENCE_WRONG = ErrorCode(
    "runpack_sequence_wrong", Category.CORRUPT, "Do not rely on it: the records of its logs do not follow each other."
)
RUNPACK_EVIDENCE_WRONG = ErrorCode(
    "runpack_evidence_wrong", Category.CORRUPT, "Do not rely on it: evidence is not what it is recorded to be."
)
RUNPACK_GATE_WRONG = ErrorCode(
    "runpack_gate_wrong", Category.CORRUPT, "Do not rely on it: a gate is not what its evidence makes it."
)
RUNPACK_DECISION_WRONG = ErrorCode(
    "runpack_decision_wrong", Category.CORRUPT, "Do not rely on it: a decision does not follow from its gates."
)
RUNPACK_PACKET_WRONG = ErrorCode(
    "runpack_packet_wrong",
    Category.CORRUPT,
    "Do not rely on it: a packet is not what its scenario and decision make it.",
)
RUNPACK_SUBMISSION_WRONG = ErrorCode(
    "runpack_submission_wrong", Category.CORRUPT, "Do not rely on it: what was handed in is not what its digest says."
)
RUNPACK_CALL_WRONG = ErrorCode(
    "runpack_call_wrong", Category.CORRUPT, "Do not rely on it: a call is recorded with another request or answer."
)

ERRORS = (
    PACK_NOT_FOUND,
    PACK_UNREADABLE,
    PACK_EXISTS,
    PACK_SIGNED,
    PACK_UNWRITABLE,
    PACK_PLACE_REFUSED,
    PACK_WITHHELD,
    PACK_SCENARIO_NEEDED,
    PACK_TOO_LARGE,
    PACK_STORE_DAMAGED,
    PACK_CONTAINER_INVALID,
    PACK_CONTENT_INVALID,
    PACK_FROM_FUTURE,
    PACK_MANIFEST_INVALID,
    PACK_MANIFEST_WRONG,
    PACK_MEMBER_MISSING,
    PACK_MEMBER_EXTRA,
    PACK_MEMBER_WRONG,
    PACK_VIEW_WRONG,
    PACK_LINK_WRONG,
    PACK_FACT_WRONG,
    PACK_UNSIGNED,
    PACK_SIGNER_UNTRUSTED,
    PACK_SIGNATURE_INVALID,
    KEY_NOT_FOUND,
    TRUSTED_KEY_NOT_FOUND,
    KEY_INVALID,
    KEY_EXPOSED,
    KEY_EXISTS,
    RUNPACK_SCENARIO_WRONG,
    RUNPACK_TOO_LARGE,
    RUNPACK_TIME_INVALID,
    RUNPACK_SEQUENCE_WRONG,
    RUNPACK_EVIDENCE_WRONG,
    RUNPACK_GATE_WRONG,
    RUNPACK_DECISION_WRONG,
    RUNPACK_PACKET_WRONG,
    RUNPACK_SUBMISSION_WRONG,
    RUNPACK_CALL_WRONG,
)
