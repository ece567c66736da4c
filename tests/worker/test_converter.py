"""Everything written to Temporal can be read again, and nothing else can."""

from __future__ import annotations

import base64
import os
import zlib
from pathlib import Path

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.converter import DataConverter
from temporalio.exceptions import ApplicationError

from model.base import Message
from workflows.converter import (
    MAX_INFLATED,
    THRESHOLD,
    Codec,
    EncryptionKey,
    KeysInvalid,
    PayloadTooLarge,
    PayloadUnreadable,
    data_converter,
    read_keys,
)

OLD = EncryptionKey("2025", b"o" * 32)
NEW = EncryptionKey("2026", b"n" * 32)


class Piece(Message):
    name: str
    tags: list[str]


SMALL = Piece(name="a", tags=["1.0.0"])
LARGE = Piece(name="b", tags=[f"1.{minor}.0" for minor in range(500)])


async def there_and_back(written: DataConverter, read: DataConverter, value: Piece) -> Piece:
    payloads = await written.encode([value])
    [decoded] = await read.decode(payloads, [Piece])
    assert isinstance(decoded, Piece)
    return decoded


@pytest.mark.parametrize("value", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize(
    ("written", "read"),
    [((), ()), ((NEW,), (NEW,)), ((OLD,), (NEW, OLD)), ((), (NEW,))],
    ids=["plain", "encrypted", "after rotation", "written before encryption"],
)
async def test_what_was_written_is_read_again(
    written: tuple[EncryptionKey, ...], read: tuple[EncryptionKey, ...], value: Piece
) -> None:
    assert await there_and_back(data_converter(written), data_converter(read), value) == value


async def test_small_payloads_stay_readable_and_large_ones_shrink() -> None:
    [small] = await data_converter().encode([SMALL])
    [large] = await data_converter().encode([LARGE])
    assert small.metadata["encoding"] == b"json/plain"
    assert large.metadata["encoding"] == b"binary/zlib"
    assert large.ByteSize() < len(LARGE.model_dump_json()) / 2


async def test_a_payload_that_does_not_shrink_is_left_alone() -> None:
    noise = Payload(metadata={"encoding": b"binary/plain"}, data=os.urandom(4 * THRESHOLD))
    assert await Codec().encode([noise]) == [noise]


async def test_the_newest_key_encrypts() -> None:
    [payload] = await data_converter([NEW, OLD]).encode([SMALL])
    assert payload.metadata["encryption-key-id"] == b"2026"
    assert b"1.0.0" not in payload.SerializeToString()


async def test_equal_values_look_different_when_encrypted() -> None:
    first, second = await data_converter([NEW]).encode([SMALL, SMALL])
    assert first.data != second.data


async def test_a_missing_key_is_named() -> None:
    payloads = await data_converter([OLD]).encode([SMALL])
    with pytest.raises(PayloadUnreadable, match=r"'2025'.*TOWPATH_ENCRYPTION_KEYS_FILE"):
        await data_converter([NEW]).decode(payloads, [Piece])


async def test_a_changed_payload_is_refused() -> None:
    [payload] = await Codec([NEW]).encode([Payload(data=b"x")])
    flipped = Payload(metadata=payload.metadata, data=payload.data[:-1] + bytes([payload.data[-1] ^ 1]))
    with pytest.raises(PayloadUnreadable, match="2026"):
        await Codec([NEW]).decode([flipped])


async def test_a_payload_moved_under_another_key_id_is_refused() -> None:
    twin = EncryptionKey("twin", NEW.secret)
    [payload] = await Codec([NEW]).encode([Payload(data=b"x")])
    moved = Payload(metadata={"encoding": b"binary/encrypted", "encryption-key-id": b"twin"}, data=payload.data)
    with pytest.raises(PayloadUnreadable, match="twin"):
        await Codec([twin]).decode([moved])


async def test_a_bomb_is_not_inflated() -> None:
    deflater = zlib.compressobj(9)
    chunk = bytes(1024 * 1024)
    bomb = b"".join(deflater.compress(chunk) for _ in range(MAX_INFLATED // len(chunk) + 2)) + deflater.flush()
    assert len(bomb) < 100_000
    with pytest.raises(PayloadUnreadable, match="inflates to more than"):
        await Codec().decode([Payload(metadata={"encoding": b"binary/zlib"}, data=bomb)])


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"not zlib", "damaged"),
        (zlib.compress(b"x" * 10_000)[:-8], "cut short"),
        (zlib.compress(b"\xff\xff\xff"), "no payload"),
    ],
)
async def test_damaged_payloads_are_refused(data: bytes, complaint: str) -> None:
    with pytest.raises(PayloadUnreadable, match=complaint):
        await Codec().decode([Payload(metadata={"encoding": b"binary/zlib"}, data=data)])


async def test_what_could_not_be_read_is_not_written() -> None:
    with pytest.raises(PayloadTooLarge):
        await Codec().encode([Payload(data=bytes(MAX_INFLATED + 1))])


async def test_failures_are_encrypted_too() -> None:
    converter = data_converter([NEW])
    failure = Failure()
    await converter.encode_failure(ApplicationError("the tag v1.2.3 is gone", "v1.2.3"), failure)
    assert b"v1.2.3" not in failure.SerializeToString()
    error = await converter.decode_failure(failure)
    assert isinstance(error, ApplicationError)
    assert error.message == "the tag v1.2.3 is gone"


async def test_failures_are_plain_without_a_key() -> None:
    failure = Failure()
    await data_converter().encode_failure(ApplicationError("the tag is gone"), failure)
    assert failure.message == "the tag is gone"


def encoded(size: int) -> str:
    return base64.b64encode(bytes(size)).decode()


def test_keys_are_read_newest_first(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# rotated in May\n2026: {encoded(32)}\n\n2025:{encoded(16)}\n")
    assert [(key.id, len(key.secret)) for key in read_keys(file)] == [("2026", 32), ("2025", 16)]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "holds no key"),
        ("# nothing\n", "holds no key"),
        ("2026\n", "line 1: key 2026: expected 16, 24 or 32 bytes"),
        ("2026:not base64!\n", "line 1: expected id:base64"),
        (f"2026:{encoded(5)}\n", "got 5 bytes"),
        (f"a b:{encoded(32)}\n", "a key's id consists of"),
        (f"a:{encoded(32)}\na:{encoded(32)}\n", "line 2: key a stands there twice"),
    ],
)
def test_a_wrong_file_of_keys_is_explained(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "keys"
    file.write_text(text)
    with pytest.raises(KeysInvalid, match=complaint):
        read_keys(file)


def test_a_missing_file_of_keys_is_explained(tmp_path: Path) -> None:
    with pytest.raises(KeysInvalid, match="No such file"):
        read_keys(tmp_path / "absent")


def test_a_key_does_not_show_itself() -> None:
    assert "nnn" not in repr(NEW)
