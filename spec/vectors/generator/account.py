"""Names, keys and what they sign: spec/account.md."""

import hashlib

from .notation import (
    File,
    base32,
    bad_kem_key,
    e_public,
    fixed,
    flip,
    hkdf,
    k_public,
    label,
    second_encoding,
    sha256,
    short,
    sign,
    signed_with_neutral,
    u8,
    u16,
    u32,
    u64,
    x_public,
)
from .people import alice, bob, last, opk as bob_opk, pqpk, relay, relay_seed, spk

out = File("account.txt", "Names, keys and what they sign: spec/account.md")
vector, refused = out.vector, out.refused

# ---------------------------------------------------------------- names
for text in ["al", "alice", "a" * 32, "0_.-"]:
    vector(f"name {text[:8]}", "name", text=text)
for why, text in [
    ("too short", "a"),
    ("too long", "a" * 33),
    ("upper case", "Alice"),
    ("first a dot", ".alice"),
    ("a space", "al ice"),
    ("not ASCII", "alicé"),
    ("empty", ""),
    ("first a hyphen", "-alice"),
    ("first an underscore", "_alice"),
    ("a slash", "al/ice"),
    ("a letter that looks like another", "аlice"),
]:
    refused("name", why, "name", text=text)
for text, result in [
    ("paul1", "paull"),
    ("rnodern", "modem"),
    ("vv1ll.i-am", "wllllam"),
    ("c0l_52868", "colszbgb"),
    ("clrnvv", "dmw"),
    ("clara", "dara"),
    ("c1ara", "dara"),
    ("c.iara", "dara"),
    ("vvvv_v", "wwv"),
    ("v_v", "w"),
    ("r.n", "m"),
    ("a-0.b_1", "aobl"),
]:
    vector(f"skeleton of {text}", "skeleton", text=text, result=result)

# ---------------------------------------------------------------- the account key and its words
vector("entropy to account key", "account", entropy=alice.entropy, key=alice.account)
# Words and entropy are the vectors for 256 bits that BIP 39 refers to; the keys are ours.
words = {
    "00": "abandon " * 23 + "art",
    "7f": "legal winner thank year wave sausage worth useful " * 2 + "legal winner thank year wave sausage worth title",
    "80": "letter advice cage absurd amount doctor acoustic avoid " * 2
    + "letter advice cage absurd amount doctor acoustic bless",
    "ff": "zoo " * 23 + "vote",
}
for byte, text in words.items():
    entropy = bytes.fromhex(byte * 32)
    vector(
        f"words of 32 bytes {byte}",
        "recovery-words",
        words=text,
        entropy=entropy,
        key=e_public(hkdf(bytes(32), entropy, label("recovery words"), 32)),
    )
for why, text in [
    ("a wrong checksum", "abandon " * 23 + "abandon"),
    ("23 words", "abandon " * 22 + "art"),
    ("25 words", "abandon " * 24 + "art"),
    ("12 words", "abandon " * 11 + "about"),
    ("a word that is not on the list", "abandon " * 22 + "abandom art"),
    ("two words exchanged", "winner legal" + words["7f"][12:]),
]:
    refused("words", why, "recovery-words", words=text)

# ---------------------------------------------------------------- device lists
vector(
    "device list",
    "device-list",
    bytes=alice.list,
    number=1,
    account_name="alice",
    account=alice.account,
    devices=alice.device,
)
second = u32(7) + e_public(fixed("second")) + x_public(fixed("second identity"))
head = lambda number, name=b"alice": u64(number) + short(name) + alice.account
vector(
    "device list of two",
    "device-list",
    bytes=head(9) + u8(2) + alice.device + second,
    number=9,
    account_name="alice",
    account=alice.account,
    devices=alice.device + second,
)
many = lambda count: b"".join(u32(i) + alice.device[4:] for i in range(1, count + 1))
vector(
    "device list of eight, the highest number",
    "device-list",
    bytes=head(2**64 - 1) + u8(8) + many(8),
    number=2**64 - 1,
    account_name="alice",
    account=alice.account,
    devices=many(8),
)
for why, body in [
    ("number 0", head(0) + u8(1) + alice.device),
    ("no device", head(1) + u8(0)),
    ("nine devices", head(1) + u8(9) + many(9)),
    ("ids fall", head(1) + u8(2) + second + alice.device),
    ("one id twice", head(1) + u8(2) + alice.device + alice.device),
    ("id 0", head(1) + u8(1) + u32(0) + alice.device[4:]),
    ("no name", head(1, b"Alice") + u8(1) + alice.device),
    ("a byte left over", alice.list + b"\0"),
    ("cut short", alice.list[:-1]),
    ("a name that is not ASCII", head(1, "alicé".encode()) + u8(1) + alice.device),
    ("a name of 33 bytes", head(1, b"a" * 33) + u8(1) + alice.device),
    ("a device more than it counts", head(9) + u8(1) + alice.device + second),
    ("a device less than it counts", head(9) + u8(2) + alice.device),
    ("empty", b""),
]:
    refused("device list", why, "device-list", bytes=body)
vector("signed device list", "signed-device-list", body=alice.list, signature=alice.list_signature)
neutral = u8(1) + bytes(31)
weak = u64(1) + short(b"alice") + neutral + u8(1) + alice.device
no_list = head(0) + u8(1) + alice.device
no_point = u64(1) + short(b"alice") + u8(2) + bytes(31) + u8(1) + alice.device
for why, body, signature in [
    ("another account's signature", alice.list, sign(bob.seed, "device list", alice.list)),
    ("another label", alice.list, sign(alice.seed, "prekey", alice.list)),
    ("a second encoding of the signature", alice.list, second_encoding(alice.list_signature)),
    ("an account key of small order", weak, neutral + bytes(32)),
    ("an account key that is no point", no_point, sign(alice.seed, "device list", no_point)),
    ("R of small order", alice.list, signed_with_neutral(alice.seed, "device list", alice.list)),
    ("signed by the device", alice.list, sign(alice.device_seed, "device list", alice.list)),
    ("a body that is no list", no_list, sign(alice.seed, "device list", no_list)),
    ("another number", u64(2) + alice.list[8:], alice.list_signature),
    ("another device key", flip(alice.list, 60), alice.list_signature),
]:
    refused("signed device list", why, "signed-device-list", body=body, signature=signature)

# ---------------------------------------------------------------- prekeys
box_key = bob.prekey(5, 55, k_public(fixed("box kem", 64)) + x_public(fixed("box curve")))
opk, opk_signature = alice.prekey(2, 5, x_public(fixed("opk")))
parsed = lambda body: dict(
    bytes=body,
    role=body[0],
    id=int.from_bytes(body[1:5], "little"),
    made_at=int.from_bytes(body[5:13], "little"),
    key=body[14:],
)
vector("prekey", "prekey", **parsed(opk))
for what, (body, _) in [
    ("signed prekey, role 1", spk),
    ("last-resort KEM prekey, role 3", last),
    ("one-time KEM prekey, role 4", pqpk),
    ("box key, role 5", box_key),
]:
    vector(f"prekey: {what}", "prekey", **parsed(body))
for why, body in [
    ("id 0", opk[:1] + u32(0) + opk[5:]),
    ("unknown role", u8(6) + opk[1:]),
    ("another type", opk[:13] + u8(2) + opk[14:]),
    ("another role's length", u8(4) + opk[1:13] + u8(2) + opk[14:]),
    ("a byte left over", opk + b"\0"),
    ("role 0", u8(0) + opk[1:]),
    ("type 0", opk[:13] + u8(0) + opk[14:]),
    ("cut short", opk[:-1]),
    ("a KEM key cut short", pqpk[0][:-1]),
    ("a KEM key with a byte left over", pqpk[0] + b"\0"),
    ("a KEM key of X25519's type", pqpk[0][:13] + u8(1) + pqpk[0][14:]),
    ("a box key of ML-KEM's length", box_key[0][:-32]),
    ("a box key cut short", box_key[0][:-1]),
    ("a box key of ML-KEM's type", box_key[0][:13] + u8(2) + box_key[0][14:]),
]:
    refused("prekey", why, "prekey", bytes=body)
key = alice.device_key
vector("signed prekey", "signed-prekey", device=key, role=2, body=opk, signature=opk_signature)
for role, (body, signature) in [(1, spk), (3, last), (4, pqpk), (5, box_key)]:
    vector(
        f"signed prekey of role {role}",
        "signed-prekey",
        device=bob.device_key,
        role=role,
        body=body,
        signature=signature,
    )
nothing = opk[:1] + u32(0) + opk[5:]
for why, device, role, body, signature in [
    ("served as another role", key, 1, opk, opk_signature),
    ("another device", bob.device_key, 2, opk, opk_signature),
    ("a last-resort key served as a one-time one", bob.device_key, 4, *last),
    ("another label", key, 2, opk, sign(alice.device_seed, "login", opk)),
    ("signed by the account key", key, 2, opk, sign(alice.seed, "prekey", opk)),
    ("a second encoding of the signature", key, 2, opk, second_encoding(opk_signature)),
    ("R of small order", key, 2, opk, signed_with_neutral(alice.device_seed, "prekey", opk)),
    ("a body that is no prekey", key, 2, nothing, sign(alice.device_seed, "prekey", nothing)),
    ("another id", key, 2, opk[:1] + u32(6) + opk[5:], opk_signature),
    ("another key", key, 2, flip(opk, 20), opk_signature),
]:
    refused("signed prekey", why, "signed-prekey", device=device, role=role, body=body, signature=signature)

# ---------------------------------------------------------------- bundles
fields = lambda name, pair: {name: pair[0], f"{name}_signature": pair[1]}
full = {
    "list": bob.list,
    "list_signature": bob.list_signature,
    "device": 1,
    **fields("spk", spk),
    **fields("opk", bob_opk),
    **fields("pqpk", pqpk),
    **fields("box_key", box_key),
}
exhausted = {k: v for k, v in {**full, **fields("pqpk", last)}.items() if not k.startswith("opk")}


def bundle_hash(signed, one_time, kem):
    served = lambda pair: long_form(pair[0]) + pair[1]
    long_form = lambda body: u32(len(body)) + body
    middle = u8(1) + served(one_time) if one_time else u8(0)
    return sha256(label("prekey bundle") + served(signed) + middle + served(kem))


vector("bundle", "bundle", **full, hash=bundle_hash(spk, bob_opk, pqpk))
vector("bundle without one-time keys", "bundle", **exhausted, hash=bundle_hash(spk, None, last))
vector(
    "bundle without a one-time X25519 key alone",
    "bundle",
    **{**exhausted, **fields("pqpk", pqpk)},
    hash=bundle_hash(spk, None, pqpk),
)
vector(
    "bundle without a one-time KEM key alone",
    "bundle",
    **{**full, **fields("pqpk", last)},
    hash=bundle_hash(spk, bob_opk, last),
)
other = lambda pair: (pair[0], sign(alice.device_seed, "prekey", pair[0]))
for name, pair in [("spk", spk), ("opk", bob_opk), ("pqpk", pqpk), ("box_key", box_key)]:
    refused(
        "bundle",
        f"{name.replace('_', '-')} is signed by another device",
        "bundle",
        **{**full, **fields(name, other(pair))},
    )
refused(
    "bundle",
    "the last-resort KEM prekey is signed by another device",
    "bundle",
    **{**exhausted, **fields("pqpk", other(last))},
)
refused("bundle", "a one-time prekey as signed prekey", "bundle", **{**full, **fields("spk", bob_opk)})
refused("bundle", "a signed prekey as one-time prekey", "bundle", **{**full, **fields("opk", spk)})
refused("bundle", "a box key as KEM prekey", "bundle", **{**full, **fields("pqpk", box_key)})
refused("bundle", "a KEM prekey as box key", "bundle", **{**full, **fields("box_key", pqpk)})
refused("bundle", "the list has no such device", "bundle", **{**full, "device": 2})
refused(
    "bundle",
    "the list is not signed by its account",
    "bundle",
    **{**full, "list_signature": sign(alice.seed, "device list", bob.list)},
)
refused(
    "bundle",
    "a KEM prekey that fails the modulus check",
    "bundle",
    **{**full, **fields("pqpk", bob.prekey(4, 33, bad_kem_key(pqpk[0][14:])))},
)
bad_box = bad_kem_key(box_key[0][14:1198]) + box_key[0][1198:]
refused(
    "bundle",
    "a box key whose ML-KEM half fails the modulus check",
    "bundle",
    **{**full, **fields("box_key", bob.prekey(5, 55, bad_box))},
)

# ---------------------------------------------------------------- receipts
receipt = short(b"alice") + alice.account + u32(2) + u64(1_700_000_000_123)
signature = sign(relay_seed, "name receipt", receipt)
vector(
    "name receipt",
    "signed-receipt",
    relay=relay,
    body=receipt,
    signature=signature,
    account_name="alice",
    account=alice.account,
    generation=2,
    time=1_700_000_000_123,
)
under = lambda body: (body, sign(relay_seed, "name receipt", body))
for why, key_of, body, by in [
    ("another relay", e_public(fixed("other relay")), receipt, signature),
    ("cut short", relay, *under(receipt[:-1])),
    ("a byte left over", relay, *under(receipt + b"\0")),
    ("no name", relay, *under(short(b"Alice") + receipt[6:])),
    ("another label", relay, receipt, sign(relay_seed, "tree head", receipt)),
    ("another account", relay, flip(receipt, 10), signature),
    ("another generation", relay, flip(receipt, 38), signature),
    ("another time", relay, flip(receipt, 42), signature),
    ("a second encoding of the signature", relay, receipt, second_encoding(signature)),
    ("R of small order", relay, receipt, signed_with_neutral(relay_seed, "name receipt", receipt)),
]:
    refused("name receipt", why, "signed-receipt", relay=key_of, body=body, signature=by)
at = lambda generation, time: short(b"alice") + alice.account + u32(generation) + u64(time)
for name, left, right, wins in [
    ("higher generation", at(3, 9), at(2, 1), "yes"),
    ("earlier time", at(2, 1), at(2, 2), "yes"),
    ("lower generation", at(1, 1), at(2, 2), "no"),
    ("the same", at(2, 2), at(2, 2), "no"),
    ("later time", at(2, 2), at(2, 1), "no"),
    ("generations are numbers", at(256, 1), at(255, 1), "yes"),
]:
    vector(f"receipt order: {name}", "receipt-order", left=left, right=right, wins=wins)

# ---------------------------------------------------------------- login
channel, challenge = fixed("channel"), fixed("challenge")
proof = relay + channel + challenge + short(b"alice") + u32(1) + u64(41)
login = dict(relay=relay, channel=channel, challenge=challenge, account_name="alice", device=1, device_key=key)
good = sign(alice.device_seed, "login", proof)
vector("login", "login", **login, generation=41, signature=good)
refused("login", "another generation", "login", **login, generation=40, signature=good)
for why, change in [
    ("another relay", {"relay": e_public(fixed("other relay"))}),
    ("another channel", {"channel": fixed("other channel")}),
    ("another challenge", {"challenge": fixed("other challenge")}),
    ("another name", {"account_name": "alicia"}),
    ("another device id", {"device": 2}),
    ("another device's key", {"device_key": bob.device_key}),
    ("another label", {"signature": sign(alice.device_seed, "post", proof)}),
    ("signed by the account key", {"signature": sign(alice.seed, "login", proof)}),
    ("a second encoding of the signature", {"signature": second_encoding(good)}),
    ("R of small order", {"signature": signed_with_neutral(alice.device_seed, "login", proof)}),
]:
    refused("login", why, "login", **{**login, "generation": 41, "signature": good, **change})
weak_login = dict(login, generation=41, device_key=neutral, signature=neutral + bytes(32))
refused("login", "a device key of small order", "login", **weak_login)

# ---------------------------------------------------------------- leaving
farewell = relay + channel + challenge + short(b"alice")
leave = dict(relay=relay, channel=channel, challenge=challenge, account_name="alice", account=alice.account)
by_account = sign(alice.seed, "leave", farewell)
vector("leave", "leave", **leave, signature=by_account)
for why, change in [
    ("another relay", {"relay": e_public(fixed("other relay"))}),
    ("another channel", {"channel": fixed("other channel")}),
    ("another challenge", {"challenge": fixed("other challenge")}),
    ("another name", {"account_name": "alicia"}),
    ("another account", {"account": bob.account}),
    ("another label", {"signature": sign(alice.seed, "device list", farewell)}),
    ("signed by a device", {"signature": sign(alice.device_seed, "leave", farewell)}),
    ("a second encoding of the signature", {"signature": second_encoding(by_account)}),
    ("R of small order", {"signature": signed_with_neutral(alice.seed, "leave", farewell)}),
]:
    refused("leave", why, "leave", **{**leave, "signature": by_account, **change})

# ---------------------------------------------------------------- hashes of keys, links, the safety number
vector("fingerprint", "fingerprint", account=alice.account, text=base32(sha256(label("fingerprint") + alice.account)))
vector("mailbox", "mailbox", device_key=key, mailbox=sha256(label("mailbox") + key)[:16])
token = fixed("token")
vector("invite hash", "invite-hash", token=token[:16], hash=sha256(label("invite") + token[:16]))
vector("token hash", "token-hash", token=token, hash=sha256(label("delivery token") + token))
pin = base32(sha256(relay))
vector("relay pin", "relay-pin", key=relay, text=pin)
fp = base32(sha256(label("fingerprint") + alice.account))
fragment = dict(hosts="relay.example.org,[::1]", port=7443, pin=sha256(relay))
whose = dict(account_name="alice", fingerprint=sha256(label("fingerprint") + alice.account))
address = f"sealpost://relay.example.org,[::1]:7443/{pin}"
link = f"{address}/alice?fp={fp}"
vector("contact link", "contact-link", text=link, **fragment, **whose)
vector("contact link with invite", "contact-link", text=link + "&invite=abc-123", **fragment, **whose, invite="abc-123")
# 52 characters have four bits more than 32 bytes.
overlong = (
    lambda text: text[:-1] + "abcdefghijklmnopqrstuvwxyz234567"["abcdefghijklmnopqrstuvwxyz234567".index(text[-1]) | 1]
)
for why, text in [
    ("no fingerprint", link.split("?")[0]),
    ("an unknown part", link + "&x=1"),
    ("a short fingerprint", link[:-1]),
    ("a long fingerprint", link + "a"),
    ("bits beyond the fingerprint", overlong(link)),
    ("an empty fingerprint", f"{address}/alice?fp="),
    ("no name", f"{address}/?fp={fp}"),
    ("a name that is none", f"{address}/Alice?fp={fp}"),
    ("an empty invite", link + "&invite="),
    ("no key", f"sealpost://relay.example.org:7443/alice?fp={fp}"),
    ("another scheme", "https" + link[8:]),
]:
    refused("contact link", why, "contact-link", text=text)
vector("relay address", "relay-address", text=address, **fragment)
eight = ",".join(f"host{i}" for i in range(8))
vector(
    "relay address with eight hosts",
    "relay-address",
    text=f"sealpost://{eight}:65535/{pin}",
    hosts=eight,
    port=65535,
    pin=sha256(relay),
)
for why, text in [
    ("nine hosts", f"sealpost://{eight},host8:7443/{pin}"),
    ("no host", f"sealpost://:7443/{pin}"),
    ("an empty host", f"sealpost://a,:7443/{pin}"),
    ("no port", f"sealpost://a/{pin}"),
    ("port 0", f"sealpost://a:0/{pin}"),
    ("port 65,536", f"sealpost://a:65536/{pin}"),
    ("a space in a host", f"sealpost://a b:7443/{pin}"),
    ("no IPv6 address in brackets", f"sealpost://[::g]:7443/{pin}"),
    ("a short key", f"sealpost://a:7443/{pin[1:]}"),
    ("no key", "sealpost://a:7443"),
    ("bits beyond the key", f"sealpost://a:7443/{overlong(pin)}"),
    ("another scheme", f"https://a:7443/{pin}"),
]:
    refused("relay address", why, "relay-address", text=text)


asked = alice.device[4:] + sha256(label("fingerprint") + alice.account)
hashed = sha256(label("device request") + asked)
asked, code = asked + hashed[:4], base32(hashed[4:16])
written = lambda data: f"sealpost-device:{base32(data)}"
vector(
    "device request",
    "device-request",
    text=written(asked),
    device=asked[:32],
    identity=asked[32:64],
    fingerprint=asked[64:96],
    code="-".join(code[at : at + 4] for at in range(0, 20, 4)),
)
for why, text in [
    ("another check", written(asked[:-1] + bytes([asked[-1] ^ 1]))),
    ("another key", written(bytes([asked[0] ^ 1]) + asked[1:])),
    ("a byte less", written(asked[:-1])),
    ("a byte more", written(asked + b"\0")),
    ("another scheme", written(asked).replace("device", "vice")),
]:
    refused("device request", why, "device-request", text=text)


def safety_half(name, key):
    h = hashlib.sha512(label("safety number") + u16(1) + key + short(name) + key).digest()
    for _ in range(5199):
        h = hashlib.sha512(h + key).digest()
    return "".join(f"{int.from_bytes(h[i:i + 5], 'big') % 100000:05}" for i in range(0, 30, 5))


sides = {
    "a": ("alice", alice.account),
    "b": ("bob", bob.account),
    "c": ("alicia", alice.account),
    "d": ("alice", bob.account),
}
for name, left, right in [
    ("safety number", "a", "b"),
    ("safety number, sides exchanged", "b", "a"),
    ("safety number under another name", "c", "b"),
    ("safety number of another key", "d", "b"),
]:
    halves = sorted(safety_half(sides[side][0].encode(), sides[side][1]) for side in (left, right))
    vector(
        name,
        "safety-number",
        name_a=sides[left][0],
        key_a=sides[left][1],
        name_b=sides[right][0],
        key_b=sides[right][1],
        number="".join(halves),
    )
