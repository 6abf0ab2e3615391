"""What counts as personal data or a secret, and what only looks like it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santral.guardrails.entities.checksums import is_card, is_luhn, is_tckn
from santral.guardrails.entities.iban import is_iban

Mask = Callable[[str], str]
JWT = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA1234567890abcdef\nabc=\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Write to ali@example.com.", "Write to [EMAIL_1]."),
        ("ali@example.com'a yazın, ALI@EXAMPLE.COM", "[EMAIL_1]'a yazın, [EMAIL_1]"),
        ("a+b_c%d@sub.example.co.uk,", "[EMAIL_1],"),
        ("şule@örnek.com.tr'den", "[EMAIL_1]'den"),
        ("0532 123 45 67'yi ara", "[PHONE_1]'yi ara"),
        ("05321234567 ya da +90 532 123 45 67", "[PHONE_1] ya da [PHONE_1]"),
        ("(0212) 345 67 89", "[PHONE_1]"),
        ("0(532)123-45-67", "[PHONE_1]"),
        ("call +1 (415) 555-2671 now", "call [PHONE_1] now"),
        ("415-555-2671", "[PHONE_1]"),
        (r"Fax\n0532 123 45 67\n", r"Fax\n[PHONE_1]\n"),
        ("+44 20 7946 0958", "[PHONE_1]"),
        ("0049 30 901820", "[PHONE_1]"),
        ("4111 1111 1111 1111 12/27", "[CARD_1] 12/27"),
        ("4111-1111-1111-1111 4111111111111111", "[CARD_1] [CARD_1]"),
        ("2223003122003222, 378282246310005", "[CARD_1], [CARD_2]"),
        ("TROY 9792 0300 0000 0000", "TROY [CARD_1]"),
        ("T.C. 10000000146'dır", "T.C. [TCKN_1]'dır"),
        ("100 000 001 46 - 10.000.000.146", "[TCKN_1] - [TCKN_1]"),
        ("1 0 0 0 0 0 0 0 1 4 6", "[TCKN_1]"),
        ("TR33 0006 1005 1978 6457 8413 26", "[IBAN_1]"),
        ("tr330006100519786457841326 GB29 NWBK 6016 1331 9268 19", "[IBAN_1] [IBAN_2]"),
        ("ａｌｉ＠ｅｘａｍｐｌｅ．ｃｏｍ", "[EMAIL_1]"),
        ("a\u200bli@exam\u200bple.com", "[EMAIL_1]"),
        ("аli@exаmple.com", "[EMAIL_1]"),
        ("４１１１ １１１１ １１１１ １１１１", "[CARD_1]"),
        ("٤١١١١١١١١١١١١١١١", "[CARD_1]"),
        ("sk-proj-abcdefghij1234567890XYZ", "[API_KEY_1]"),
        ("sk-ant-api03-abcdefghijklmnopqrst1", "[API_KEY_1]"),
        ("AKIAIOSFODNN7EXAMPLE", "[API_KEY_1]"),
        ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "[API_KEY_1]"),
        ("xoxb-123456789012-abcdefghij", "[API_KEY_1]"),
        ("AIzaSyA1234567890abcdefghijklmnopqrstuvw", "[API_KEY_1]"),
        ("hf_abcdefghijklmnopqrstuvwxyzABCDEF12", "[API_KEY_1]"),
        ("sk_live_abcdefghijklmnop1234", "[API_KEY_1]"),
        (f"token {JWT} end", "token [JWT_1] end"),
        (f"before\n{PEM}\nafter", "before\n[PRIVATE_KEY_1]\nafter"),
        ("Authorization: Bearer abcdef0123456789abcdef", "Authorization: Bearer [TOKEN_1]"),
        ("password=hunter2! next", "password=[PASSWORD_1] next"),
        ("şifre: gizli123", "şifre: [PASSWORD_1]"),
        ('{"api_key": "abcd1234efgh"}', '{"api_key": "[SECRET_1]"}'),
        ("postgres://u:p4s!s@h/db", "postgres://u:[PASSWORD_1]@h/db"),
        ("my password is tr0ub4dor", "my password is [PASSWORD_1]"),
        ("a@b.co 4111111111111111 a@b.co c@d.co", "[EMAIL_1] [CARD_1] [EMAIL_1] [EMAIL_2]"),
    ],
)
def test_a_value_is_masked_however_it_is_written(text: str, masked: str, mask: Mask) -> None:
    assert mask(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "2024-11-22 10:30:15",
        "born 02/12/1994, 06.03.1958",
        "1700000000000 ms since the epoch",
        "123e4567-e89b-12d3-a456-426614174000",
        "commit 9b0f8c5d2a7e4f1b3c6d8e0a1f2b4c6d8e0f1a2b",
        "pi is 3.1415926535897932",
        "0.4111111111111111",
        "10000000147",  # checksum wrong
        "4111111111111112",  # Luhn wrong
        "TR330006100519786457841327",  # mod-97 wrong
        "1111111111111111",
        "order 1234567890",
        "1 2 3 4 5 6 7 8 9 10 11 12",
        "1234 5678 9012 3456 7890",
        "v1.2.3.4 and 192.168.10.20",
        "sk-learn-tutorial-for-beginners",
        "password = os.environ['X']",
        "password = getpass.getpass()",
        "şifremi unuttum, nasıl sıfırlarım?",
        "the password field is required",
        "max_tokens: 4096",
        "-----BEGIN CERTIFICATE-----",
        "a PEM file starts with -----BEGIN PRIVATE KEY----- and so on",
        "price 10000000146,50 TL",
        "@example.com is a domain",
        "https://example.com:8080/path",
    ],
)
def test_a_look_alike_is_left_alone(text: str, mask: Mask) -> None:
    assert mask(text) == text


@pytest.mark.parametrize("digits", ["10000000146", "12345678950", "99999999990"])
def test_the_kimlik_checksum_follows_its_two_rules(digits: str) -> None:
    ten = (7 * sum(map(int, digits[0:9:2])) - sum(map(int, digits[1:8:2]))) % 10
    eleven = (sum(map(int, digits[:9])) + ten) % 10
    assert is_tckn(digits[:9] + str(ten) + str(eleven))
    assert not is_tckn(digits[:9] + str(ten) + str((eleven + 1) % 10))


def test_a_kimlik_no_does_not_begin_with_zero() -> None:
    assert is_tckn("10000000146")
    assert not is_tckn("01000000014")
    assert not is_tckn("1000000014")


@given(st.integers(10**14, 10**15 - 1))
def test_exactly_one_last_digit_satisfies_luhn(head: int) -> None:
    assert sum(is_luhn(f"{head}{last}") for last in range(10)) == 1


def test_a_card_needs_a_known_issuer_and_its_length() -> None:
    assert is_card("4111111111111111")
    assert is_luhn("1234567812345670")
    assert not is_card("1234567812345670")
    assert not is_card("41111111111111")


def test_an_iban_needs_its_countrys_length() -> None:
    assert is_iban("TR330006100519786457841326")
    assert not is_iban("TR33000610051978645784132")
    assert not is_iban("XX330006100519786457841326")


def test_an_unfinished_private_key_takes_the_rest_with_it(mask: Mask) -> None:
    cut = PEM.partition("-----END")[0]
    assert mask(f"key {cut}") == "key [PRIVATE_KEY_1]"


def test_every_repetition_of_a_key_is_masked(mask: Mask) -> None:
    key = "sk-proj-abcdefghij1234567890XYZ"
    assert mask(f"{key} {key}\n{key}") == "[API_KEY_1] [API_KEY_1]\n[API_KEY_1]"
