"""A second implementation of docs/secagg-wire.md, from that page alone: all sides of a session, from their secrets.

Reads scenarios as JSON from standard input and prints, for each, every body with its signature, every masked vector,
and the sum that the coordinator works out from the openings; of a list of keys, which of them a roster may have.
"""

import hashlib
import json
import struct
import sys
from math import comb

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

ZEROS = bytes(32)
NO_PLACE = 0xFFFFFFFF
TYPES = {
    name: number
    for number, name in enumerate(
        "offer keyAdvert roster reveal shardSeed shares shareDelivery maskedInput receipt cut cutAck unmask opening "
        "complaint abort".split(),
        1,
    )
}
STEPS = ["shares", "maskedInput", "cutAck", "opening"]


def u8(n):
    return struct.pack(">B", n)


def u16(n):
    return struct.pack(">H", n)


def u32(n):
    return struct.pack(">I", n)


def u64(n):
    return struct.pack(">Q", n)


def f64(x):
    return struct.pack(">d", x)


def listed(items):
    return u32(len(items)) + b"".join(items)


def bitmap(places, count):
    out = bytearray((count + 7) // 8)
    for place in places:
        out[place // 8] |= 1 << (place % 8)
    return u32(count) + bytes(out)


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def leaf(data):
    return sha256(b"\0", data)


def split_at(count):
    k = 1
    while 2 * k < count:
        k *= 2
    return k


def tree(leaves):
    if not leaves:
        return sha256()
    if len(leaves) == 1:
        return leaves[0]
    k = split_at(len(leaves))
    return sha256(b"\1", tree(leaves[:k]), tree(leaves[k:]))


def path(leaves, at):
    if len(leaves) == 1:
        return []
    k = split_at(len(leaves))
    if at < k:
        return path(leaves[:k], at) + [tree(leaves[k:])]
    return path(leaves[k:], at - k) + [tree(leaves[:k])]


def hkdf(secret, salt, info, length=32):
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=salt, info=info).derive(secret)


def agree(secret, public):
    return X25519PrivateKey.from_private_bytes(secret).exchange(X25519PublicKey.from_public_bytes(public))


RAW = (serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def x25519_public(secret):
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes(*RAW)


def is_usable(key):
    """In its one encoding, and not of small order: agreeing on such a point gives zero, which the library refuses."""
    if int.from_bytes(key, "little") >= 2**255 - 19:
        return False
    try:
        agree(bytes(range(32)), key)
    except ValueError:
        return False
    return True


def times(a, b):
    product = 0
    while b:
        if b & 1:
            product ^= a
        a <<= 1
        if a & 0x100:
            a ^= 0x11B
        b >>= 1
    return product


TABLE = [bytes(times(a, b) for b in range(256)) for a in range(256)]
INVERSE = [0] + [next(b for b in range(256) if TABLE[a][b] == 1) for a in range(1, 256)]


def xor(a, b):
    return (int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).to_bytes(len(a), "big")


def deal(secret, coefficients, threshold, count):
    shares = []
    for x in range(1, count + 1):
        value, power = secret, 1
        for k in range(1, threshold):
            power = TABLE[power][x]
            value = xor(value, coefficients[32 * (k - 1) : 32 * k].translate(TABLE[power]))
        shares.append(value)
    return shares


def recover(ranks, shares):
    secret = ZEROS
    for rank, share in zip(ranks, shares, strict=True):
        weight = 1
        for other in ranks:
            if other != rank:
                weight = TABLE[weight][TABLE[other + 1][INVERSE[(other + 1) ^ (rank + 1)]]]
        secret = xor(secret, share.translate(TABLE[weight]))
    return secret


def prg(seed, words, bits):
    width = 1 if bits == 8 else 2 if bits <= 16 else 4
    stream = Cipher(algorithms.AES(seed), modes.CTR(bytes(16))).encryptor().update(bytes(words * width))
    return [word % 2**bits for word in struct.unpack("<%d%s" % (words, {1: "B", 2: "H", 4: "I"}[width]), stream)]


def add(vector, other, sign, bits):
    return [(a + sign * b) % 2**bits for a, b in zip(vector, other, strict=True)]


def pack(vector, bits):
    number = sum(word << (bits * k) for k, word in enumerate(vector))
    return number.to_bytes((bits * len(vector) + 7) // 8, "little")


def chunk_root(data):
    return tree([leaf(data[at : at + 2**20]) for at in range(0, len(data), 2**20)])


def sizes_of(n, offer):
    dropouts = offer["droppingShare"] * n // 10000
    least = 0 if n == 3 and dropouts > 0 else offer["leastColluders"]
    colluders = max(offer["colludingShare"] * n // 10000, least)
    agreeing = (n + colluders) // 2 + 1
    if n <= 128:
        return agreeing, [(n, agreeing)]
    groups = -(-n // 128)
    shards = []
    for group in range(groups):
        m = n // groups + (1 if group < n % groups else 0)
        staying = n - dropouts
        ways = [comb(staying, k) * comb(n - staying, m - k) for k in range(m + 1)]
        threshold = max(k for k in range(m + 1) if sum(ways[:k]) * 2**20 * groups <= comb(n, m))
        shards.append((m, max(2, threshold)))
    return agreeing, shards


def shuffled(n, seed):
    order = list(range(n))
    stream = iter(prg(seed, 2 * n + 1000, 32))
    for last in range(n - 1, 0, -1):
        word = next(stream)
        while word >= 2**32 - 2**32 % (last + 1):
            word = next(stream)
        chosen = word % (last + 1)
        order[last], order[chosen] = order[chosen], order[last]
    return order


def play(scenario):
    told = {}
    offer = scenario["offer"]
    bits, words = offer["bits"], offer["words"]
    coordinator = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(scenario["coordinatorSeed"]))

    def say(key, name, round_id, session_id, index, fields, signer):
        body = u16(1) + u8(TYPES[name]) + round_id + session_id + u32(index) + fields
        signature = signer.sign(b"weft/1/secagg\0" + sha256(body))
        told[f"{name}/{key}"] = {"body": body.hex(), "signature": signature.hex()}
        return body, signature

    members = []
    for entry in scenario["members"]:
        identity = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(entry["identitySeed"]))
        public = identity.public_key().public_bytes(*RAW)
        secret = bytes.fromhex(entry["secret"])
        share, mask, own = (hkdf(secret, ZEROS, b"weft/1/secret/" + label) for label in (b"share", b"mask", b"self"))
        members.append(
            {
                "identity": identity,
                "public": public,
                "id": sha256(public)[:16],
                "secret": secret,
                "c": share,
                "m": mask,
                "b": own,
                "C": x25519_public(share),
                "M": x25519_public(mask),
                "beacon": bytes.fromhex(entry["beaconRandom"]) if entry["beaconRandom"] else None,
                "update": entry["update"],
                "drop": STEPS.index(entry["drop"]) if entry["drop"] else len(STEPS),
            }
        )
    members.sort(key=lambda member: member["id"])
    assert all(is_usable(member["C"]) and is_usable(member["M"]) for member in members)
    n = len(members)

    def sends(place, name):
        return members[place]["drop"] > STEPS.index(name)

    hashed = {name: bytes.fromhex(offer[name]) for name in ("runId", "previousResult", "logRoot", "specHash", "baseHash", "adapterHash", "layoutHash")}
    beacons = [member for member in members if member["beacon"]]
    deadlines = offer["deadlines"]
    offer_body, _ = say(
        "all",
        "offer",
        ZEROS,
        ZEROS,
        NO_PLACE,
        hashed["runId"]
        + u32(offer["round"])
        + hashed["previousResult"]
        + u64(int(offer["logSize"]))
        + hashed["logRoot"]
        + hashed["specHash"]
        + hashed["baseHash"]
        + hashed["adapterHash"]
        + hashed["layoutHash"]
        + u32(words)
        + u8(bits)
        + f64(offer["scale"])
        + f64(offer["clipNormL2"])
        + u32(offer["weightCap"])
        + f64(offer["noiseMultiplier"])
        + b"".join(u32(offer[name]) for name in ("noisyHonest", "minMembers", "maxMembers"))
        + b"".join(u16(offer[name]) for name in ("colludingShare", "droppingShare", "leastColluders"))
        + u32(offer["smallestSurvivors"])
        + listed([member["public"] + sha256(member["beacon"]) for member in beacons])
        + b"".join(u32(deadlines[name]) for name in ("advertMs", "sharesMs", "inputMs", "cutAckMs", "openingMs")),
        coordinator,
    )
    round_id = sha256(b"weft/1/round\0", offer_body)

    adverts = []
    for place, member in enumerate(members):
        nonce = hkdf(member["secret"], round_id, b"weft/1/secret/nonce", 16)
        fields = member["id"] + member["C"] + member["M"] + nonce
        adverts.append(say(place, "keyAdvert", round_id, ZEROS, NO_PLACE, fields, member["identity"]))
    root = tree([leaf(body) for body, _ in adverts])
    signed_list = listed([u32(len(body)) + body + signature for body, signature in adverts])
    say("all", "roster", round_id, ZEROS, NO_PLACE, root + signed_list, coordinator)

    agreeing, sizes = sizes_of(n, offer)
    shard_seed, order = ZEROS, list(range(n))
    if len(sizes) > 1:
        reveals = []
        for place, member in enumerate(members):
            if member["beacon"]:
                reveals.append(say(place, "reveal", round_id, ZEROS, place, root + member["beacon"], member["identity"]))
        carried = listed([u32(len(body)) + body + signature for body, signature in reveals])
        say("all", "shardSeed", round_id, ZEROS, NO_PLACE, carried, coordinator)
        shard_seed = sha256(b"weft/1/shard\0", root, *(member["beacon"] for member in beacons))
        order = shuffled(n, shard_seed)
    model_hash = sha256(hashed["baseHash"], hashed["adapterHash"], hashed["layoutHash"])
    shards, shard_of, start = [], {}, 0
    for m, t in sizes:
        places = sorted(order[start : start + m])
        start += m
        session_id = sha256(
            b"weft/1/session\0", round_id, root, shard_seed, u32(n), u32(m), u32(t), u32(agreeing), model_hash
        )
        shard = {"places": places, "t": t, "id": session_id}
        shards.append(shard)
        shard_of.update(dict.fromkeys(places, shard))
    cohort_id = shards[0]["id"]

    dealt, sealed = {}, {}
    for i, member in enumerate(members):
        if not sends(i, "shares"):
            continue
        shard = shard_of[i]
        t, count = shard["t"], len(shard["places"])
        for label, secret in (("self", member["b"]), ("mask", member["m"])):
            info = f"weft/1/secret/{label}-shares".encode()
            dealt[label, i] = deal(secret, hkdf(member["secret"], shard["id"], info, 32 * (t - 1)), t, count)
        sealed[i] = []
        for rank, j in enumerate(shard["places"]):
            key = hkdf(agree(member["c"], members[j]["C"]), shard["id"], b"weft/1/share" + u32(i) + u32(j))
            own, mask = dealt["self", i][rank], dealt["mask", i][rank]
            sealed[i].append(sha256(own) + sha256(mask) + AESGCM(key).encrypt(bytes(12), own + mask, None))
        say(i, "shares", round_id, shard["id"], i, sha256(member["b"]) + listed(sealed[i]), member["identity"])

    def mask_seed(secret, public, shard, i, j):
        return hkdf(agree(secret, public), shard["id"], b"weft/1/mask" + u32(min(i, j)) + u32(max(i, j)))

    def self_seed(secret, shard, i):
        return hkdf(secret, shard["id"], b"weft/1/self" + u32(i))

    inputs, masked = {}, {}
    for shard in shards:
        shard["sharing"] = [j for j in shard["places"] if j in sealed]
        for i in shard["sharing"]:
            rank = shard["places"].index(i)
            fields = bitmap(shard["sharing"], n) + listed([sealed[j][rank] for j in shard["sharing"]])
            say(i, "shareDelivery", round_id, shard["id"], i, fields, coordinator)
            if not sends(i, "maskedInput"):
                continue
            vector = add(members[i]["update"], prg(self_seed(members[i]["b"], shard, i), words, bits), 1, bits)
            for j in shard["sharing"]:
                if j != i:
                    seed = mask_seed(members[i]["m"], members[j]["M"], shard, i, j)
                    vector = add(vector, prg(seed, words, bits), 1 if j > i else -1, bits)
            masked[i] = vector
            data = pack(vector, bits)
            told[f"vector/{i}"] = data.hex()
            sharing_hash = sha256(b"weft/1/sharing\0", *(u32(j) for j in shard["sharing"]))
            fields = sharing_hash + chunk_root(data) + u64(len(data))
            inputs[i], _ = say(i, "maskedInput", round_id, shard["id"], i, fields, members[i]["identity"])
            fields = sha256(inputs[i]) + u64(int(scenario["loggedByMs"]))
            say(i, "receipt", round_id, shard["id"], i, fields, coordinator)

    surviving, dropped = [], []
    for shard in shards:
        came = [i for i in shard["sharing"] if i in inputs]
        shard["summed"] = came if len(came) >= shard["t"] else []
        shard["dropped"] = [i for i in shard["sharing"] if i not in shard["summed"]]
        surviving += shard["summed"]
        dropped += shard["dropped"]
    surviving.sort()
    leaves = [leaf(inputs[i]) for i in surviving]
    fields = bitmap(surviving, n) + bitmap(dropped, n) + tree(leaves)
    cut, _ = say("all", "cut", round_id, cohort_id, NO_PLACE, fields, coordinator)
    cut_hash = sha256(b"weft/1/cut\0", cut)

    acks = []
    for rank, i in enumerate(surviving):
        told[f"cutProof/{i}"] = (u32(rank) + listed(path(leaves, rank))).hex()
        if sends(i, "cutAck"):
            _, signature = say(i, "cutAck", round_id, shard_of[i]["id"], i, cut_hash, members[i]["identity"])
            acks.append(u32(i) + signature)
    fields = cut_hash + listed(acks[:agreeing])
    say("all", "unmask", round_id, cohort_id, NO_PLACE, fields, coordinator)

    opened = {}
    for shard in shards:
        for i in shard["summed"]:
            if sends(i, "cutAck") and sends(i, "opening"):
                rank = shard["places"].index(i)
                opened[i] = [dealt["self" if j in shard["summed"] else "mask", j][rank] for j in shard["sharing"]]
                fields = cut_hash + listed(opened[i])
                say(i, "opening", round_id, shard["id"], i, fields, members[i]["identity"])

    total = [0] * words
    for shard in shards:
        openers = [i for i in shard["summed"] if i in opened][: shard["t"]]
        if not shard["summed"] or len(openers) < shard["t"]:
            continue
        ranks = [shard["places"].index(i) for i in openers]
        for i in shard["summed"]:
            total = add(total, masked[i], 1, bits)
        for k, dealer in enumerate(shard["sharing"]):
            secret = recover(ranks, [opened[i][k] for i in openers])
            if dealer in shard["summed"]:
                assert secret == members[dealer]["b"]
                total = add(total, prg(self_seed(secret, shard, dealer), words, bits), -1, bits)
                continue
            assert x25519_public(secret) == members[dealer]["M"]
            for j in shard["summed"]:
                seed = mask_seed(secret, members[j]["M"], shard, dealer, j)
                total = add(total, prg(seed, words, bits), -1 if dealer > j else 1, bits)
    told["sum"] = total
    return told


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    answers = [
        [is_usable(bytes.fromhex(key)) for key in scenario["keys"]] if "keys" in scenario else play(scenario)
        for scenario in asked
    ]
    json.dump(answers, sys.stdout)
