"""Who stands in the vectors: Alice begins, Bob receives, and a relay."""

from .notation import e_public, fixed, hkdf, k_public, label, short, sign, u8, u32, u64, x_public


class Person:
    def __init__(self, name):
        self.name = name.encode()
        self.entropy = fixed(name + " entropy")
        self.seed = hkdf(bytes(32), self.entropy, label("recovery words"), 32)
        self.account = e_public(self.seed)
        self.device_seed = fixed(name + " device")
        self.identity = fixed(name + " identity")
        self.device = u32(1) + e_public(self.device_seed) + x_public(self.identity)
        self.device_key = self.device[4:36]
        self.list = u64(1) + short(self.name) + self.account + u8(1) + self.device
        self.list_signature = sign(self.seed, "device list", self.list)

    def party(self):
        return short(self.name) + self.account + self.device

    def prekey(self, role, number, key):
        kind = {1: 1, 2: 1, 3: 2, 4: 2, 5: 3}[role]
        body = u8(role) + u32(number) + u64(1_700_000_000) + u8(kind) + key
        return body, sign(self.device_seed, "prekey", body)


alice, bob = Person("alice"), Person("bob")
relay_seed = fixed("relay")
relay = e_public(relay_seed)

# Bob's prekeys, with what makes them.
spk_secret, opk_secret, pqpk_seed = fixed("bob spk"), fixed("bob opk"), fixed("bob pqpk", 64)
spk = bob.prekey(1, 11, x_public(spk_secret))
opk = bob.prekey(2, 22, x_public(opk_secret))
pqpk = bob.prekey(4, 33, k_public(pqpk_seed))
last = bob.prekey(3, 34, k_public(pqpk_seed))
