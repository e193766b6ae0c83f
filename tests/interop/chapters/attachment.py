"""spec/attachment.md: chunks, and how many there are."""

import math

from .primitive import LABELS, aead_open, check, hkdf, le

PLAIN, MOST = 65536 - 16 - 16, 1 << 24


def key(file_key, blob, salt):
    return hkdf(salt, file_key, LABELS["ATTACHMENT"] + blob, 32)


def nonce(number, last):
    return le(number, 8) + bytes(3) + bytes([last])


def opened(chunk_key, chunk_nonce, sealed):
    return aead_open(chunk_key, chunk_nonce, sealed, b"")


def parts(size):
    chunks = max(1, math.ceil(size / PLAIN) if size < 1 << 50 else MOST + 1)
    if chunks > 1:
        e = math.floor(math.log2(chunks))
        s = math.floor(math.log2(e)) + 1 if e else 0
        step = 2 ** (e - s) if e else 1
        chunks = math.ceil(chunks / step) * step
    check(chunks <= MOST)
    return chunks
