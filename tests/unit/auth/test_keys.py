import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.core.ids import new_request_id, random_id
from services.auth.keys import KeyMint, is_key_id, is_tenant_id, tenant_of
from tests.unit.auth.fakes import PEPPER

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
ids = st.text(ALPHABET, min_size=17, max_size=17).map("t".__add__)


@given(ids)
def test_a_minted_credential_reads_back_as_its_key(key_id: str) -> None:
    mint = KeyMint(PEPPER)
    minted = mint.mint(key_id)
    presented = mint.read(minted.credential)
    assert presented is not None
    assert presented.key_id == key_id
    assert presented.tenant_id == key_id[:10]
    assert presented.digest == minted.digest


def test_the_digest_is_not_the_credential_and_depends_on_the_pepper() -> None:
    minted = KeyMint(PEPPER).mint("t" + "0" * 17)
    other = KeyMint(b"another pepper that is long enough too").read(minted.credential)
    assert other is not None
    assert other.digest != minted.digest
    assert minted.credential.encode() not in minted.digest


def test_every_substitution_of_one_character_is_noticed() -> None:
    # CRC-32 is linear: what one key shows for each position and each change, all keys show.
    mint = KeyMint(PEPPER)
    credential = mint.mint(random_id("t", 17)).credential
    for position in range(len("amk_"), len(credential)):
        for wrong in ALPHABET:
            if wrong != credential[position]:
                assert mint.read(credential[:position] + wrong + credential[position + 1 :]) is None


@given(ids, st.integers(4, 59))
def test_swapped_neighbours_are_noticed(key_id: str, position: int) -> None:
    mint = KeyMint(PEPPER)
    credential = mint.mint(key_id).credential
    swapped = credential[:position] + credential[position + 1] + credential[position] + credential[position + 2 :]
    if swapped != credential:
        assert mint.read(swapped) is None


@given(st.text(max_size=80))
def test_nothing_else_reads_as_a_key(text: str) -> None:
    assert KeyMint(PEPPER).read(text) is None


@pytest.mark.parametrize("spoil", [str.upper, lambda key: key[:-1], lambda key: key + "0", lambda key: key + "\n"])
def test_truncated_or_decorated_keys_are_refused(spoil: "type[str]") -> None:
    mint = KeyMint(PEPPER)
    assert mint.read(spoil(mint.mint(random_id("t", 17)).credential)) is None


def test_ids_follow_from_the_request_and_differ_between_requests_and_attempts() -> None:
    mint, request_id = KeyMint(PEPPER), new_request_id()
    tenant_id = mint.tenant_id(request_id, 0)
    assert is_tenant_id(tenant_id)
    assert tenant_id == mint.tenant_id(request_id, 0)
    assert len({tenant_id, mint.tenant_id(request_id, 1), mint.tenant_id(new_request_id(), 0)}) == 3

    key_id = mint.key_id(tenant_id, request_id, 0)
    assert is_key_id(key_id)
    assert tenant_of(key_id) == tenant_id
    assert key_id[10:] != mint.key_id(mint.tenant_id(request_id, 1), request_id, 0)[10:]


def test_a_short_pepper_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        KeyMint(b"short")
