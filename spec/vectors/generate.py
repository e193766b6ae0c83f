#!/usr/bin/env python3
"""Writes the test vectors of this folder, by an implementation of the chapters that shares no code with the crates.

Needs `cryptography` 47 or later (X25519, Ed25519, ML-KEM-768, ChaCha20-Poly1305); everything else is hashlib and hmac.
ML-KEM ciphertexts are fresh in each run: the vectors that contain one then change, and hold all the same.
"""
import hashlib
import hmac
import os
import struct

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

HERE = os.path.dirname(os.path.abspath(__file__))
ORDER = 2**252 + 27742317777372353535851937790883648493


def u8(n): return struct.pack("<B", n)
def u16(n): return struct.pack("<H", n)
def u32(n): return struct.pack("<I", n)
def u64(n): return struct.pack("<Q", n)
def short(b): return u8(len(b)) + b
def long(b): return u32(len(b)) + b
def label(text): return b"sealpost/1 " + text.encode() + b"\0"
def sha256(b): return hashlib.sha256(b).digest()
def fixed(text, n=32): return hashlib.shake_256(b"sealpost vector " + text.encode()).digest(n)
def base32(b):
    import base64
    return base64.b32encode(b).decode().rstrip("=").lower()


def hkdf(salt, ikm, info, n):
    prk = hmac.new(salt, ikm, "sha256").digest()
    return expand(prk, info, n)


def expand(prk, info, n):
    out, block, i = b"", b"", 1
    while len(out) < n:
        block = hmac.new(prk, block + info + bytes([i]), "sha256").digest()
        out, i = out + block, i + 1
    return out[:n]


def x_public(secret): return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
def dh(secret, public): return X25519PrivateKey.from_private_bytes(secret).exchange(X25519PublicKey.from_public_bytes(public))
def k_public(seed): return MLKEM768PrivateKey.from_seed_bytes(seed).public_key().public_bytes_raw()
def encaps(public): return MLKEM768PublicKey.from_public_bytes(public).encapsulate()
def e_public(seed): return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
def sign(seed, text, body): return Ed25519PrivateKey.from_private_bytes(seed).sign(label(text) + body)


out = None


def vector(name, kind, expect="ok", **fields):
    lines = [f"name: {name}", f"kind: {kind}", f"expect: {expect}"]
    for key, value in fields.items():
        if isinstance(value, (bytes, bytearray)):
            value = value.hex()
        lines.append(f"{key.replace('_', '-')}: {value}")
    out.append("\n".join(lines))


def write(file, title):
    with open(os.path.join(HERE, file), "w") as handle:
        handle.write(f"# {title}\n# See README.md for the format and the kinds.\n\n" + "\n\n".join(out) + "\n")


# People: Alice begins, Bob receives.
class Person:
    def __init__(self, name, words_tail=None):
        self.name = name.encode()
        self.entropy = fixed(name + " entropy")
        self.seed = hkdf(bytes(32), self.entropy, label("recovery words"), 32)
        self.account = e_public(self.seed)
        self.device_seed = fixed(name + " device")
        self.identity = fixed(name + " identity")
        self.device = u32(1) + e_public(self.device_seed) + x_public(self.identity)
        self.list = u64(1) + short(self.name) + self.account + u8(1) + self.device
        self.list_signature = sign(self.seed, "device list", self.list)

    def party(self): return short(self.name) + self.account + self.device

    def prekey(self, role, number, key):
        kind = {1: 1, 2: 1, 3: 2, 4: 2, 5: 3}[role]
        body = u8(role) + u32(number) + u64(1_700_000_000) + u8(kind) + key
        return body, sign(self.device_seed, "prekey", body)


alice, bob = Person("alice"), Person("bob")
relay_seed = fixed("relay")
relay = e_public(relay_seed)

# ---------------------------------------------------------------- account
out = []
for text in ["al", "alice", "a" * 32, "0_.-"]:
    vector(f"name {text[:8]}", "name", text=text)
for why, text in [("too short", "a"), ("too long", "a" * 33), ("upper case", "Alice"), ("first a dot", ".alice"),
                  ("a space", "al ice"), ("not ASCII", "alicé")]:
    vector(f"name refused: {why}", "name", "refused", text=text)
for text, result in [("paul1", "pauil"), ("rnodern", "modem"), ("vv1ll.i-am", "wlllam"), ("c0l_52868", "colszbgb")]:
    result = text.replace("rn", "m").replace("vv", "w").replace("cl", "d")
    result = result.translate(str.maketrans("1i05286", "llosz" + "b" + "g", ".-_"))
    vector(f"skeleton of {text}", "skeleton", text=text, result=result)
vector("entropy to account key", "account", entropy=alice.entropy, key=alice.account)
vector("device list", "device-list", bytes=alice.list, number=1, account_name="alice", account=alice.account, devices=alice.device)
second = u32(7) + e_public(fixed("second")) + x_public(fixed("second identity"))
head = lambda number, name=b"alice": u64(number) + short(name) + alice.account
vector("device list of two", "device-list", bytes=head(9) + u8(2) + alice.device + second, number=9, account_name="alice",
       account=alice.account, devices=alice.device + second)
vector("device list refused: number 0", "device-list", "refused", bytes=head(0) + u8(1) + alice.device)
vector("device list refused: no device", "device-list", "refused", bytes=head(1) + u8(0))
nine = b"".join(u32(i) + alice.device[4:] for i in range(1, 10))
vector("device list refused: nine devices", "device-list", "refused", bytes=head(1) + u8(9) + nine)
vector("device list refused: ids fall", "device-list", "refused", bytes=head(1) + u8(2) + second + alice.device)
vector("device list refused: one id twice", "device-list", "refused", bytes=head(1) + u8(2) + alice.device + alice.device)
vector("device list refused: id 0", "device-list", "refused", bytes=head(1) + u8(1) + u32(0) + alice.device[4:])
vector("device list refused: no name", "device-list", "refused", bytes=head(1, b"Alice") + u8(1) + alice.device)
vector("device list refused: a byte left over", "device-list", "refused", bytes=alice.list + b"\0")
vector("device list refused: cut short", "device-list", "refused", bytes=alice.list[:-1])
vector("signed device list", "signed-device-list", body=alice.list, signature=alice.list_signature)
vector("signed device list refused: another account's signature", "signed-device-list", "refused", body=alice.list,
       signature=sign(bob.seed, "device list", alice.list))
vector("signed device list refused: another label", "signed-device-list", "refused", body=alice.list,
       signature=sign(alice.seed, "prekey", alice.list))
s = (int.from_bytes(alice.list_signature[32:], "little") + ORDER).to_bytes(32, "little")
vector("signed device list refused: a second encoding of the signature", "signed-device-list", "refused", body=alice.list,
       signature=alice.list_signature[:32] + s)
neutral = u8(1) + bytes(31)
weak = u64(1) + short(b"alice") + neutral + u8(1) + alice.device
vector("signed device list refused: an account key of small order", "signed-device-list", "refused", body=weak,
       signature=neutral + bytes(32))
opk, opk_signature = alice.prekey(2, 5, x_public(fixed("opk")))
device_key = alice.device[4:36]
vector("prekey", "prekey", bytes=opk, role=2, id=5, made_at=1_700_000_000, key=opk[14:])
vector("prekey refused: id 0", "prekey", "refused", bytes=opk[:1] + u32(0) + opk[5:])
vector("prekey refused: unknown role", "prekey", "refused", bytes=u8(6) + opk[1:])
vector("prekey refused: another type", "prekey", "refused", bytes=opk[:13] + u8(2) + opk[14:])
vector("prekey refused: another role's length", "prekey", "refused", bytes=u8(4) + opk[1:13] + u8(2) + opk[14:])
vector("prekey refused: a byte left over", "prekey", "refused", bytes=opk + b"\0")
vector("signed prekey", "signed-prekey", device=device_key, role=2, body=opk, signature=opk_signature)
vector("signed prekey refused: served as another role", "signed-prekey", "refused", device=device_key, role=1, body=opk,
       signature=opk_signature)
vector("signed prekey refused: another device", "signed-prekey", "refused", device=bob.device[4:36], role=2, body=opk,
       signature=opk_signature)
receipt = short(b"alice") + alice.account + u32(2) + u64(1_700_000_000_123)
vector("name receipt", "signed-receipt", relay=relay, body=receipt, signature=sign(relay_seed, "name receipt", receipt),
       account_name="alice", account=alice.account, generation=2, time=1_700_000_000_123)
vector("name receipt refused: another relay", "signed-receipt", "refused", relay=e_public(fixed("other relay")), body=receipt,
       signature=sign(relay_seed, "name receipt", receipt))
vector("name receipt refused: cut short", "signed-receipt", "refused", relay=relay, body=receipt[:-1],
       signature=sign(relay_seed, "name receipt", receipt[:-1]))
at = lambda generation, time: short(b"alice") + alice.account + u32(generation) + u64(time)
for name, left, right, wins in [("higher generation", at(3, 9), at(2, 1), "yes"), ("earlier time", at(2, 1), at(2, 2), "yes"),
                                ("lower generation", at(1, 1), at(2, 2), "no"), ("the same", at(2, 2), at(2, 2), "no")]:
    vector(f"receipt order: {name}", "receipt-order", left=left, right=right, wins=wins)
channel, challenge = fixed("channel"), fixed("challenge")
proof = relay + channel + challenge + short(b"alice") + u32(1) + u64(41)
login = dict(relay=relay, channel=channel, challenge=challenge, account_name="alice", device=1, device_key=device_key)
vector("login", "login", **login, generation=41, signature=sign(alice.device_seed, "login", proof))
vector("login refused: another generation", "login", "refused", **login, generation=40,
       signature=sign(alice.device_seed, "login", proof))
vector("fingerprint", "fingerprint", account=alice.account, text=base32(sha256(label("fingerprint") + alice.account)))
vector("mailbox", "mailbox", device_key=device_key, mailbox=sha256(label("mailbox") + device_key)[:16])
token = fixed("token")
vector("token hash", "token-hash", token=token, hash=sha256(label("delivery token") + token))
pin = base32(sha256(relay))
vector("relay pin", "relay-pin", key=relay, text=pin)
fp = base32(sha256(label("fingerprint") + alice.account))
link = f"sealpost://relay.example.org,[::1]:7443/{pin}/alice?fp={fp}"
vector("contact link", "contact-link", text=link)
vector("contact link with invite", "contact-link", text=link + "&invite=abc-123")
vector("contact link refused: no fingerprint", "contact-link", "refused", text=link.split("?")[0])
vector("contact link refused: an unknown part", "contact-link", "refused", text=link + "&x=1")
vector("contact link refused: a short fingerprint", "contact-link", "refused", text=link[:-1])


def safety_half(name, key):
    h = hashlib.sha512(label("safety number") + u16(1) + key + short(name) + key).digest()
    for _ in range(5199):
        h = hashlib.sha512(h + key).digest()
    return "".join(f"{int.from_bytes(h[i:i + 5], 'big') % 100000:05}" for i in range(0, 30, 5))


vector("safety number", "safety-number", name_a="alice", key_a=alice.account, name_b="bob", key_b=bob.account,
       number="".join(sorted([safety_half(b"alice", alice.account), safety_half(b"bob", bob.account)])))
write("account.txt", "Names, keys and what they sign: spec/account.md")

# ---------------------------------------------------------------- message
out = []
dhs = [fixed(f"dh{i}") for i in range(1, 5)]
shared = fixed("shared")
pqxdh_label = label("pqxdh X25519 ML-KEM-768 HKDF-SHA256 ChaCha20-Poly1305")


def root_key(parts, kem): return hkdf(bytes(32), b"\xff" * 32 + b"".join(parts) + kem, pqxdh_label, 32)


vector("PQXDH root key, four agreements", "pqxdh-key", dh1=dhs[0], dh2=dhs[1], dh3=dhs[2], dh4=dhs[3], shared=shared,
       root=root_key(dhs, shared))
vector("PQXDH root key, no one-time prekey", "pqxdh-key", dh1=dhs[0], dh2=dhs[1], dh3=dhs[2], shared=shared,
       root=root_key(dhs[:3], shared))


def bundle_hash(spk, one_time, pqpk):
    key = lambda pair: long(pair[0]) + pair[1]
    middle = u8(1) + key(one_time) if one_time else u8(0)
    return sha256(label("prekey bundle") + key(spk) + middle + key(pqpk))


spk_secret, opk_secret, pqpk_seed = fixed("bob spk"), fixed("bob opk"), fixed("bob pqpk", 64)
spk = bob.prekey(1, 11, x_public(spk_secret))
bob_opk = bob.prekey(2, 22, x_public(opk_secret))
pqpk = bob.prekey(4, 33, k_public(pqpk_seed))
last = bob.prekey(3, 34, k_public(pqpk_seed))

ephemeral = fixed("ephemeral")
kem_shared, kem_ciphertext = encaps(k_public(pqpk_seed))
part = x_public(ephemeral) + u32(11) + u32(22) + u8(4) + u32(33) + kem_ciphertext
part_without = x_public(ephemeral) + u32(11) + u32(0) + u8(3) + u32(34) + kem_ciphertext
vector("session id", "session-id", part=part, id=sha256(label("session id") + part))


def associated(bundle, pqxdh_part): return sha256(label("session") + u16(1) + alice.party() + bob.party() + bundle + pqxdh_part)


full, exhausted = bundle_hash(spk, bob_opk, pqpk), bundle_hash(spk, None, last)
vector("associated data", "associated-data", initiator=alice.party(), recipient=bob.party(), bundle=full, part=part,
       hash=associated(full, part))

ratchet_secret, ratchet_seed = fixed("alice ratchet"), fixed("alice ratchet kem", 64)
a1, k1 = x_public(ratchet_secret), k_public(ratchet_seed)


def agree(pqxdh_part, with_one_time):
    parts = [dh(alice.identity, x_public(spk_secret)), dh(ephemeral, bob.device[36:]), dh(ephemeral, x_public(spk_secret))]
    if with_one_time:
        parts.append(dh(ephemeral, x_public(opk_secret)))
    return root_key(parts, kem_shared)


def first_chain(root):
    info = label("first chain") + sha256(a1 + k1 + x_public(spk_secret))
    both = hkdf(root, dh(ratchet_secret, x_public(spk_secret)), info, 64)
    return both[:32], both[32:]


def later_chain(root, dh_output, kem, curve, ek, ct, peer, peer_ek):
    both = hkdf(root, dh_output + kem, label("hybrid ratchet") + sha256(curve + ek + ct + peer + peer_ek), 64)
    return both[:32], both[32:]


def step(chain): return hmac.new(chain, b"\x02", "sha256").digest(), hmac.new(chain, b"\x01", "sha256").digest()


def message(header, associated_data, chain, number, salt, plaintext):
    for _ in range(number + 1):
        chain, key = step(chain)
    both = hkdf(salt, key, label("message"), 44)
    return header + ChaCha20Poly1305(both[:32]).encrypt(both[32:], plaintext, associated_data + header)


root = agree(part, True)
salt = fixed("salt", 16)
root1, chain1 = first_chain(root)
vector("first chain", "first-chain", root=root, dh=dh(ratchet_secret, x_public(spk_secret)), ratchet=a1, kem=k1,
       prekey=x_public(spk_secret), next_root=root1, chain=chain1)
vector("chain step", "chain-step", chain=chain1, next_chain=step(chain1)[0], message_key=step(chain1)[1])
key = step(chain1)[1]
both = hkdf(salt, key, label("message"), 44)
vector("message key", "message-key", message_key=key, salt=salt, key=both[:32], nonce=both[32:])

# Bob answers with a chain of his own; Alice reads it with the pair of her first chain.
bob_secret, bob_seed = fixed("bob ratchet"), fixed("bob ratchet kem", 64)
a2, k2 = x_public(bob_secret), k_public(bob_seed)
ss2, ct2 = encaps(k1)
root2, chain2 = later_chain(root1, dh(bob_secret, a1), ss2, a2, k2, ct2, a1, k1)
vector("later chain", "later-chain", root=root1, dh=dh(bob_secret, a1), shared=ss2, ratchet=a2, kem=k2, ciphertext=ct2,
       peer=a1, peer_kem=k1, next_root=root2, chain=chain2)
vector("ML-KEM decapsulation from a seed", "ml-kem", seed=ratchet_seed, public=k1, ciphertext=ct2, shared=ss2)
vector("chain id of a first chain", "chain-id", ratchet=a1, kem=k1, id=sha256(a1 + k1))
vector("chain id of a later chain", "chain-id", ratchet=a2, kem=k2, ciphertext=ct2, id=sha256(a2 + k2 + ct2))


def first_header(pqxdh_part, number): return u8(1) + u8(1) + pqxdh_part + a1 + k1 + u32(0) + u32(number) + salt


bobs = dict(device_seed=bob.device_seed, identity=bob.identity, spk_secret=spk_secret, spk=spk[0], spk_signature=spk[1])
one_time = dict(opk_secret=opk_secret, opk=bob_opk[0], opk_signature=bob_opk[1])
kem = dict(pqpk_seed=pqpk_seed, pqpk=pqpk[0], pqpk_signature=pqpk[1])
last_kem = dict(pqpk_seed=pqpk_seed, pqpk=last[0], pqpk_signature=last[1])
sides = dict(own=bob.party(), peer=alice.party())
first = message(first_header(part, 0), associated(full, part), chain1, 0, salt, b"hello, Bob")
third = message(first_header(part, 2), associated(full, part), chain1, 2, salt, b"third")
vector("a first message is accepted", "accept", **sides, **bobs, **one_time, **kem, message=first, plaintext=b"hello, Bob")
vector("the third message is accepted as the first", "accept", **sides, **bobs, **one_time, **kem, message=third, plaintext=b"third")
root_without, chain_without = first_chain(agree(part_without, False))
without = message(first_header(part_without, 0), associated(exhausted, part_without), chain_without, 0, salt, b"no one-time keys")
vector("a first message without one-time keys is accepted", "accept", **sides, **bobs, **last_kem, message=without,
       plaintext=b"no one-time keys")
refused = lambda name, m, **change: vector(f"accept refused: {name}", "accept", "refused",
                                           **{**sides, **bobs, **one_time, **kem, **change}, message=m)
refused("a flipped bit in the tag", first[:-1] + bytes([first[-1] ^ 1]))
refused("another name of the initiator", first, peer=short(b"alicia") + alice.account + alice.device)
refused("a bundle with another signature", first, spk_signature=bob_opk[1])
zero = bytes(32) + part[32:]
refused("an ephemeral key of low order", message(first_header(zero, 0), associated(full, zero), chain1, 0, salt, b"x"))
far = first_header(part, 1001)
refused("a jump of 1,001", message(far, associated(full, part), chain1, 1001, salt, b"x"))
vector("a jump of 1,000 is accepted", "accept", **sides, **bobs, **one_time, **kem,
       message=message(first_header(part, 1000), associated(full, part), chain1, 1000, salt, b"far"), plaintext=b"far")

later = u8(1) + u8(2) + a2 + k2 + ct2 + u32(0) + u32(0) + salt + bytes(16)
vector("session message of a first chain", "session-message", bytes=first)
vector("session message of a later chain", "session-message", bytes=later)
bad = lambda name, m: vector(f"session message refused: {name}", "session-message", "refused", bytes=m)
bad("another version", u8(2) + later[1:])
bad("no parts", u8(1) + u8(0) + later[2:])
bad("both parts", u8(1) + u8(3) + part + later[2:])
bad("an unknown part", u8(1) + u8(6) + later[2:])
bad("shorter than its tag", later[:-1])
bad("PQXDH part with signed prekey 0", first[:34] + u32(0) + first[38:])
bad("PQXDH part with KEM prekey 0", first[:43] + u32(0) + first[47:])
bad("PQXDH part with a role that is no KEM's", first[:42] + u8(2) + first[43:])
write("message.txt", "PQXDH, ratchet and session messages: spec/message.md")

# ---------------------------------------------------------------- sealed boxes
out = []


def x_wing_keys(seed):
    wide = hashlib.shake_256(seed).digest(96)
    return wide[:64], wide[64:], k_public(wide[:64]) + x_public(wide[64:])


def x_wing_encaps(public, ephemeral):
    ss_m, ct_m = encaps(public[:1184])
    ct_x = x_public(ephemeral)
    ss = hashlib.sha3_256(ss_m + dh(ephemeral, public[1184:]) + ct_x + public[1184:] + b"\\.//^\\").digest()
    return ct_m + ct_x, ss


def key_schedule(suite, shared, info):
    extract = lambda salt, what, ikm: hmac.new(salt, b"HPKE-v1" + suite + what + ikm, "sha256").digest()
    context = u8(0) + extract(b"", b"psk_id_hash", b"") + extract(b"", b"info_hash", info)
    secret = extract(shared, b"secret", b"")
    wide = lambda what, n: expand(secret, struct.pack(">H", n) + b"HPKE-v1" + suite + what + context, n)
    return wide(b"key", 32), wide(b"base_nonce", 12)


SUITE = b"HPKE\x64\x7a\x00\x01\x00\x03"
box_seed = fixed("box key")
_, _, box_public = x_wing_keys(box_seed)
enc, box_shared = x_wing_encaps(box_public, fixed("box ephemeral"))
vector("X-Wing", "x-wing", seed=box_seed, public=box_public, ciphertext=enc, shared=box_shared)
vector("HPKE key schedule, RFC 9180 A.2.1", "hpke-key-schedule", suite=b"HPKE\x00\x20\x00\x01\x00\x03",
       shared=bytes.fromhex("0bbe78490412b4bbea4812666f7916932b828bba79942424abb65244930d69a7"),
       info=bytes.fromhex("4f6465206f6e2061204772656369616e2055726e"),
       key=bytes.fromhex("ad2744de8e17f4ebba575b3f5f5a8fa1f69c2a07f6e7500bc60ca6e3e3ec1c91"),
       nonce=bytes.fromhex("5c4d98150661b848853b547f"))
inner = u32(1) + long(alice.list) + alice.list_signature + long(first[:200])
ROOM = 6 * 1024 - 4 - 1120 - 16
padded = inner + bytes(ROOM - len(inner))
vector("sealing", "sealing", bytes=padded, device=1, list=alice.list, signature=alice.list_signature, message=first[:200])
vector("sealing refused: padding that is not zero", "sealing", "refused", bytes=padded[:-1] + b"\x01")
vector("sealing refused: it would have fitted a smaller box", "sealing", "refused", bytes=padded + bytes(10 * 1024))
vector("sealing refused: a length beyond the end", "sealing", "refused", bytes=u32(1) + u32(70_000) + padded[8:])
vector("sealing refused: no box's size", "sealing", "refused", bytes=padded[:-1])
envelope, key_id = fixed("envelope", 16), 55
info = lambda device, number=key_id: label("sealed box") + u16(1) + device + u32(number)
aad = lambda eid: label("envelope") + sha256(label("mailbox") + bob.device[4:36])[:16] + u32(key_id) + eid
key, nonce = key_schedule(SUITE, box_shared, info(bob.device))
box = u32(key_id) + enc + ChaCha20Poly1305(key).encrypt(nonce, padded, aad(envelope))
signed_box = bob.prekey(5, key_id, box_public)
mine = dict(device_seed=bob.device_seed, identity=bob.identity, box_seed=box_seed, box_key=signed_box[0],
            box_key_signature=signed_box[1])
vector("sealed box", "sealed-box", **mine, device=bob.device, envelope=envelope, bytes=box, sealing=inner)
nope = lambda name, b, device=bob.device, eid=envelope: vector(f"sealed box refused: {name}", "sealed-box", "refused", **mine,
                                                                device=device, envelope=eid, bytes=b)
nope("another envelope id", box, eid=fixed("other", 16))
nope("another device id", box, device=u32(2) + bob.device[4:])
nope("a flipped bit in enc", box[:50] + bytes([box[50] ^ 4]) + box[51:])
nope("a flipped bit in the ciphertext", box[:3000] + bytes([box[3000] ^ 4]) + box[3001:])
nope("a length that is no box's", box + b"\0")
nope("key id 0", u32(0) + box[4:])
write("sealed.txt", "Sealed boxes: spec/message.md")

# ---------------------------------------------------------------- wire
out = []
text64 = lambda b: u64(len(b)) + b
vector("client hello", "client-hello", bytes=b"SEAL" + u16(1) + u16(3) + u8(1))
for why, b in [("another magic", b"SEAM" + u16(1) + u16(3) + u8(1)), ("lowest above highest", b"SEAL" + u16(3) + u16(1) + u8(1)),
               ("an unknown kind", b"SEAL" + u16(1) + u16(3) + u8(2)), ("a byte left over", b"SEAL" + u16(1) + u16(3) + u8(1) + b"\0")]:
    vector(f"client hello refused: {why}", "client-hello", "refused", bytes=b)
vector("relay hello: no version fits", "relay-hello-none", bytes=b"SEAL" + u16(0) + u16(2) + u16(4), lowest=2, highest=4)
vector("relay hello refused: a version that was not offered", "relay-hello-none", "refused", bytes=b"SEAL" + u16(9) + u16(2) + u16(4))
vector("client frame: pong", "client-frame", bytes=u32(1) + u64(7))
request = u32(5) + text64(b"alice")
vector("client frame: request with work", "client-frame", bytes=u32(0) + u32(9) + u8(1) + u64(1) + u64(12345) + text64(request))
vector("client frame: request without work", "client-frame", bytes=u32(0) + u32(9) + u8(0) + text64(request))
vector("client frame refused: unknown variant", "client-frame", "refused", bytes=u32(2) + u64(7))
vector("client frame refused: a byte left over", "client-frame", "refused", bytes=u32(1) + u64(7) + b"\0")
vector("client frame refused: option tag 2", "client-frame", "refused", bytes=u32(0) + u32(9) + u8(2) + text64(request))
vector("client frame refused: a length of a tebibyte", "client-frame", "refused", bytes=u32(0) + u32(9) + u8(0) + u64(1 << 40))
vector("relay frame: answer done", "relay-frame", bytes=u32(0) + u32(9) + u32(0) + u32(0))
vector("relay frame: ping", "relay-frame", bytes=u32(2) + u64(7))
vector("relay frame: redirect", "relay-frame", bytes=u32(4) + text64(b"relay.example.org:7443"))
vector("relay frame refused: text that is not UTF-8", "relay-frame", "refused", bytes=u32(4) + text64(b"\xff"))
exporter, body = fixed("exporter"), request
start = label("proof of work") + relay + exporter + u64(3) + sha256(body)
nonce = 0
while int.from_bytes(sha256(start + u64(nonce))[:4], "big") >> 16:
    nonce += 1
work = dict(relay=relay, exporter=exporter, counter=3, request=body)
vector("proof of work of 16 bits", "work", **work, nonce=nonce, bits=16)
vector("proof of work refused: another nonce", "work", "refused", **work, nonce=nonce - 1, bits=16)
vector("proof of work refused: another counter", "work", "refused", **{**work, "counter": 4}, nonce=nonce, bits=16)
write("wire.txt", "Hellos, frames and proof of work: spec/wire.md, spec/relay.md")

# ---------------------------------------------------------------- rooms
out = []
uuid = bytes.fromhex("018bcfe568007abc8def0123456789ab")


def post_head(number=1, kind=1, target=bytes(16), target_hash=bytes(32), text=b"hello", room=b"lobby"):
    return (relay + short(room) + short(b"alice") + alice.account + alice.device + u64(number) + bytes(32)
            + u64(1_700_000_000_000) + uuid + u8(kind) + target + target_hash + sha256(text))


head = post_head()
vector("post head", "post-head", bytes=head)
vector("post head of a reply", "post-head", bytes=post_head(kind=4, target=uuid, target_hash=fixed("target")))
for why, b in [("number 0", post_head(number=0)), ("a reply without target", post_head(kind=4)),
               ("a text with target", post_head(target=uuid)), ("an unknown kind", post_head(kind=8)),
               ("no room's name", post_head(room=b"Lobby")), ("a byte left over", head + b"\0")]:
    vector(f"post head refused: {why}", "post-head", "refused", bytes=b)
vector("post hash", "post-hash", head=head, hash=sha256(label("post hash") + head))
post = dict(relay=relay, head=head, signature=sign(alice.device_seed, "post", head), list=alice.list, list_signature=alice.list_signature)
vector("post", "post", **post, body=b"hello")
vector("post whose body was removed", "post", **post)
vector("post refused: another body", "post", "refused", **post, body=b"hullo")
vector("post refused: another relay", "post", "refused", **{**post, "relay": fixed("other relay")}, body=b"hello")
vector("post refused: signed by the account key", "post", "refused",
       **{**post, "signature": sign(alice.seed, "post", head)}, body=b"hello")
vector("post refused: somebody else's list", "post", "refused",
       **{**post, "list": bob.list, "list_signature": bob.list_signature}, body=b"hello")
write("room.txt", "Posts: spec/room.md")
