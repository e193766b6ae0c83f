"""What each kind of vector of spec/vectors asks for, as its README says."""

import json

from . import account, attachment, encoding, message, room
from .primitive import (
    LABELS,
    Refused,
    check,
    ed25519_public,
    kem_check,
    kem_decapsulate,
    kem_public,
    le,
    sha256,
    verify,
    x25519,
    x25519_public,
)


class Vector:
    """The fields of one vector, and which of them were looked at."""

    def __init__(self, place, fields):
        self.place, self.fields, self.seen = place, fields, {"name", "kind", "expect"}

    def text(self, name):
        self.seen.add(name)
        return self.fields[name]

    def has(self, name):
        return name in self.fields

    def bytes(self, name):
        return bytes.fromhex(self.text(name))

    def number(self, name):
        return int(self.text(name))

    def signed(self, name):
        return self.bytes(name), self.bytes(f"{name}-signature")

    def perhaps(self, name):
        return self.signed(name) if self.has(name) else None

    def device(self, prefix=""):
        return ed25519_public(self.bytes(f"{prefix}device-seed")), self.bytes(f"{prefix}identity")

    def same(self, **values):
        """Whether each field is this value, and there where the value is."""
        for name, value in values.items():
            name = name.replace("_", "-")
            if value is None:
                if self.has(name):
                    return False
            elif {bytes: self.bytes, int: self.number}.get(type(value), self.text)(name) != value:
                return False
        return True


def refuses(function, *arguments):
    try:
        function(*arguments)
    except Refused:
        return True
    return False


KINDS = {}


def kind(*names):
    def register(function):
        KINDS.update({name: function for name in names})
        return function

    return register


def taken(*_):
    return True


kind("name")(lambda v: taken(account.name(v.text("text"))))
kind("room-name")(lambda v: taken(account.room(v.text("text"))))
kind("skeleton")(lambda v: v.same(result=account.skeleton(account.name(v.text("text")))))
kind("account")(lambda v: v.same(key=account.account_key(v.bytes("entropy"))))
kind("kem-key")(lambda v: taken(kem_check(v.bytes("key"))))
kind("agreement")(lambda v: v.same(shared=x25519(v.bytes("secret"), v.bytes("public"))))
kind("signed-device-list")(lambda v: taken(account.signed_list(v.bytes("body"), v.bytes("signature"))))
kind("fingerprint")(lambda v: v.same(text=account.base32(sha256(LABELS["FINGERPRINT"], v.bytes("account")))))
kind("mailbox")(lambda v: v.same(mailbox=message.mailbox(v.bytes("device-key"))))
kind("invite-hash")(lambda v: v.same(hash=sha256(LABELS["INVITE"], v.bytes("token"))))
kind("token-hash")(lambda v: v.same(hash=sha256(LABELS["DELIVERY_TOKEN"], v.bytes("token"))))
kind("relay-pin")(lambda v: v.same(text=account.base32(sha256(v.bytes("key")))))
kind("session-id")(lambda v: v.same(id=message.session_id(v.bytes("part"))))
kind("post-hash")(lambda v: v.same(hash=room.post_hash(v.bytes("head"))))
kind("post-head")(lambda v: v.same(**room.post_head(v.bytes("bytes"))))
kind("frame-length")(
    lambda v: v.same(length=encoding.frame_length(v.bytes("prefix"), {"yes": True, "no": False}[v.text("hello")]))
)


@kind("recovery-words")
def recovery_words(v):
    entropy = account.entropy_of(v.text("words"))
    return v.same(entropy=entropy, key=account.account_key(entropy))


@kind("device-list")
def device_list(v):
    number, name, key, devices = account.device_list(v.bytes("bytes"))
    return v.same(number=number, account_name=name, account=key, devices=b"".join(device.bytes for device in devices))


@kind("prekey")
def prekey(v):
    role, number, made_at, key = account.prekey(v.bytes("bytes"))
    return v.same(role=role, id=number, made_at=made_at, key=key)


@kind("signed-prekey")
def signed_prekey(v):
    return taken(account.signed_prekey((v.bytes("body"), v.bytes("signature")), v.bytes("device"), v.number("role")))


@kind("bundle")
def bundle(v):
    devices = account.signed_list(*v.signed("list"))[3]
    return v.same(
        hash=account.bundle(
            devices, v.number("device"), v.signed("spk"), v.perhaps("opk"), v.signed("pqpk"), v.signed("box-key")
        )
    )


@kind("signed-receipt")
def signed_receipt(v):
    name, key, generation, time = account.receipt(v.bytes("body"))
    verify(v.bytes("relay"), "NAME_RECEIPT", v.bytes("body"), v.bytes("signature"))
    return v.same(account_name=name, account=key, generation=generation, time=time)


@kind("signed-room")
def signed_room(v):
    place, name, key, time = room.receipt(v.bytes("body"))
    verify(v.bytes("relay"), "ROOM_RECEIPT", v.bytes("body"), v.bytes("signature"))
    return v.same(room=place, account_name=name, account=key, time=time)


@kind("person")
def person(v):
    name, reason = room.person(v.bytes("bytes"))
    return v.same(account_name=name, reason=reason)


@kind("receipt-order")
def receipt_order(v):
    return v.same(
        wins="yes" if account.outranks(account.receipt(v.bytes("left")), account.receipt(v.bytes("right"))) else "no"
    )


@kind("login")
def login(v):
    proof = account.login_proof(
        v.bytes("relay"),
        v.bytes("channel"),
        v.bytes("challenge"),
        v.text("account-name"),
        v.number("device"),
        v.number("generation"),
    )
    return taken(verify(v.bytes("device-key"), "LOGIN", proof, v.bytes("signature")))


@kind("leave")
def leave(v):
    proof = account.leave_proof(v.bytes("relay"), v.bytes("channel"), v.bytes("challenge"), v.text("account-name"))
    return taken(verify(v.bytes("account"), "LEAVE", proof, v.bytes("signature")))


@kind("relay-address")
def relay_address(v):
    hosts, port, pin = account.address(v.text("text"))
    return v.same(hosts=",".join(hosts), port=port, pin=pin)


@kind("contact-link")
def contact_link(v):
    (hosts, port, pin), name, fingerprint, invite = account.contact_link(v.text("text"))
    return v.same(hosts=",".join(hosts), port=port, pin=pin, account_name=name, fingerprint=fingerprint, invite=invite)


@kind("device-request")
def device_request(v):
    device, identity, fingerprint, code = account.device_request(v.text("text"))
    return v.same(device=device, identity=identity, fingerprint=fingerprint, code=code)


@kind("safety-number")
def safety_number(v):
    return v.same(
        number=account.safety_number((v.text("name-a"), v.bytes("key-a")), (v.text("name-b"), v.bytes("key-b")))
    )


@kind("pqxdh-key")
def pqxdh_key(v):
    agreements = [v.bytes(f"dh{number}") for number in (1, 2, 3, 4) if v.has(f"dh{number}")]
    return v.same(root=message.root_key(agreements, v.bytes("shared")))


@kind("associated-data")
def associated_data(v):
    return v.same(hash=message.associated_data(*map(v.bytes, ("initiator", "recipient", "bundle", "part"))))


@kind("first-chain")
def first_chain(v):
    root, chain = message.first_chain(*map(v.bytes, ("root", "dh", "ratchet", "kem", "prekey")))
    return v.same(next_root=root, chain=chain)


@kind("later-chain")
def later_chain(v):
    root, chain = message.later_chain(
        *map(v.bytes, ("root", "dh", "shared", "ratchet", "kem", "ciphertext", "peer", "peer-kem"))
    )
    return v.same(next_root=root, chain=chain)


@kind("chain-id")
def chain_id(v):
    return v.same(
        id=message.chain_id(v.bytes("ratchet"), v.bytes("kem"), v.bytes("ciphertext") if v.has("ciphertext") else b"")
    )


@kind("chain-step")
def chain_step(v):
    chain, key = message.chain_step(v.bytes("chain"))
    return v.same(next_chain=chain, message_key=key)


@kind("message-key")
def message_key(v):
    key, nonce = message.message_key(v.bytes("message-key"), v.bytes("salt"))
    return v.same(key=key, nonce=nonce)


@kind("attachment-chunk")
def attachment_chunk(v):
    last = {"yes": True, "no": False}[v.text("last")]
    key, nonce = attachment.key(v.bytes("file-key"), v.bytes("blob"), v.bytes("salt")), attachment.nonce(v.number("number"), last)
    return v.same(key=key, nonce=nonce, plaintext=attachment.opened(key, nonce, v.bytes("sealed")))


@kind("attachment-parts")
def attachment_parts(v):
    return v.same(parts=attachment.parts(v.number("size")))


@kind("ml-kem")
def ml_kem(v):
    return v.same(public=kem_public(v.bytes("seed")), shared=kem_decapsulate(v.bytes("seed"), v.bytes("ciphertext")))


@kind("session-message")
def session_message(v):
    said = message.Message(v.bytes("bytes"))
    return v.same(
        part=said.part and said.part.bytes,
        ratchet=said.public,
        kem=said.kem,
        ct=said.ciphertext or None,
        pn=said.previous,
        n=said.number,
        salt=said.salt,
        sealed=said.sealed,
    )


@kind("named-prekeys")
def named_prekeys(v):
    part = message.Message(v.bytes("message")).part
    check(part)
    return v.same(spk=part.spk, opk=part.opk, role=part.role, pqpk=part.pqpk, remembered=part.remembered())


def bobs_keys(v):
    """His keys with their signatures; and their secrets."""
    keys = {name: v.perhaps(name) for name in ("spk", "opk", "pqpk")}
    secrets = {name: v.bytes(f"{name}-{'seed' if name == 'pqpk' else 'secret'}") for name in keys if keys[name]}
    return keys, secrets


@kind("accept")
def accept(v):
    keys, secrets = bobs_keys(v)
    _, plaintext = message.accept(v.bytes("own"), v.device(), v.bytes("peer"), keys, secrets, v.bytes("message"))
    return v.same(plaintext=plaintext)


@kind("conversation")
def conversation(v):
    keys, secrets = bobs_keys(v)
    for name, roles in (("spk", [1]), ("opk", [2]), ("pqpk", [3, 4])):
        account.signed_prekey(keys[name], v.device("bob-")[0], *roles)
    people = {name: (v.bytes(name), v.device(f"{name}-")) for name in ("alice", "bob")}
    sessions, made, number = {}, {}, 1
    while v.has(f"step-{number}"):
        who, does, *values = v.text(f"step-{number}").split(" ")
        own, secret = people[who]
        if does == "waits":
            sessions[who] = message.wait(sessions[who], int(values[0]))
            number += 1
            continue
        values = [
            made[int(value[1:])] if value[0] == "@" else bytes.fromhex(value.replace("-", "")) for value in values
        ]
        peer = people["bob" if who == "alice" else "alice"][0]
        if does == "begins":
            drawn = message.Drawn(values[0])
            sessions[who] = message.initiate(own, secret, peer, keys, drawn)
            drawn.end()
        elif does == "encrypts":
            drawn = message.Drawn(values[0])
            sessions[who], made[number] = message.encrypt(sessions[who], values[1], drawn)
            drawn.end()
            check(made[number] == values[2])
        elif does == "accepts":
            sessions[who], plaintext = message.accept(own, secret, peer, keys, secrets, values[0])
            check(plaintext == values[1])
        elif does == "reads":
            sessions[who], plaintext = message.decrypt(sessions[who], values[0])
            check(plaintext == values[1])
        else:
            check(does == "refuses" and refuses(message.decrypt, sessions[who], values[0]))
        number += 1
    return True


@kind("x-wing")
def x_wing(v):
    seed = v.bytes("seed")
    return v.same(public=message.x_wing_public(seed), shared=message.x_wing_decapsulate(seed, v.bytes("ciphertext")))


@kind("hpke-key-schedule")
def hpke_key_schedule(v):
    key, nonce = message.key_schedule(v.bytes("suite"), v.bytes("shared"), v.bytes("info"))
    return v.same(key=key, nonce=nonce)


@kind("sealing")
def sealing(v):
    (device, its_list, signature, inner), _ = message.sealing(v.bytes("bytes"))
    return v.same(device=device, list=its_list, signature=signature, message=inner)


@kind("box-size")
def box_size(v):
    return v.same(size=message.box_size(4 + 4 + len(v.bytes("list")) + 64 + 4 + v.number("message-length")))


@kind("sealed-box")
def sealed_box(v):
    seed, identity = v.device()
    _, number, _, public = account.signed_prekey(v.signed("box-key"), seed, 5)
    check(public == message.x_wing_public(v.bytes("box-seed")))
    opened = message.open_box(number, v.bytes("box-seed"), v.bytes("device"), v.bytes("envelope"), v.bytes("bytes"))
    return v.same(sealing=opened) and v.bytes("device")[4:] == seed + x25519_public(identity)


@kind("client-hello")
def client_hello(v):
    lowest, highest, link = encoding.client_hello(v.bytes("bytes"))
    return v.same(lowest=lowest, highest=highest, link=link)


@kind("relay-hello-none")
def relay_hello_none(v):
    versions, hello = encoding.relay_hello(v.bytes("bytes"))
    return hello is None and v.same(lowest=versions[0], highest=versions[1])


@kind("relay-hello")
def relay_hello(v):
    hello = encoding.relay_hello(v.bytes("bytes"))[1]
    return json.loads(v.text("value")) == hello and b"SEAL\1\0" + encoding.HELLO[1](hello) == v.bytes("bytes")


@kind(*encoding.TYPES)
def encoded(v):
    of = encoding.TYPES[v.text("kind")]
    value = encoding.decode(of, v.bytes("bytes"))
    return json.loads(v.text("value")) == value and of[1](value) == v.bytes("bytes")


@kind("work")
def work(v):
    hashed = sha256(
        LABELS["WORK"],
        v.bytes("relay"),
        v.bytes("exporter"),
        le(v.number("counter"), 8),
        sha256(v.bytes("request")),
        le(v.number("nonce"), 8),
    )
    return taken(check(256 - int.from_bytes(hashed, "big").bit_length() >= v.number("bits")))


@kind("post")
def post(v):
    return taken(
        room.verify_post(
            v.bytes("relay"),
            v.bytes("head"),
            v.bytes("signature"),
            *v.signed("list"),
            v.bytes("body") if v.has("body") else None,
        )
    )
