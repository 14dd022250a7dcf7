"""What is taken for a secret and what is not, in both directions.

The canaries are written in pieces, so that no scanner of repositories takes this file for a leak.
"""

from __future__ import annotations

import base64

import pytest

from interlock.base.canonical import Json, canonical
from interlock.base.errors import Invalid
from interlock.base.secret_scan import find_secret, redact_error_message, refuse_secrets, scan_bytes

RANDOM = "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bD1fG3hJ5"
JWT = "eyJhbGciOiJFZERTQSJ9" + ".eyJzdWIiOiJhZGEifQ" + ".c2lnbmF0dXJlLW9mLWl0LWFsbA"
MNEMONIC = "legal winner thank year wave sausage worth useful legal winner thank yellow"
DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
USER_PASSWORD = base64.b64encode(b"ada:analytical").decode()

TEXTS: dict[str, str] = {
    "private_key": "-----BEGIN " + "EC PRIVATE KEY-----\nMHcCAQEE",
    "access_key_id": "key id AKIA" + "IOSFODNN7ABCDEFG.",
    "json_web_token": f"token={JWT}",
    "vendor_token": "ghp" + "_" + RANDOM,
    "bearer": f"Authorization: Bearer {RANDOM}",
    "basic": f"authorization: basic {USER_PASSWORD}",
    "url_password": "postgres://ada:" + "analytical@db.internal/main",
    "assignment": "export API_KEY=" + "s3cr3tvalue",
    "mnemonic": f"your seed phrase: {MNEMONIC}",
}

VENDOR_TOKENS = [
    "github" + "_pat_" + RANDOM,
    "glpat" + "-" + RANDOM,
    "xoxb" + "-123456789012",
    "sk" + "_live_" + RANDOM,
    "AIza" + "Sy" + RANDOM[:33],
    "npm" + "_" + RANDOM,
    "hf" + "_" + RANDOM,
    "hvs" + "." + RANDOM,
    "sk" + "-proj-" + RANDOM,
    "SG" + "." + RANDOM[:22] + "." + RANDOM,
    "AGE" + "-SECRET-KEY-1" + "QPZRY9X8GF2TVDW0S3JN" * 3,
]

NAMED: list[Json] = [
    {"password": "hunter2"},
    {"dbPassword": "hunter2"},
    {"PASSWORD_2": "hunter2"},
    {"passwords": ["hunter2"]},
    {"pwd": "x"},
    {"passphrase": "correct horse battery staple"},
    {"mnemonic": MNEMONIC},
    {"seed": MNEMONIC},
    {"seedPhrase": "legal winner"},
    {"private_key": DIGEST},
    {"privateKey": "x"},
    {"X-Api-Key": "x"},
    {"apikey": DIGEST},
    {"client-secret": "x"},
    {"aws_secret_access_key": "x"},
    {"refresh_token": "x"},
    {"authorization": "granted to ada"},
    {"Proxy-Authorization": "Custom x"},
    {"token": RANDOM},
    {"secret": RANDOM},
    {"cookie": RANDOM},
    {"headers": [{"name": "Authorization", "value": "x"}]},
    {"env": [{"key": "DB_PASSWORD", "value": "x"}]},
    {"argv": ["--user", "ada", "--password", "x"]},
]

HARMLESS: list[Json] = [
    {"password": None},
    {"password": True},
    {"password": ""},
    {"password": "env:DB_PASSWORD"},
    {"password": "file:/run/secrets/db"},
    {"password": "${DB_PASSWORD}"},
    {"password": "{{ vault.db }}"},
    {"password": "<your password>"},
    {"password": "********"},
    {"password": "[redacted]"},
    {"password": "sha256:" + DIGEST},
    {"password": {"type": "string", "description": "at least 12 characters"}},
    {"authorization": "Bearer ${TOKEN}"},
    {"authorization": DIGEST},
    {"authorization": {"secret": "env:API_TOKEN", "prefix": "Bearer "}},
    {"authorization_url": "https://example.com/authorize"},
    {"password_policy": "strict"},
    {"private_key_path": "/etc/ssl/key.pem"},
    {"token": DIGEST},
    {"token": "0b0c7a52-4a4e-4b1c-9d4c-7a1b2c3d4e5f"},
    {"token": "wait for the review"},
    {"next_page_token": "c1." + RANDOM},
    {"max_tokens": 4096},
    {"tokens": ["the", "quick", "brown", "fox"]},
    {"secret": "it is none"},
    {"secret_name": "db"},
    {"seed": "42"},
    {"seed": "the plants will grow from one seed that was sown last spring"},
    {"public_key": "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA"},
    {"certificate": "-----BEGIN CERTIFICATE-----\nMIIB"},
    {"compass": "north", "bypass": "yes", "keyboard": "qwerty", "monkey": "see"},
    "the bearer of this letter is asked for authorization at the desk by the door",
    "an authorization, once given, stands until it is taken back by its giver",
    "bearer authentication is the usual scheme, basic authentication an older one",
    "ada@example.com wrote https://example.com:8443/a?b=c#d",
    "git@github.com:acme/widget.git and ssh://git@example.com/acme/widget.git",
    "postgres://ada:${DB_PASSWORD}@db.internal/main",
    "password: required, at least twelve letters; see the password policy",
    "the mnemonic: every good boy does fine and many such lines help for ever",
    "seed phrase is what people call the dozen words from which their wallet can be made again",
    "risk-free task-force disk-image_of_the_year_two_thousand",
    "sha512-" + "A" * 86 + "==",
    DIGEST,
    "AKIA is a prefix; asia-east1 is a region; eyJ begins a token",
]


@pytest.mark.parametrize("kind", TEXTS)
def test_a_secret_is_found_by_its_shape_whatever_its_name(kind: str) -> None:
    for value in (TEXTS[kind], {"note": f"before {TEXTS[kind]}"}, {TEXTS[kind]: 1}, [0, TEXTS[kind]]):
        finding = scan_bytes(canonical(value))

        assert finding is not None
        assert finding.kind == kind


@pytest.mark.parametrize("text", VENDOR_TOKENS, ids=lambda text: text[:6])
def test_tokens_of_well_known_vendors_are_found(text: str) -> None:
    finding = find_secret(["--header", f"x: {text}"])

    assert finding is not None
    assert finding.kind == "vendor_token"
    assert find_secret(f"a{text}") is None, "a token begins at the start of a word"


@pytest.mark.parametrize("value", NAMED, ids=str)
def test_a_secret_is_found_by_its_name(value: Json) -> None:
    finding = scan_bytes(canonical(value))

    assert finding is not None
    assert finding.kind == "secret_name"


@pytest.mark.parametrize("value", HARMLESS, ids=lambda value: str(value)[:50])
def test_what_is_no_secret_passes(value: Json) -> None:
    assert find_secret(value) is None
    assert scan_bytes(canonical(value)) is None


def test_the_refusal_names_the_place_and_the_kind_and_never_the_value() -> None:
    content = canonical({"a/b": [{"~": "clean"}, {"deep~er": {"db_password": "hunter2"}}]})
    with pytest.raises(Invalid) as caught:
        refuse_secrets(content, "the input")

    assert caught.value.code == "secrets_detected"
    assert caught.value.details == {"pointer": "/a~1b/1/deep~0er/db_password", "kind": "secret_name"}
    assert "the input" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_key_that_is_a_secret_is_not_named() -> None:
    key = "ghp" + "_" + RANDOM
    with pytest.raises(Invalid) as caught:
        refuse_secrets(canonical({"headers": {key: "x"}}), "the input")

    assert caught.value.details["pointer"] == "/headers/*"
    assert RANDOM not in str(caught.value)


def test_a_clean_value_is_not_refused() -> None:
    refuse_secrets(canonical({"note": "all is well"}), "the input")


def test_what_is_not_json_is_searched_as_one_text() -> None:
    refuse_secrets(b"token:page-7", "the fact key")
    refuse_secrets(b"\xff token", "the fact key")
    with pytest.raises(Invalid):
        refuse_secrets(TEXTS["vendor_token"].encode(), "the fact key")


def test_a_secret_at_the_root_has_a_place_too() -> None:
    with pytest.raises(Invalid, match="at / "):
        refuse_secrets(canonical(TEXTS["bearer"]), "the fact")


def test_an_error_message_that_holds_a_secret_is_replaced_whole() -> None:
    assert redact_error_message(f"401 for {TEXTS['bearer']}") == "error details redacted"
    assert redact_error_message("authorization failed for ada") == "authorization failed for ada"
