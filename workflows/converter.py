"""How everything that goes to Temporal is written: pydantic JSON, compressed, and encrypted when there is a key.

All processes share it. What is compressed is laid out as Temporal's own zlib codec does it (`binary/zlib`), what is
encrypted as its samples do (`binary/encrypted`, `encryption-key-id`), with the key's id authenticated as well.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import (
    DataConverter,
    DefaultFailureConverter,
    DefaultFailureConverterWithEncodedAttributes,
    PayloadCodec,
)

#: Payloads up to this size, in bytes, are not worth compressing.
THRESHOLD = 512
#: The largest payload, in bytes before compression, that is written or read. The server takes 2 MB after it.
MAX_INFLATED = 32 * 1024 * 1024
#: No file of keys is larger than this, in bytes.
_MAX_KEYS_FILE = 64 * 1024

_COMPRESSED = b"binary/zlib"
_ENCRYPTED = b"binary/encrypted"
_NONCE = 12
_KEY_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


class PayloadUnreadable(ValueError):
    """A payload can't be decoded: its key isn't here, it was tampered with, or it inflates beyond all bounds."""


class PayloadTooLarge(ValueError):
    """A value is larger than MAX_INFLATED and is not written."""


class KeysInvalid(ValueError):
    """The file of encryption keys can't be used. Says which line, never what stands there."""


@dataclass(frozen=True)
class EncryptionKey:
    """An AES key, of 16, 24 or 32 bytes, and the id under which payloads name it."""

    id: str
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not _KEY_ID.fullmatch(self.id):
            raise KeysInvalid("a key's id consists of 1 to 63 letters, digits, '.', '_' and '-'")
        if len(self.secret) not in (16, 24, 32):
            raise KeysInvalid(f"key {self.id}: expected 16, 24 or 32 bytes in base64, got {len(self.secret)} bytes")


def read_keys(path: Path) -> tuple[EncryptionKey, ...]:
    """The keys in a file with one `id:base64` a line, the newest first; empty lines and `#` lines are skipped.

    Raises KeysInvalid when the file can't be read, a line isn't a key, an id occurs twice, or there is none at all.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_KEYS_FILE + 1)
        if len(content) > _MAX_KEYS_FILE:
            raise KeysInvalid(f"{path} is larger than {_MAX_KEYS_FILE} bytes: expected one id:base64 a line")
        text = content.decode()
    except UnicodeDecodeError as error:
        raise KeysInvalid(f"{path} is not text: expected one id:base64 a line") from error
    except OSError as error:
        raise KeysInvalid(f"can't read the encryption keys in {path}: {error.strerror}") from error
    keys: dict[str, EncryptionKey] = {}
    for number, line in enumerate(text.splitlines(), 1):
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        identifier, _, encoded = entry.partition(":")
        try:
            key = EncryptionKey(identifier.strip(), base64.b64decode(encoded.strip(), validate=True))
        except binascii.Error:
            raise KeysInvalid(f"{path}, line {number}: expected id:base64 of a key") from None
        except KeysInvalid as error:
            raise KeysInvalid(f"{path}, line {number}: {error}") from None
        if key.id in keys:
            raise KeysInvalid(f"{path}, line {number}: key {key.id} stands there twice")
        keys[key.id] = key
    if not keys:
        raise KeysInvalid(f"{path} holds no key: expected one id:base64 a line, the newest first")
    return tuple(keys.values())


def _inflate(data: bytes) -> bytes:
    inflater = zlib.decompressobj()
    try:
        inflated = inflater.decompress(data, MAX_INFLATED + 1)
    except zlib.error as error:
        raise PayloadUnreadable(f"a compressed payload is damaged: {error}") from error
    if len(inflated) > MAX_INFLATED:
        raise PayloadUnreadable(f"a compressed payload inflates to more than {MAX_INFLATED} bytes")
    if not inflater.eof:
        raise PayloadUnreadable("a compressed payload is cut short")
    return inflated


def _parse(data: bytes) -> Payload:
    payload = Payload()
    try:
        payload.ParseFromString(data)
    except DecodeError as error:
        raise PayloadUnreadable("a payload's envelope holds no payload") from error
    return payload


class Codec(PayloadCodec):
    """Compresses payloads above THRESHOLD, then encrypts all of them with the first key, if there is one.

    Reads whatever it could have written with any of its keys; what is not in an envelope of ours passes unchanged, so
    that encryption can be turned on while workflows run.
    """

    def __init__(self, keys: Sequence[EncryptionKey] = ()) -> None:
        self._newest = keys[0].id if keys else ""
        self._ciphers = {key.id: AESGCM(key.secret) for key in keys}

    @property
    def encrypts(self) -> bool:
        return bool(self._newest)

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Raises PayloadTooLarge."""
        return [self._encrypt(self._compress(payload)) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Raises PayloadUnreadable."""
        return [self._decompress(self._decrypt(payload)) for payload in payloads]

    def _compress(self, payload: Payload) -> Payload:
        size = payload.ByteSize()
        if size > MAX_INFLATED:
            raise PayloadTooLarge(f"a value of {size} bytes is larger than the {MAX_INFLATED} that can be stored")
        if size <= THRESHOLD:
            return payload
        deflated = zlib.compress(payload.SerializeToString())
        if len(deflated) >= size:
            return payload
        return Payload(metadata={"encoding": _COMPRESSED}, data=deflated)

    def _decompress(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != _COMPRESSED:
            return payload
        return _parse(_inflate(payload.data))

    def _encrypt(self, payload: Payload) -> Payload:
        if not self._newest:
            return payload
        identifier = self._newest.encode()
        nonce = os.urandom(_NONCE)
        sealed = self._ciphers[self._newest].encrypt(nonce, payload.SerializeToString(), identifier)
        return Payload(metadata={"encoding": _ENCRYPTED, "encryption-key-id": identifier}, data=nonce + sealed)

    def _decrypt(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != _ENCRYPTED:
            return payload
        identifier = payload.metadata.get("encryption-key-id", b"")
        name = identifier.decode(errors="replace")[:63]
        cipher = self._ciphers.get(name)
        if cipher is None:
            raise PayloadUnreadable(
                f"a payload is encrypted with the key {name!r}, which is not here: "
                "name a file that holds it in TOWPATH_ENCRYPTION_KEYS_FILE"
            )
        try:
            opened = cipher.decrypt(payload.data[:_NONCE], payload.data[_NONCE:], identifier)
        except (InvalidTag, ValueError) as error:
            raise PayloadUnreadable(
                f"a payload can't be decrypted with the key {name!r}: another key of that id made it, or it was changed"
            ) from error
        return _parse(opened)


def data_converter(keys: Sequence[EncryptionKey] = ()) -> DataConverter:
    """The data converter of every process of the house; with keys, failures' messages and traces are encrypted too."""
    return DataConverter(
        payload_converter_class=PydanticPayloadConverter,
        payload_codec=Codec(keys),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes if keys else DefaultFailureConverter,
    )
