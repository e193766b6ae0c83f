"""PQXDH and the first turns of the hybrid ratchet, written from Signal's papers and spec/message.md.

X25519, Ed25519, HKDF and ChaCha20-Poly1305 are those of `cryptography` (OpenSSL), ML-KEM-768 is kyber-py's; each
decapsulation is made by OpenSSL too. Messages are taken in their order, and keys that they skip are not kept.
"""

import hashlib
import hmac
import struct
from dataclasses import dataclass, replace

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from kyber_py.ml_kem import ML_KEM_768

from port import Disagreement, Refused

SIGNED, ONE_TIME, LAST_RESORT, ONE_TIME_KEM, BOX = range(1, 6)
KEY_TYPES = {SIGNED: 1, ONE_TIME: 1, LAST_RESORT: 2, ONE_TIME_KEM: 2, BOX: 3}


def label(text):
    return b"sealpost/1 " + text + b"\0"


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def hkdf(salt, material, info, length):
    return HKDF(hashes.SHA256(), length, salt, info).derive(material)


def x25519_public(secret):
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def x25519(secret, public):
    """Refuses a result of zeros, as OpenSSL does."""
    try:
        return X25519PrivateKey.from_private_bytes(secret).exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        raise Refused from None


def agreed(secret, public):
    """X25519. One who lies has a public key of small order and no secret: all that is agreed with it is zeros."""
    return x25519(secret, public) if secret else bytes(32)


def kem_public(seed):
    return ML_KEM_768._keygen_internal(seed[:32], seed[32:])[0]


def encapsulate(public, random):
    """Ciphertext and secret. Refuses what fails the modulus check, as kyber-py does."""
    try:
        shared, ciphertext = ML_KEM_768._encaps_internal(public, random)
    except ValueError:
        raise Refused from None
    return ciphertext, shared


def decapsulate(seed, ciphertext):
    """By both libraries."""
    shared = ML_KEM_768._decaps_internal(ML_KEM_768._keygen_internal(seed[:32], seed[32:])[1], ciphertext)
    if shared != MLKEM768PrivateKey.from_seed_bytes(seed).decapsulate(ciphertext):
        raise Disagreement("kyber-py and OpenSSL")
    return shared


def check_kem_key(public):
    encapsulate(public, bytes(32))


# Who talks


@dataclass(frozen=True)
class Signed:
    body: bytes
    signature: bytes

    def wire(self):
        return {"body": self.body, "signature": self.signature}

    def hashed(self):
        return struct.pack("<I", len(self.body)) + self.body + self.signature


def sign(key, purpose, body):
    return Signed(body, key.sign(label(purpose) + body))


@dataclass(frozen=True)
class Party:
    """What both sides authenticate of each other."""

    name: str
    account: bytes
    device: bytes  # its 68 bytes in a list

    def layout(self):
        return bytes([len(self.name)]) + self.name.encode() + self.account + self.device

    @property
    def identity(self):
        return self.device[36:]


class Person:
    """An account with one device, of the random bytes that the port takes for a person."""

    def __init__(self, name, random, device=1, number=1):
        self.account = Ed25519PrivateKey.from_private_bytes(hkdf(bytes(32), random[:32], label(b"recovery words"), 32))
        self.key, self.identity = Ed25519PrivateKey.from_private_bytes(random[32:64]), random[64:]
        layout = struct.pack("<I", device) + self.key.public_key().public_bytes_raw() + x25519_public(self.identity)
        self.party = Party(name, self.account.public_key().public_bytes_raw(), layout)
        self.list = self.lists(layout, number=number)
        self.keys = {}

    def lists(self, *devices, number=1):
        """A device list of this account, with whatever devices."""
        name = self.party.name.encode()
        head = struct.pack("<QB", number, len(name)) + name + self.party.account + bytes([len(devices)])
        return sign(self.account, b"device list", head + b"".join(devices))

    def listed(self):
        return {"list": self.list.wire(), "device": struct.unpack_from("<I", self.party.device)[0]}

    def makes(self, role, number, made_at, random):
        """A prekey of these random bytes, which are its secret."""
        if role == BOX:
            wide = hashlib.shake_256(random).digest(96)
            public = kem_public(wide[:64]) + x25519_public(wide[64:])
        else:
            public = x25519_public(random) if role in (SIGNED, ONE_TIME) else kem_public(random)
        self.keys[role, number] = self.certifies(role, number, made_at, public, random)
        return self.keys[role, number]

    def certifies(self, role, number, made_at, public, secret=None):
        """Whatever bytes, signed as a prekey."""
        body = struct.pack("<BIQB", role, number, made_at, KEY_TYPES[role]) + public
        return Prekey(sign(self.key, b"prekey", body), role, number, public, secret)


@dataclass(frozen=True)
class Prekey:
    signed: Signed
    role: int
    id: int
    public: bytes
    secret: bytes | None = None


def verified(listed, served):
    """Whose the keys of a bundle are, and the keys, as the port's `bundle` shows them. Refuses what is not signed."""
    body, signature = (bytes.fromhex(listed["list"][field]) for field in ("body", "signature"))
    length = body[8]
    name, account, rest = body[9 : 9 + length].decode(), body[9 + length : 41 + length], body[42 + length :]
    devices = [rest[at : at + 68] for at in range(0, 68 * body[41 + length], 68)]
    check_signature(account, b"device list", Signed(body, signature))
    (device,) = [device for device in devices if struct.unpack_from("<I", device)[0] == listed["device"]]
    keys = {}
    for place, roles in [("signed", [1]), ("one-time", [2]), ("kem", [3, 4]), ("box-key", [5])]:
        if served[place] is None and place == "one-time":
            keys[place] = None
            continue
        signed = Signed(*(bytes.fromhex(served[place][field]) for field in ("body", "signature")))
        check_signature(device[4:36], b"prekey", signed)
        role, number, _, kind = struct.unpack_from("<BIQB", signed.body)
        if role not in roles or kind != KEY_TYPES[role] or number == 0:
            raise Refused
        keys[place] = Prekey(signed, role, number, signed.body[14:])
    check_kem_key(keys["kem"].public)
    check_kem_key(keys["box-key"].public[:1184])
    return Party(name, account, device), Bundle(keys["signed"], keys["one-time"], keys["kem"])


def check_signature(key, purpose, signed):
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signed.signature, label(purpose) + signed.body)
    except InvalidSignature:
        raise Refused from None


@dataclass(frozen=True)
class Bundle:
    """The prekeys that agree on a session."""

    signed: Prekey
    one_time: Prekey | None
    kem: Prekey

    def hash(self):
        one_time = b"\1" + self.one_time.signed.hashed() if self.one_time else b"\0"
        return sha256(label(b"prekey bundle"), self.signed.signed.hashed(), one_time, self.kem.signed.hashed())

    def named(self):
        """As the port names keys."""
        one_time = self.one_time and self.one_time.id
        return {"signed": self.signed.id, "one_time": one_time, "kem_role": self.kem.role, "kem": self.kem.id}


# PQXDH


def agreed_key(agreements, shared):
    """SK of the paper's section 3.3; F is 32 bytes of 0xFF."""
    info = label(b"pqxdh X25519 ML-KEM-768 HKDF-SHA256 ChaCha20-Poly1305")
    return hkdf(bytes(32), b"\xff" * 32 + b"".join(agreements) + shared, info, 32)


def associated_data(initiator, recipient, bundle, part):
    return sha256(label(b"session"), b"\1\0", initiator.layout(), recipient.layout(), bundle.hash(), part)


def initiate(me, peer, bundle, random, mixed=None, said=None, toward=None, point=None):
    """The initiator's session. One who lies mixes other keys into SK (`mixed`), says others in AD (`said`) or another
    peer (`toward`), or has an ephemeral key of small order (`point`)."""
    ephemeral, public = (None, point) if point else (random[:32], x25519_public(random[:32]))
    mixed = mixed or bundle
    ciphertext, shared = encapsulate(mixed.kem.public, random[32:])
    agreements = [
        agreed(me.identity, mixed.signed.public),
        agreed(ephemeral, peer.identity),
        agreed(ephemeral, mixed.signed.public),
    ]
    if mixed.one_time:
        agreements.append(agreed(ephemeral, mixed.one_time.public))
    one_time = bundle.one_time.id if bundle.one_time else 0
    part = public + struct.pack("<IIBI", bundle.signed.id, one_time, bundle.kem.role, bundle.kem.id) + ciphertext
    ad = associated_data(me.party, toward or peer, said or bundle, part)
    return Session(ad, part, True, agreed_key(agreements, shared), (mixed.signed.public, None))


def accept(me, peer, bundle, message):
    """The recipient's session and the plaintext of the message that began it."""
    parsed = Message.parse(message)
    if not parsed.part or parsed.ciphertext or parsed.previous:
        raise Refused
    signed, one_time, role, kem = struct.unpack_from("<IIBI", parsed.part, 32)
    named = (bundle.signed.id, bundle.one_time.id if bundle.one_time else 0, bundle.kem.role, bundle.kem.id)
    if (signed, one_time, role, kem) != named:
        raise Refused
    ephemeral = parsed.part[:32]
    agreements = [
        x25519(bundle.signed.secret, peer.identity),
        x25519(me.identity, ephemeral),
        x25519(bundle.signed.secret, ephemeral),
    ]
    if bundle.one_time:
        agreements.append(x25519(bundle.one_time.secret, ephemeral))
    root = agreed_key(agreements, decapsulate(bundle.kem.secret, parsed.part[45:]))
    ad = associated_data(peer, me.party, bundle, parsed.part)
    dh = x25519(bundle.signed.secret, parsed.public)
    root, chain = first_chain(root, dh, parsed.public, parsed.kem, bundle.signed.public)
    check_kem_key(parsed.kem)
    session = Session(ad, parsed.part, False, root, (parsed.public, parsed.kem), receiving=(parsed.chain, chain, 0))
    return session.decrypt(message)


def session_id(part):
    return sha256(label(b"session id"), part)


# The hybrid ratchet


def first_chain(root, dh, public, kem, prekey):
    both = hkdf(root, dh, label(b"first chain") + sha256(public, kem, prekey), 64)
    return both[:32], both[32:]


def later_chain(root, dh, shared, public, kem, ciphertext, peer, peer_kem):
    both = hkdf(root, dh + shared, label(b"hybrid ratchet") + sha256(public, kem, ciphertext, peer, peer_kem), 64)
    return both[:32], both[32:]


def step(chain):
    """The next chain key, and the key of this message."""
    return hmac.digest(chain, b"\2", "sha256"), hmac.digest(chain, b"\1", "sha256")


def message_cipher(key, salt):
    both = hkdf(salt, key, label(b"message"), 44)
    return ChaCha20Poly1305(both[:32]), both[32:]


@dataclass(frozen=True)
class Message:
    part: bytes
    public: bytes
    kem: bytes
    ciphertext: bytes
    previous: int
    number: int
    salt: bytes
    header: bytes = b""
    sealed: bytes = b""

    @classmethod
    def parse(cls, data):
        parts = data[1] if len(data) > 1 else 0
        at = 2 + (1133 if parts == 1 else 0)
        end = at + 32 + 1184 + (1088 if parts == 2 else 0)
        if data[:1] != b"\1" or parts not in (1, 2) or len(data) < end + 24 + 16:
            raise Refused
        previous, number = struct.unpack_from("<II", data, end)
        chain = data[at : at + 32], data[at + 32 : at + 1216], data[at + 1216 : end]
        header = data[: end + 24]
        return cls(data[2:at], *chain, previous, number, data[end + 8 : end + 24], header, data[end + 24 :])

    def layout(self):
        """The header; the parts are said to be those that are there."""
        parts = bytes([1, bool(self.part) | bool(self.ciphertext) << 1])
        counts = struct.pack("<II", self.previous, self.number)
        return parts + self.part + self.public + self.kem + self.ciphertext + counts + self.salt

    @property
    def chain(self):
        return sha256(self.public, self.kem, self.ciphertext)


@dataclass(frozen=True)
class Session:
    """One side. A step returns the next state with what it made."""

    ad: bytes
    part: bytes
    initiated: bool
    root: bytes
    peer: tuple  # B and ek_B; the signed prekey has no ek_B
    own: tuple | None = None  # a', seed of ek', A', ek', ct
    sending: tuple | None = None  # chain key, next N
    previous: int = 0
    receiving: tuple | None = None  # chain id, chain key, next N

    def begun(self, random, point=None, kem=None):
        """A chain of one's own; and the random bytes that are left. One who lies sends a ratchet key of small order, or
        some other KEM key than made here."""
        seed, (peer, peer_kem) = random[32:96], self.peer
        secret, public = (None, point) if point else (random[:32], x25519_public(random[:32]))
        kem, random = kem or kem_public(seed), random[96:]
        ciphertext = b""
        if peer_kem is None:
            root, chain = first_chain(self.root, agreed(secret, peer), public, kem, peer)
        else:
            ciphertext, shared = encapsulate(peer_kem, random[:32])
            random = random[32:]
            dh = agreed(secret, peer)
            root, chain = later_chain(self.root, dh, shared, public, kem, ciphertext, peer, peer_kem)
        return replace(self, root=root, own=(secret, seed, public, kem, ciphertext), sending=(chain, 0)), random

    def draws(self):
        """How many random bytes the next message takes."""
        if self.sending:
            return 16
        return 112 if self.peer[1] is None else 144

    def encrypt(self, plaintext, random, **lies):
        """The next state and the message. Lies are fields of the header that say something else; they are
        authenticated as they stand."""
        now, salt = (self, random) if self.sending else self.begun(random)
        chain, number = now.sending
        chain, key = step(chain)
        part = b"" if now.receiving else now.part
        header = replace(Message(part, *now.own[2:], now.previous, number, salt), **lies).layout()
        cipher, nonce = message_cipher(key, salt)
        message = header + cipher.encrypt(nonce, plaintext, now.ad + header)
        return replace(now, sending=(chain, number + 1)), message

    def decrypt(self, data):
        """The next state and the plaintext."""
        message = Message.parse(data)
        if message.part and (self.initiated or message.part != self.part):
            raise Refused
        now = self
        if not self.receiving or self.receiving[0] != message.chain:
            missed = message.previous - (self.receiving[2] if self.receiving else 0)
            if not self.own or not message.ciphertext or not 0 <= missed <= 1000 - message.number:
                raise Refused
            if missed and not self.receiving:
                raise Refused
            check_kem_key(message.kem)
            secret, seed, public, kem, _ = self.own
            dh, shared = x25519(secret, message.public), decapsulate(seed, message.ciphertext)
            theirs = message.public, message.kem, message.ciphertext
            root, chain = later_chain(self.root, dh, shared, *theirs, public, kem)
            now = replace(
                self,
                root=root,
                peer=(message.public, message.kem),
                own=None,
                sending=None,
                previous=self.sending[1],
                receiving=(message.chain, chain, 0),
            )
        name, chain, number = now.receiving
        if not number <= message.number <= number + 1000:
            raise Refused
        for _ in range(number, message.number + 1):
            chain, key = step(chain)
        cipher, nonce = message_cipher(key, message.salt)
        try:
            plaintext = cipher.decrypt(nonce, message.sealed, self.ad + message.header)
        except InvalidTag:
            raise Refused from None
        return replace(now, receiving=(name, chain, message.number + 1)), plaintext
