"""The notation of spec/README.md over libraries that the generator of the vectors does not use for the same.

X25519, Ed25519's equation and ChaCha20-Poly1305 are libsodium's (PyNaCl), ML-KEM-768 is that of OpenSSL or AWS-LC (`cryptography`),
but for an encapsulation with given randomness, which only `kyber-py` has. The strict rules for points and numbers are here, by hand.
"""

import hashlib
import hmac

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from kyber_py.ml_kem import ML_KEM_768
from nacl import bindings, exceptions


class Refused(Exception):
    """The input is not taken."""


def check(holds):
    if not holds:
        raise Refused


LABELS = {
    name: b"sealpost/1 " + text + b"\0"
    for name, text in {
        "DEVICE_LIST": b"device list",
        "PREKEY": b"prekey",
        "LEAVE": b"leave",
        "LOGIN": b"login",
        "POST": b"post",
        "ATTACHMENT": b"attachment",
        "NAME_RECEIPT": b"name receipt",
        "ROOM_RECEIPT": b"room receipt",
        "FINGERPRINT": b"fingerprint",
        "SAFETY_NUMBER": b"safety number",
        "MAILBOX": b"mailbox",
        "DEVICE_REQUEST": b"device request",
        "DELIVERY_TOKEN": b"delivery token",
        "INVITE": b"invite",
        "WORK": b"proof of work",
        "POST_HASH": b"post hash",
        "BUNDLE": b"prekey bundle",
        "PQXDH": b"pqxdh X25519 ML-KEM-768 HKDF-SHA256 ChaCha20-Poly1305",
        "SESSION": b"session",
        "SESSION_ID": b"session id",
        "FIRST_CHAIN": b"first chain",
        "RATCHET": b"hybrid ratchet",
        "MESSAGE": b"message",
        "SEALED_BOX": b"sealed box",
        "ENVELOPE": b"envelope",
        "RECOVERY": b"recovery words",
    }.items()
}


def le(value, width):
    return value.to_bytes(width, "little")


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def mac(key, *parts):
    return hmac.digest(key, b"".join(parts), "sha256")


def hkdf_expand(prk, info, length):
    blocks = [b""]
    while sum(map(len, blocks)) < length:
        blocks.append(mac(prk, blocks[-1], info, bytes([len(blocks)])))
    return b"".join(blocks)[:length]


def hkdf(salt, ikm, info, length):
    return hkdf_expand(mac(salt, ikm), info, length)


# ---------------------------------------------------------------- X25519
def x25519_public(secret):
    return bindings.crypto_scalarmult_base(secret)


def x25519(secret, public):
    """RFC 7748; a result of zeros is refused."""
    check(len(public) == 32)
    try:
        shared = bindings.crypto_scalarmult(secret, public)
    except (exceptions.CryptoError, RuntimeError):
        raise Refused from None
    check(any(shared))
    return shared


# ---------------------------------------------------------------- Ed25519
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P


def add(left, right):
    (x, y), (u, v) = left, right
    k = D * x * u * y * v % P
    return (x * v + y * u) * pow(1 + k, -1, P) % P, (y * v + x * u) * pow(1 - k, -1, P) % P


def point(encoded):
    """RFC 8032 section 5.1.3; y at or above p, x = 0 with its sign set, and what is on no curve are refused."""
    number = int.from_bytes(encoded, "little")
    y, sign = number & (1 << 255) - 1, number >> 255
    check(y < P)
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    check((x * x - square) % P == 0 and not (x == 0 and sign))
    return (P - x if x & 1 != sign else x), y


def check_order(encoded):
    """Refuses points of small order."""
    double = lambda p: add(p, p)
    check(double(double(double(point(encoded)))) != (0, 1))


def verify(key, name, body, signature):
    """Ed25519 over label and body, strictly."""
    check(len(key) == 32 and len(signature) == 64 and int.from_bytes(signature[32:], "little") < L)
    check_order(key)
    check_order(signature[:32])
    try:
        bindings.crypto_sign_open(signature + LABELS[name] + body, key)
    except exceptions.BadSignatureError:
        raise Refused from None


def ed25519_public(seed):
    return bindings.crypto_sign_seed_keypair(seed)[0]


# ---------------------------------------------------------------- ML-KEM-768
def kem_public(seed):
    return MLKEM768PrivateKey.from_seed_bytes(seed).public_key().public_bytes_raw()


def kem_decapsulate(seed, ciphertext):
    return MLKEM768PrivateKey.from_seed_bytes(seed).decapsulate(ciphertext)


def kem_check(key):
    """The modulus check of FIPS 203 section 7.2: each of 768 numbers of twelve bits is below 3329."""
    check(len(key) == 1184)
    numbers = int.from_bytes(key[:1152], "little")
    check(all((numbers >> 12 * at & 0xFFF) < 3329 for at in range(768)))


def kem_encapsulate(key, randomness):
    kem_check(key)
    return ML_KEM_768._encaps_internal(key, randomness)


# ---------------------------------------------------------------- ChaCha20-Poly1305
def aead_seal(key, nonce, plaintext, associated):
    return bindings.crypto_aead_chacha20poly1305_ietf_encrypt(plaintext, associated, nonce, key)


def aead_open(key, nonce, sealed, associated):
    check(len(sealed) >= 16)
    try:
        return bindings.crypto_aead_chacha20poly1305_ietf_decrypt(sealed, associated, nonce, key)
    except exceptions.CryptoError:
        raise Refused from None


# ---------------------------------------------------------------- layouts
class Layout:
    """Reads a layout field by field; nothing may be left over at its end."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, length):
        check(self.at + length <= len(self.data))
        self.at += length
        return self.data[self.at - length : self.at]

    def number(self, width):
        return int.from_bytes(self.take(width), "little")

    def short(self):
        return self.take(self.number(1))

    def long(self):
        return self.take(self.number(4))

    def rest(self):
        return self.take(len(self.data) - self.at)

    def end(self):
        check(self.at == len(self.data))


def short(data):
    return le(len(data), 1) + data


def long(data):
    return le(len(data), 4) + data
