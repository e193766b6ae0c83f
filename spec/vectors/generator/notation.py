"""The notation of spec/README.md, the primitives, and how a vector is written down.

X25519, Ed25519 and ChaCha20-Poly1305 are those of `cryptography`, ML-KEM-768 is that of `kyber-py`, whose encapsulation takes
its randomness from the caller; everything else is hashlib and hmac.
"""

import base64
import hashlib
import hmac
import json
import struct

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from kyber_py.ml_kem import ML_KEM_768

ORDER = 2**252 + 27742317777372353535851937790883648493
FIELD = 2**255 - 19


def u8(n):
    return struct.pack("<B", n)


def u16(n):
    return struct.pack("<H", n)


def u32(n):
    return struct.pack("<I", n)


def u64(n):
    return struct.pack("<Q", n)


def short(b):
    return u8(len(b)) + b


def long(b):
    return u32(len(b)) + b


def label(text):
    return b"sealpost/1 " + text.encode() + b"\0"


def sha256(b):
    return hashlib.sha256(b).digest()


def fixed(text, n=32):
    return hashlib.shake_256(b"sealpost vector " + text.encode()).digest(n)


def base32(b):
    return base64.b32encode(b).decode().rstrip("=").lower()


def flip(b, at, bit=0):
    return b[:at] + bytes([b[at] ^ 1 << bit]) + b[at + 1 :] if at >= 0 else flip(b, len(b) + at, bit)


def hkdf(salt, ikm, info, n):
    return expand(hmac.new(salt, ikm, "sha256").digest(), info, n)


def expand(prk, info, n):
    out, block, i = b"", b"", 1
    while len(out) < n:
        block = hmac.new(prk, block + info + bytes([i]), "sha256").digest()
        out, i = out + block, i + 1
    return out[:n]


def x_public(secret):
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def k_public(seed):
    return ML_KEM_768.key_derive(seed)[0]


def e_public(seed):
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def sign(seed, text, body):
    return Ed25519PrivateKey.from_private_bytes(seed).sign(label(text) + body)


def seal(key, nonce, plaintext, associated):
    return ChaCha20Poly1305(key).encrypt(nonce, plaintext, associated)


def dh(secret, public):
    """X25519; the zeros of a point of low order too, for vectors that must be refused for them."""
    try:
        return X25519PrivateKey.from_private_bytes(secret).exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        return bytes(32)


def encaps(public, randomness):
    """Shared secret and ciphertext of ML-KEM.Encaps_internal(public, randomness)."""
    return ML_KEM_768._encaps_internal(public, randomness)


def bad_kem_key(public):
    """The key with 4095 as its last coefficient, which is no number modulo 3329 (FIPS 203 section 7.2)."""
    return public[:1150] + bytes([public[1150] | 0xF0, 0xFF]) + public[1152:]


def second_encoding(signature):
    """The signature with S + L: the equation holds, the encoding is another one."""
    s = int.from_bytes(signature[32:], "little") + ORDER
    return signature[:32] + s.to_bytes(32, "little")


def signed_with_neutral(seed, text, body):
    """A signature whose R is the neutral point: the equation holds, though S tells the private scalar."""
    half = bytearray(hashlib.sha512(seed).digest()[:32])
    half[0] &= 248
    half[31] = half[31] & 127 | 64
    neutral = u8(1) + bytes(31)
    k = int.from_bytes(hashlib.sha512(neutral + e_public(seed) + label(text) + body).digest(), "little")
    return neutral + (k * int.from_bytes(half, "little") % ORDER).to_bytes(32, "little")


class File:
    """One file of vectors."""

    def __init__(self, name, title):
        self.name, self.title, self.blocks = name, title, []

    def vector(self, name, kind, expect="ok", **fields):
        lines = [f"name: {name}", f"kind: {kind}", f"expect: {expect}"]
        for key, value in fields.items():
            if isinstance(value, (bytes, bytearray)):
                value = value.hex()
            elif isinstance(value, (dict, list)) or value is None:
                value = json.dumps(value, separators=(",", ":"))
            lines.append(f"{key.replace('_', '-')}: {value}")
        self.blocks.append("\n".join(lines))

    def refused(self, what, why, kind, **fields):
        self.vector(f"{what} refused: {why}", kind, "refused", **fields)

    def text(self):
        return f"# {self.title}\n# See README.md for the format and the kinds.\n\n" + "\n\n".join(self.blocks) + "\n"
