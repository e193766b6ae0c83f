"""Attachments: spec/attachment.md."""

from .notation import File, fixed, flip, hkdf, label, seal, u8, u64

out = File("attachment.txt", "Attachments: spec/attachment.md")
vector, refused = out.vector, out.refused

CHUNK = 65_504
file_key, blob = fixed("file key"), fixed("blob", 16)


def chunk(number, last, plaintext):
    salt = fixed(f"salt {number}", 16)
    key = hkdf(salt, file_key, label("attachment") + blob, 32)
    nonce = u64(number) + bytes(3) + u8(last)
    sealed = seal(key, nonce, plaintext, b"")
    return dict(
        file_key=file_key,
        blob=blob,
        salt=salt,
        number=number,
        last="yes" if last else "no",
        key=key,
        nonce=nonce,
        plaintext=plaintext,
        sealed=sealed,
    )


first = chunk(0, False, b"the first chunk of a file, and not the last one")
vector("the first chunk", "attachment-chunk", **first)
vector("the only chunk", "attachment-chunk", **chunk(0, True, b"a whole file"))
vector("the last chunk", "attachment-chunk", **chunk(0x0102_0304, True, b"its end, and zeros" + bytes(10)))
for why, at in [("its first bit", 0), ("its tag", -1)]:
    refused("chunk", f"{why} altered", "attachment-chunk", **{**first, "sealed": flip(first["sealed"], at)})
refused("chunk", "cut short", "attachment-chunk", **{**first, "sealed": first["sealed"][:-1]})
refused("chunk", "a byte more", "attachment-chunk", **{**first, "sealed": first["sealed"] + b"\0"})
# The key and nonce are those of its place; what was sealed for another place does not open there.
second = chunk(1, False, first["plaintext"])
moved = seal(first["key"], second["nonce"], first["plaintext"], b"")
refused("chunk", "of another number", "attachment-chunk", **{**first, "sealed": moved})
as_last = seal(first["key"], u64(0) + bytes(3) + u8(1), first["plaintext"], b"")
refused("chunk", "sealed as the last one", "attachment-chunk", **{**first, "sealed": as_last})
other = seal(hkdf(first["salt"], file_key, label("attachment") + fixed("other", 16), 32), first["nonce"], b"x", b"")
refused("chunk", "of another blob", "attachment-chunk", **{**first, "sealed": other})


def parts(size):
    chunks = max(1, -(-size // CHUNK))
    if chunks == 1:
        return 1
    exponent = chunks.bit_length() - 1
    unit = 1 << exponent - exponent.bit_length()
    return -(-chunks // unit) * unit


for size in [0, 1, CHUNK, CHUNK + 1, 8 * CHUNK, 8 * CHUNK + 1, 9 * CHUNK + 1, 1 << 20, 1 << 30, 5 << 30, CHUNK << 24]:
    vector(f"a file of {size} bytes", "attachment-parts", size=size, parts=parts(size))
refused("a file", "a byte more than the largest", "attachment-parts", size=(CHUNK << 24) + 1, parts=parts((CHUNK << 24) + 1))
