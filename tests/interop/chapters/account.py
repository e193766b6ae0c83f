"""spec/account.md, and the texts of spec/relay.md: names, keys, what they sign, what people compare."""

import base64
import hashlib
import ipaddress
import re

from mnemonic import Mnemonic

from .primitive import LABELS, Layout, Refused, check, ed25519_public, hkdf, kem_check, le, long, sha256, short, verify

KEY_LENGTH = {1: (1, 32), 2: (1, 32), 3: (2, 1184), 4: (2, 1184), 5: (3, 1216)}


def name(text):
    check(re.fullmatch(r"[a-z0-9][a-z0-9_.-]{1,31}", text, re.ASCII))
    return text


def room(text):
    check(re.fullmatch(r"[a-z0-9][a-z0-9_.-]{0,31}", text, re.ASCII))
    return text


def text_of(data):
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Refused from None


def skeleton(text):
    alike = {"1": "l", "i": "l", "0": "o", "5": "s", "2": "z", "8": "b", "6": "g", ".": "", "-": "", "_": ""}
    text = "".join(alike.get(letter, letter) for letter in text)
    for pair, one in (("rn", "m"), ("vv", "w"), ("cl", "d")):
        text = text.replace(pair, one)
    return text


def account_key(entropy):
    return ed25519_public(hkdf(bytes(32), entropy, LABELS["RECOVERY"], 32))


def entropy_of(words):
    """BIP 39, 24 words of the English list: eleven bits each, the last eight bits are a checksum."""
    known = Mnemonic("english").wordlist
    words = words.split(" ")
    check(len(words) == 24 and all(word in known for word in words))
    number = 0
    for word in words:
        number = number << 11 | known.index(word)
    entropy = (number >> 8).to_bytes(32, "big")
    check(number & 0xFF == sha256(entropy)[0])
    return entropy


class Device:
    def __init__(self, layout):
        start = layout.at
        self.id, self.key, self.identity = layout.number(4), layout.take(32), layout.take(32)
        self.bytes = layout.data[start : layout.at]


def device_list(body):
    layout = Layout(body)
    number, called, account, count = layout.number(8), name(text_of(layout.short())), layout.take(32), layout.number(1)
    check(number >= 1 and 1 <= count <= 8)
    devices = [Device(layout) for _ in range(count)]
    layout.end()
    ids = [0] + [device.id for device in devices]
    check(all(low < high for low, high in zip(ids, ids[1:])))
    return number, called, account, devices


def signed_list(body, signature):
    parsed = device_list(body)
    verify(parsed[2], "DEVICE_LIST", body, signature)
    return parsed


def prekey(body):
    layout = Layout(body)
    role, number, made_at, kind = layout.number(1), layout.number(4), layout.number(8), layout.number(1)
    check(role in KEY_LENGTH and number and KEY_LENGTH[role] == (kind, len(body) - 14))
    return role, number, made_at, layout.rest()


def signed_prekey(pair, device, *roles):
    parsed = prekey(pair[0])
    check(parsed[0] in roles)
    verify(device, "PREKEY", *pair)
    return parsed


def bundle_hash(signed, one_time, kem):
    key = lambda pair: long(pair[0]) + pair[1]
    return sha256(LABELS["BUNDLE"], key(signed), b"\1" + key(one_time) if one_time else b"\0", key(kem))


def bundle(devices, number, spk, opk, pqpk, box_key):
    """Verifies a bundle as an initiator does before it uses any key of it; the bundle's hash."""
    keys = [device.key for device in devices if device.id == number]
    check(keys)
    signed_prekey(spk, keys[0], 1)
    if opk:
        signed_prekey(opk, keys[0], 2)
    kem_check(signed_prekey(pqpk, keys[0], 3, 4)[3])
    kem_check(signed_prekey(box_key, keys[0], 5)[3][:1184])
    return bundle_hash(spk, opk, pqpk)


def receipt(body):
    layout = Layout(body)
    parsed = name(text_of(layout.short())), layout.take(32), layout.number(4), layout.number(8)
    layout.end()
    return parsed


def outranks(left, right):
    return (left[2], -left[3]) > (right[2], -right[3])


def login_proof(relay, channel, challenge, called, device, generation):
    return relay + channel + challenge + short(called.encode()) + le(device, 4) + le(generation, 8)


def leave_proof(relay, channel, challenge, called):
    return relay + channel + challenge + short(called.encode())


def base32(data):
    return base64.b32encode(data).decode().lower().rstrip("=")


def of_base32(text):
    """32 bytes from their one text of 52 characters."""
    check(re.fullmatch(r"[a-z2-7]{52}", text))
    data = base64.b32decode(text.upper() + "====")
    check(base32(data) == text)
    return data


def address(text):
    """sealpost://host[,host...]:port/key."""
    match = re.fullmatch(r"sealpost://(.+):([0-9]+)/([a-z2-7]+)", text)
    check(match)
    hosts, port = match[1].split(","), int(match[2])
    check(len(hosts) <= 8 and 1 <= port <= 65535)
    for host in hosts:
        if host[:1] == "[" and host[-1:] == "]":
            try:
                ipaddress.IPv6Address(host[1:-1])
            except ValueError:
                raise Refused from None
        else:
            check(re.fullmatch(r"[A-Za-z0-9.][A-Za-z0-9.-]{0,252}", host))
    return hosts, port, of_base32(match[3])


def contact_link(text):
    match = re.fullmatch(r"(sealpost://[^?]*)/([^/?]*)\?fp=([^&]*)(?:&invite=([A-Za-z0-9-]+))?", text)
    check(match)
    return address(match[1]), name(match[2]), of_base32(match[3]), match[4]


def device_request(text):
    match = re.fullmatch(r"sealpost-device:([a-z2-7]{160})", text)
    check(match)
    data = base64.b32decode(match[1].upper())
    hashed = sha256(LABELS["DEVICE_REQUEST"], data[:96])
    check(data[96:] == hashed[:4])
    code = base32(hashed[4:16])
    return data[:32], data[32:64], data[64:96], "-".join(code[at : at + 4] for at in range(0, 20, 4))


def safety_number(*sides):
    def half(called, key):
        value = hashlib.sha512(LABELS["SAFETY_NUMBER"] + le(1, 2) + key + short(called.encode()) + key).digest()
        for _ in range(2, 5201):
            value = hashlib.sha512(value + key).digest()
        return "".join("%05d" % (int.from_bytes(value[at : at + 5], "big") % 100000) for at in range(0, 30, 5))

    return "".join(sorted(half(*side) for side in sides))
