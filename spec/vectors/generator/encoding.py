"""Encoded frames, requests, answers and contents: spec/wire.md, with the types as the chapters' modules declare them.

Each value stands beside its bytes as JSON: structs are objects, a variant is its name, or an object with the name as its only
key; byte strings are hex. Every function here returns both, bytes first.
"""

from .notation import File, fixed, u8, u16, u32, u64
from .people import alice, opk, spk

out = File("encoding.txt", "Encoded frames, requests, answers and contents: spec/wire.md and the types of all chapters")


def num(n, wide=u64):
    return wide(n), n


def flag(yes):
    return u8(yes), yes


def raw(b):
    return b, b.hex()


def text(s):
    return u64(len(s.encode())) + s.encode(), s


def data(b):
    return u64(len(b)) + b, b.hex()


def some(pair):
    return b"\1" + pair[0], pair[1]


def many(*pairs):
    return u64(len(pairs)) + b"".join(pair[0] for pair in pairs), [pair[1] for pair in pairs]


def pair(*parts):
    return b"".join(part[0] for part in parts), [part[1] for part in parts]


def struct(**parts):
    return b"".join(part[0] for part in parts.values()), {key: part[1] for key, part in parts.items()}


def unit(n, name):
    return u32(n), name


def variant(n, name, inner):
    return u32(n) + inner[0], {name: inner[1]}


NONE = b"\0", None
signed = lambda of: struct(body=data(of[0]), signature=raw(of[1]))
the_list = signed((alice.list, alice.list_signature))
id16, id16b, key32, signature = (
    raw(fixed("id", 16)),
    raw(fixed("another id", 16)),
    raw(fixed("key")),
    raw(fixed("signature", 64)),
)
work = some(struct(counter=num(1), nonce=num(12345)))
login = struct(name=text("alice"), device=num(1, u32), generation=num(41), signature=signature)
no_keys = struct(signed=NONE, last_resort_kem=NONE, box_key=NONE, one_time=many(), one_time_kem=many())
short_key = lambda what: struct(body=data(fixed(what, 5)), signature=raw(fixed(what + " signature", 64)))
keys = struct(
    signed=some(signed(spk)),
    last_resort_kem=some(short_key("last")),
    box_key=some(short_key("box")),
    one_time=many(signed(opk), short_key("one-time")),
    one_time_kem=many(short_key("KEM")),
)
counts = struct(one_time=num(100, u32), one_time_kem=num(40, u32))
post = struct(head=short_key("head"), author=the_list, body=some(data(b"hello")))
removed = struct(head=short_key("head"), author=the_list, body=NONE)
envelope = struct(mailbox=id16, id=id16b, sealed=data(fixed("box", 40)))
no_head = struct(log=raw(bytes(32)), size=num(0), time=num(0), root=raw(bytes(32)), signature=raw(bytes(64)))
tree_head = struct(log=key32, size=num(12), time=num(1_700_000_000_000), root=raw(fixed("root")), signature=signature)
bundle = lambda one_time: struct(
    device=num(1, u32), signed=signed(spk), one_time=one_time, kem=short_key("kem"), box_key=short_key("box")
)


def takes(kind, what, value):
    out.vector(
        f"{kind.replace('-', ' ')}: {what}",
        kind,
        bytes=value[0],
        value=value[1] if isinstance(value[1], (dict, list)) else f'"{value[1]}"',
    )


def bad(kind, why, b):
    out.refused(kind.replace("-", " "), why, kind, bytes=b)


def bent(kind, what, value):
    """What every encoding must be refused for."""
    bad(kind, f"{what}, cut short", value[0][:-1])
    bad(kind, f"{what}, a byte left over", value[0] + b"\0")


# ---------------------------------------------------------------- requests
REQUESTS = [
    (
        "Register",
        struct(
            list=the_list,
            keys=keys,
            token=key32,
            receipt=some(short_key("receipt")),
            invite=some(text("abc-123")),
            login=login,
        ),
    ),
    ("Login", login),
    ("Publish", keys),
    ("SetToken", key32),
    ("Acknowledge", many(pair(num(1), id16), pair(num(2**64 - 1), id16b))),
    ("FetchBundle", text("alice")),
    ("FetchDevices", text("bob")),
    ("Deliver", struct(token=some(key32), envelope=envelope)),
    ("Post", post),
    ("Follow", struct(room=text("lobby"), after=num(7))),
    ("Unfollow", text("lobby")),
    ("Rooms", struct(after=some(text("lobby")))),
    ("Members", struct(room=text("lobby"), after=some(text("alice")))),
    (
        "PutBlob",
        struct(
            recipient=text("bob"),
            token=some(key32),
            blob=id16,
            parts=num(9, u32),
            part=num(3, u32),
            bytes=data(b"part"),
        ),
    ),
    ("FetchBlob", struct(blob=id16, part=num(3, u32))),
    ("DropBlob", id16),
    ("Room", struct(room=text("garden"), receipt=some(short_key("receipt")))),
    ("Unregister", struct(signature=signature)),
    ("SetDevices", struct(list=the_list, token=key32)),
]
for number, (name, inner) in enumerate(REQUESTS):
    takes("request", name, variant(number, name, inner))
    bent("request", name, variant(number, name, inner))
takes(
    "request",
    "Register for the first time",
    variant(0, "Register", struct(list=the_list, keys=no_keys, token=key32, receipt=NONE, invite=NONE, login=login)),
)
takes("request", "Acknowledge nothing", variant(4, "Acknowledge", many()))
takes("request", "Deliver without token", variant(7, "Deliver", struct(token=NONE, envelope=envelope)))
takes("request", "Post without body", variant(8, "Post", removed))
takes(
    "request",
    "PutBlob that asks how far it came",
    variant(
        13,
        "PutBlob",
        struct(recipient=text("bob"), token=NONE, blob=id16, parts=num(9, u32), part=num(0, u32), bytes=data(b"")),
    ),
)
takes("request", "Room without receipt", variant(16, "Room", struct(room=text("garden"), receipt=NONE)))
takes("request", "Rooms from the start", variant(11, "Rooms", struct(after=NONE)))
takes("request", "Members from the start", variant(12, "Members", struct(room=text("lobby"), after=NONE)))
for why, b in [
    ("an unknown variant", u32(19)),
    ("the highest variant", u32(2**32 - 1)),
    ("empty", b""),
    ("a variant cut short", u32(3)[:3]),
    ("a name that is none", u32(5) + text("Alice")[0]),
    ("a name of one letter", u32(5) + text("a")[0]),
    ("a name of 33 letters", u32(5) + text("a" * 33)[0]),
    ("a name that is not UTF-8", u32(5) + u64(2) + b"\xff\xfe"),
    ("a room that is none", u32(10) + text("Lobby")[0]),
    ("a room with its mark", u32(10) + text("#lobby")[0]),
    ("an empty room", u32(10) + text("")[0]),
    ("option tag 2", u32(11) + b"\2" + text("lobby")[0]),
    ("option tag 255", u32(11) + b"\xff"),
    ("a name beyond the end", u32(5) + u64(6) + b"alice"),
    ("a count beyond the end", u32(4) + u64(2) + u64(1) + fixed("id", 16)),
    ("a count of 2^60", u32(4) + u64(1 << 60)),
    ("the highest count", u32(4) + u64(2**64 - 1)),
    (
        "an invite that is not UTF-8",
        variant(
            0,
            "Register",
            struct(list=the_list, keys=no_keys, token=key32, receipt=NONE, invite=some(data(b"\xc3\x28")), login=login),
        )[0],
    ),
]:
    bad("request", why, b)

# ---------------------------------------------------------------- answers and refusals
ANSWERS = [
    ("Done", None),
    ("Registered", struct(receipt=short_key("receipt"), generation=num(3), keys=counts)),
    ("LoggedIn", struct(generation=num(3), keys=counts)),
    ("Published", struct(keys=counts)),
    ("Bundle", struct(list=the_list, devices=many(bundle(some(signed(opk))), bundle(NONE)))),
    ("Devices", the_list),
    ("Accepted", struct(seq=num(12))),
    ("Posted", struct(seq=num(12), id=id16)),
    ("Rooms", many(struct(room=text("lobby"), members=num(3, u32), posts=num(70)))),
    ("Members", many(struct(name=text("alice"), online=flag(True)), struct(name=text("bob"), online=flag(False)))),
    ("Blob", struct(parts=num(9, u32), bytes=data(b"part"))),
    ("Stored", struct(parts=num(3, u32))),
    ("Room", struct(receipt=some(short_key("receipt")))),
]
REFUSALS = [
    "Malformed",
    "Unsupported",
    "WrongLink",
    "BadSignature",
    "NameTaken",
    "RegistrationClosed",
    "InviteNeeded",
    "NoSuchName",
    "NoSuchMailbox",
    "MailboxFull",
    ("WorkNeeded", struct(bits=num(18, u8))),
    "UnknownToken",
    ("TooFast", struct(retry_after_ms=num(1500, u32))),
    ("TooLarge", struct(limit=num(16384))),
    ("QuotaReached", struct(limit=num(200))),
    "NoSuchRoom",
    "NotMember",
    ("PostOutOfOrder", struct(wanted=num(8))),
    "StaleDeviceList",
    "StaleKey",
    ("Banned", struct(reason=text("spam"))),
    ("Kicked", struct(reason=text("ruhig, bitte – später"))),
    "Replaced",
    "Stopping",
    ("Internal", struct(id=num(2**64 - 1))),
    "TimedOut",
    "TooManyLinks",
    "NoSuchPost",
    "NoSuchBlob",
    "NotCreator",
    ("BannedFromRoom", struct(reason=text("spam"))),
]
made = lambda number, of: (
    variant(number, *of) if isinstance(of, tuple) and of[1] else unit(number, of if isinstance(of, str) else of[0])
)
ok = lambda inner: variant(0, "Ok", inner)
err = lambda inner: variant(1, "Err", inner)
for number, answer in enumerate(ANSWERS):
    takes("answer", answer[0], ok(made(number, answer)))
    bent("answer", answer[0], ok(made(number, answer)))
for number, refusal in enumerate(REFUSALS):
    takes("answer", f"refusal {number}", err(made(number, refusal)))
    if isinstance(refusal, tuple):
        bent("answer", f"refusal {number}", err(made(number, refusal)))
takes("answer", "Room without creator", ok(variant(12, "Room", struct(receipt=NONE))))
for why, b in [
    ("neither answer nor refusal", u32(2)),
    ("an unknown answer", u32(0) + u32(13)),
    ("an unknown refusal", u32(1) + u32(31)),
    ("empty", b""),
    ("a bool of 2", u32(0) + u32(9) + u64(1) + text("alice")[0] + u8(2)),
    ("a reason that is not UTF-8", u32(1) + u32(20) + u64(1) + b"\xff"),
    ("a member whose name is none", u32(0) + u32(9) + u64(1) + text("-")[0] + u8(1)),
    ("a count beyond the end", u32(0) + u32(8) + u64(1 << 40)),
]:
    bad("answer", why, b)

# ---------------------------------------------------------------- frames
request = u32(5) + text("alice")[0]
pushed = variant(0, "Envelope", struct(seq=num(1), id=id16, sealed=data(fixed("box", 40))))
posted = variant(1, "Post", struct(room=text("lobby"), seq=num(2), post=post))
noticed = variant(2, "Notice", struct(id=id16, time=num(1_700_000_000_000), text=text("back at 9 – 再见")))
asked = struct(id=num(9, u32), work=work, body=data(request))
CLIENT = [
    ("request with work", variant(0, "Request", asked)),
    ("request without work", variant(0, "Request", struct(id=num(9, u32), work=NONE, body=data(request)))),
    ("pong", variant(1, "Pong", num(7))),
]
RELAY = [
    ("answer done", variant(0, "Answer", struct(id=num(9, u32), answer=ok(unit(0, "Done"))))),
    ("refusal", variant(0, "Answer", struct(id=num(9, u32), answer=err(made(10, REFUSALS[10]))))),
    ("envelope", variant(1, "Push", pushed)),
    ("post", variant(1, "Push", posted)),
    ("notice", variant(1, "Push", noticed)),
    ("ping", variant(2, "Ping", num(7))),
    ("goodbye", variant(3, "Goodbye", unit(22, "Replaced"))),
    ("redirect", variant(4, "Redirect", text("relay.example.org:7443"))),
]
for kind, frames in (("client-frame", CLIENT), ("relay-frame", RELAY)):
    for name, frame in frames:
        takes(kind, name, frame)
        bent(kind, name, frame)
for why, b in [
    ("unknown variant", u32(2) + u64(7)),
    ("option tag 2", u32(0) + u32(9) + u8(2) + data(request)[0]),
    ("empty", b""),
    ("a length of a tebibyte", u32(0) + u32(9) + u8(0) + u64(1 << 40)),
    ("the highest length", u32(0) + u32(9) + u8(0) + u64(2**64 - 1)),
]:
    bad("client-frame", why, b)
for why, b in [
    ("unknown variant", u32(5) + u64(7)),
    ("text that is not UTF-8", u32(4) + u64(1) + b"\xff"),
    ("an unknown push", u32(1) + u32(3)),
    ("a notice that is not UTF-8", u32(1) + u32(2) + fixed("id", 16) + u64(0) + u64(1) + b"\xff"),
    ("an unknown goodbye", u32(3) + u32(31)),
    ("empty", b""),
    ("a length of a tebibyte", u32(4) + u64(1 << 40)),
    ("a room that is none", u32(1) + u32(1) + text("Lobby")[0] + posted[0][4 + 8 + 5 :]),
]:
    bad("relay-frame", why, b)

# ---------------------------------------------------------------- the relay's hello
said = lambda who, head=no_head: struct(
    store=id16,
    challenge=key32,
    time=num(1_700_000_000_000),
    registering=who,
    work=struct(fetch=num(18, u8), deliver=num(20, u8)),
    tree_head=head,
)
before = b"SEAL" + u16(1)
for number, name in enumerate(["Open", "Invite", "Closed"]):
    hello = said(unit(number, name))
    takes("relay-hello", name, (before + hello[0], hello[1]))
hello = said(unit(0, "Open"), tree_head)
takes("relay-hello", "with a tree head", (before + hello[0], hello[1]))
bent("relay-hello", "whole", (before + hello[0], hello[1]))
for why, b in [
    ("an unknown way to register", before + said(unit(3, "Open"))[0]),
    ("another magic", b"SEAM" + u16(1) + hello[0]),
    ("a version that was not offered", b"SEAL" + u16(2) + hello[0]),
    ("nothing after its version", before),
    ("empty", b""),
]:
    bad("relay-hello", why, b)

# ---------------------------------------------------------------- contents
receipt = lambda read, *also: struct(read=flag(read), through=num(12), also=many(*(num(n) for n in also)))
pointer = struct(blob=id16, name=text("photo.jpg"), size=num(70_000), hash=key32, key=raw(fixed("file key")))
BODIES = [
    ("Text", text("hello, Bob – 你好")),
    ("Edit", struct(target=id16b, text=text("hello"))),
    ("Delete", struct(target=id16b)),
    ("Reply", struct(target=id16b, text=text("yes"))),
    ("Reaction", struct(target=id16b, emoji=text("👍"))),
    ("Receipt", receipt(False, 14, 17)),
    ("File", pointer),
    ("Timer", some(num(86_400, u32))),
    ("DeviceSync", data(b"sync")),
    ("Repair", many(id16, id16b)),
    ("Typing", flag(True)),
]
content = lambda body, expire=NONE, token=NONE, head=no_head, number=5: struct(
    id=id16,
    number=num(number),
    sent_at=num(1_700_000_000_000),
    expire_after=expire,
    token=token,
    tree_head=head,
    body=body,
)
for number, (name, inner) in enumerate(BODIES):
    takes("content", name, content(variant(number, name, inner)))
    bent("content", name, content(variant(number, name, inner)))
takes(
    "content",
    "with all that may be there",
    content(variant(0, "Text", text("")), some(num(60, u32)), some(key32), tree_head),
)
takes("content", "Receipt of what was read", content(variant(5, "Receipt", receipt(True)), number=0))
takes("content", "Timer taken away", content(variant(7, "Timer", NONE)))
takes("content", "Reaction taken back", content(variant(4, "Reaction", struct(target=id16b, emoji=text("")))))
for why, body in [
    ("an unknown body", u32(11)),
    ("text that is not UTF-8", u32(0) + u64(2) + b"\xc3\x28"),
    ("a surrogate in text", u32(0) + u64(3) + b"\xed\xa0\x80"),
    ("an overlong zero in text", u32(0) + u64(2) + b"\xc0\x80"),
    ("a bool of 2", u32(5) + u8(2) + u64(12) + u64(0)),
    ("option tag 2 of a timer", u32(7) + u8(2) + u32(1)),
    ("a count beyond the end", u32(9) + u64(3) + fixed("id", 32)),
    ("a count of 2^60", u32(5) + u8(0) + u64(12) + u64(1 << 60)),
]:
    bad("content", why, content((body, None))[0])
whole = content(variant(0, "Text", text("x")))[0]
bad("content", "option tag 2 of its expiry", whole[:32] + u8(2) + whole[33:])
bad("content", "option tag 2 of its token", whole[:33] + u8(2) + whole[34:])
bad("content", "empty", b"")

# ---------------------------------------------------------------- what own devices tell each other
said = struct(
    to=text("bob"), account=some(key32), content=content(variant(0, "Text", text("hello"))), far=unit(1, "Sent")
)
person = lambda known: struct(
    at=num(1_700_000_000_000),
    name=text("bob"),
    account=some(key32) if known else NONE,
    pinned=NONE if known else some(raw(fixed("fingerprint"))),
    list=some(the_list) if known else NONE,
    token=some(key32) if known else NONE,
    verified=flag(True),
    accepted=flag(True),
    blocked=flag(False),
    muted=flag(False),
    expire_after=some(num(60, u32)) if known else NONE,
    label=text("Uncle Bob" if known else ""),
)
SYNC = [
    ("Ready", struct(receipt=short_key("receipt"))),
    ("Said", said),
    ("Reached", struct(ids=many(id16, id16b), far=unit(3, "Read"))),
    ("Read", struct(lines=many(pair(key32, id16)))),
    ("Person", person(True)),
    ("Room", struct(at=num(5), room=text("garden"), joined=flag(True), muted=flag(False))),
    ("Settings", struct(at=num(5), read_receipts=flag(True), typing=flag(False))),
    ("Token", struct(at=num(5), token=key32)),
]
takes("device-sync", "Wanted", unit(0, "Wanted"))
for number, (name, inner) in enumerate(SYNC, 1):
    takes("device-sync", name, variant(number, name, inner))
    bent("device-sync", name, variant(number, name, inner))
takes("device-sync", "Person out of a link", variant(5, "Person", person(False)))
for number, name in enumerate(["Queued", "Sent", "Delivered", "Read", "NotDelivered"]):
    takes("device-sync", f"Reached {name}", variant(3, "Reached", struct(ids=many(), far=unit(number, name))))
for why, b in [
    ("an unknown item", u32(9)),
    ("an unknown distance", u32(3) + u64(0) + u32(5)),
    ("a name that is none", u32(2) + text("-")[0]),
    ("a count of 2^60", u32(4) + u64(1 << 60)),
]:
    bad("device-sync", why, b)
