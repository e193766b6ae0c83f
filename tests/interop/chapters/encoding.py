"""spec/wire.md, "Encoding": a reader and a writer of each type, made of those of its parts.

A type is a pair of functions, `read(layout) -> value` and `write(value) -> bytes`; a value is what JSON can say, byte strings as hex.
The types stand below as the chapters' modules declare them.
"""

from . import account
from .primitive import Layout, check, le


def number(width):
    return lambda layout: layout.number(width), lambda value: le(value, width)


def raw(length):
    return lambda layout: layout.take(length).hex(), lambda value: bytes.fromhex(value)


def counted(layout):
    """A length, of no more than is left: each element has a byte at least."""
    length = layout.number(8)
    check(length <= len(layout.data) - layout.at)
    return length


def write_text(value):
    return le(len(value.encode()), 8) + value.encode()


def text_that(is_one):
    return lambda layout: is_one(account.text_of(layout.take(counted(layout)))), write_text


def read_bool(layout):
    value = layout.number(1)
    check(value < 2)
    return value == 1


BOOL = read_bool, lambda value: le(value, 1)
BYTES = lambda layout: layout.take(counted(layout)).hex(), lambda value: le(len(value) // 2, 8) + bytes.fromhex(value)
U8, U32, U64, ID, KEY, SIGNATURE = number(1), number(4), number(8), raw(16), raw(32), raw(64)
TEXT, NAME, ROOM = text_that(str), text_that(account.name), text_that(account.room)


def option(of):
    return (
        lambda layout: of[0](layout) if read_bool(layout) else None,
        lambda value: b"\0" if value is None else b"\1" + of[1](value),
    )


def many(of):
    return (
        lambda layout: [of[0](layout) for _ in range(counted(layout))],
        lambda value: le(len(value), 8) + b"".join(map(of[1], value)),
    )


def both(left, right):
    return lambda layout: [left[0](layout), right[0](layout)], lambda value: left[1](value[0]) + right[1](value[1])


def struct(**fields):
    def write(value):
        check(list(value) == list(fields))
        return b"".join(of[1](value[name]) for name, of in fields.items())

    return lambda layout: {name: of[0](layout) for name, of in fields.items()}, write


def enum(*variants):
    """Each a name, or a name and what its variant holds."""
    names = [variant if isinstance(variant, str) else variant[0] for variant in variants]

    def read(layout):
        index = layout.number(4)
        check(index < len(variants))
        return names[index] if isinstance(variants[index], str) else {names[index]: variants[index][1][0](layout)}

    def write(value):
        if isinstance(value, str):
            return le(names.index(value), 4)
        ((name, inner),) = value.items()
        return le(names.index(name), 4) + variants[names.index(name)][1][1](inner)

    return read, write


SIGNED = struct(body=BYTES, signature=SIGNATURE)
KEYS = struct(
    signed=option(SIGNED),
    last_resort_kem=option(SIGNED),
    box_key=option(SIGNED),
    one_time=many(SIGNED),
    one_time_kem=many(SIGNED),
)
COUNTS = struct(one_time=U32, one_time_kem=U32)
DEVICE_BUNDLE = struct(device=U32, signed=SIGNED, one_time=option(SIGNED), kem=SIGNED, box_key=SIGNED)
WORK = struct(counter=U64, nonce=U64)
LOGIN = struct(name=NAME, device=U32, generation=U64, signature=SIGNATURE)
ENVELOPE = struct(mailbox=ID, id=ID, sealed=BYTES)
POST = struct(head=SIGNED, author=SIGNED, body=option(BYTES))
TREE_HEAD = struct(log=KEY, size=U64, time=U64, root=KEY, signature=SIGNATURE)

REQUEST = enum(
    ("Register", struct(list=SIGNED, keys=KEYS, token=KEY, receipt=option(SIGNED), invite=option(TEXT), login=LOGIN)),
    ("Login", LOGIN),
    ("Publish", KEYS),
    ("SetToken", KEY),
    ("Acknowledge", many(both(U64, ID))),
    ("FetchBundle", NAME),
    ("FetchDevices", NAME),
    ("Deliver", struct(token=option(KEY), envelope=ENVELOPE)),
    ("Post", POST),
    ("Follow", struct(room=ROOM, after=U64)),
    ("Unfollow", ROOM),
    ("Rooms", struct(after=option(ROOM))),
    ("Members", struct(room=ROOM, after=option(NAME))),
    ("PutBlob", struct(recipient=NAME, token=option(KEY), blob=ID, parts=U32, part=U32, bytes=BYTES)),
    ("FetchBlob", struct(blob=ID, part=U32)),
    ("DropBlob", ID),
    ("Room", struct(room=ROOM, receipt=option(SIGNED))),
    ("Unregister", struct(signature=SIGNATURE)),
    ("SetDevices", struct(list=SIGNED, token=KEY)),
)
ANSWER = enum(
    "Done",
    ("Registered", struct(receipt=SIGNED, generation=U64, keys=COUNTS)),
    ("LoggedIn", struct(generation=U64, keys=COUNTS)),
    ("Published", struct(keys=COUNTS)),
    ("Bundle", struct(list=SIGNED, devices=many(DEVICE_BUNDLE))),
    ("Devices", SIGNED),
    ("Accepted", struct(seq=U64)),
    ("Posted", struct(seq=U64, id=ID)),
    ("Rooms", many(struct(room=ROOM, members=U32, posts=U64))),
    ("Members", many(struct(name=NAME, online=BOOL))),
    ("Blob", struct(parts=U32, bytes=BYTES)),
    ("Stored", struct(parts=U32)),
    ("Room", struct(receipt=option(SIGNED))),
)
REFUSAL = enum(
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
    ("WorkNeeded", struct(bits=U8)),
    "UnknownToken",
    ("TooFast", struct(retry_after_ms=U32)),
    ("TooLarge", struct(limit=U64)),
    ("QuotaReached", struct(limit=U64)),
    "NoSuchRoom",
    "NotMember",
    ("PostOutOfOrder", struct(wanted=U64)),
    "StaleDeviceList",
    "StaleKey",
    ("Banned", struct(reason=TEXT)),
    ("Kicked", struct(reason=TEXT)),
    "Replaced",
    "Stopping",
    ("Internal", struct(id=U64)),
    "TimedOut",
    "TooManyLinks",
    "NoSuchPost",
    "NoSuchBlob",
    "NotCreator",
    ("BannedFromRoom", struct(reason=TEXT)),
)
RESULT = enum(("Ok", ANSWER), ("Err", REFUSAL))
PUSH = enum(
    ("Envelope", struct(seq=U64, id=ID, sealed=BYTES)),
    ("Post", struct(room=ROOM, seq=U64, post=POST)),
    ("Notice", struct(id=ID, time=U64, text=TEXT)),
)
CONTENT = struct(
    id=ID,
    number=U64,
    sent_at=U64,
    expire_after=option(U32),
    token=option(KEY),
    tree_head=TREE_HEAD,
    body=enum(
        ("Text", TEXT),
        ("Edit", struct(target=ID, text=TEXT)),
        ("Delete", struct(target=ID)),
        ("Reply", struct(target=ID, text=TEXT)),
        ("Reaction", struct(target=ID, emoji=TEXT)),
        ("Receipt", struct(read=BOOL, through=U64, also=many(U64))),
        ("File", struct(blob=ID, name=TEXT, size=U64, hash=KEY, key=KEY)),
        ("Timer", option(U32)),
        ("DeviceSync", BYTES),
        ("Repair", many(ID)),
        ("Typing", BOOL),
    ),
)
FAR = enum("Queued", "Sent", "Delivered", "Read", "NotDelivered")
SYNC = enum(
    "Wanted",
    ("Ready", struct(receipt=SIGNED)),
    ("Said", struct(to=NAME, account=option(KEY), content=CONTENT, far=FAR)),
    ("Reached", struct(ids=many(ID), far=FAR)),
    ("Read", struct(lines=many(both(KEY, ID)))),
    (
        "Person",
        struct(
            at=U64,
            name=NAME,
            account=option(KEY),
            pinned=option(KEY),
            list=option(SIGNED),
            token=option(KEY),
            verified=BOOL,
            accepted=BOOL,
            blocked=BOOL,
            muted=BOOL,
            expire_after=option(U32),
            label=TEXT,
        ),
    ),
    ("Room", struct(at=U64, room=ROOM, joined=BOOL, muted=BOOL)),
    ("Settings", struct(at=U64, read_receipts=BOOL, typing=BOOL)),
    ("Token", struct(at=U64, token=KEY)),
)
HELLO = struct(
    store=ID,
    challenge=KEY,
    time=U64,
    registering=enum("Open", "Invite", "Closed"),
    work=struct(fetch=U8, deliver=U8),
    tree_head=TREE_HEAD,
)
TYPES = {
    "request": REQUEST,
    "answer": RESULT,
    "content": CONTENT,
    "device-sync": SYNC,
    "client-frame": enum(("Request", struct(id=U32, work=option(WORK), body=BYTES)), ("Pong", U64)),
    "relay-frame": enum(
        ("Answer", struct(id=U32, answer=RESULT)),
        ("Push", PUSH),
        ("Ping", U64),
        ("Goodbye", REFUSAL),
        ("Redirect", TEXT),
    ),
}


def decode(of, data):
    layout = Layout(data)
    value = of[0](layout)
    layout.end()
    return value


def client_hello(data):
    layout = Layout(data)
    magic, lowest, highest, kind = layout.take(4), layout.number(2), layout.number(2), layout.number(1)
    layout.end()
    check(magic == b"SEAL" and lowest <= highest and kind < 2)
    return lowest, highest, ["authenticated", "anonymous"][kind]


def relay_hello(data):
    """The relay's versions where none fits, else what it says in version 1, which is all that was offered."""
    layout = Layout(data)
    check(layout.take(4) == b"SEAL")
    version = layout.number(2)
    if version == 0:
        versions = layout.number(2), layout.number(2)
        layout.end()
        return versions, None
    check(version == 1)
    return None, decode(HELLO, layout.rest())


def frame_length(prefix, answered):
    length = int.from_bytes(prefix, "little")
    check(1 <= length <= (68 * 1024 if answered else 4096))
    return length
