"""Verifies a log directory that a coordinator wrote, from the specifications alone: C2SP signed-note, tlog-checkpoint and
tlog-tiles, RFC 6962. Prints what it found as JSON. Nothing here is Weft's code."""

import base64
import hashlib
import json
import math
import struct
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

folder = Path(sys.argv[1])


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def root(hashes):
    """MTH of RFC 6962, section 2.1."""
    if len(hashes) <= 1:
        return hashes[0] if hashes else sha()
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    return sha(b"\1", root(hashes[:k]), root(hashes[k:]))


def path_of(prefix, index, width):
    digits = str(index)
    digits = digits.rjust(-(-len(digits) // 3) * 3, "0")
    groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
    name = "/".join(["x" + group for group in groups[:-1]] + groups[-1:])
    return folder / "tile" / prefix / (name if width == 256 else f"{name}.p/{width}")


def rows(count):
    return [(index, min(256, count - 256 * index)) for index in range(-(-count // 256))]


name, key_id, material = (folder / "vkey").read_text().strip().split("+", 2)
material = base64.b64decode(material)
assert material[0] == 1 and len(material) == 33, "an Ed25519 verifier key"
assert sha(name.encode(), b"\n", material)[:4].hex() == key_id, "the key id"

text, _, signatures = (folder / "checkpoint").read_text().rpartition("\n\n")
text += "\n"
own, *cosigners = [line.split(" ") for line in signatures.strip().split("\n")]
dash, signer, signature = own[0], own[1], base64.b64decode(own[2])
assert (dash, signer, signature[:4].hex()) == ("\u2014", name, key_id), "the signature's line"
Ed25519PublicKey.from_public_bytes(material[1:]).verify(signature[4:], text.encode())

# Witnesses: C2SP tlog-cosignature, and the chain from an organisation to its node to the node's witness key.
federation = name.removeprefix("weft-log/").encode()
witnesses = {}
listed = folder / "witnesses"
for line in listed.read_text().splitlines() if listed.exists() else []:
    vkey, node, node_signature, word = line.split(" ")
    witness_name, witness_id, witness = vkey.split("+", 2)
    witness, node, node_signature = base64.b64decode(witness), base64.b64decode(node), base64.b64decode(node_signature)
    assert witness[0] == 4 and len(witness) == 33, "a cosigner's key"
    assert sha(witness_name.encode(), b"\n", witness)[:4].hex() == witness_id, "the cosigner's key id"
    signed = b"weft/1/witness\0" + federation + b"\0" + witness[1:]
    Ed25519PublicKey.from_public_bytes(node).verify(node_signature, signed)
    organisation = None
    if word != "-":
        word = base64.b64decode(word)
        organisation, until, endorsement = word[:32], word[32:40], word[40:]
        signed = b"weft/1/enrol\0" + federation + b"\0" + node + until
        Ed25519PublicKey.from_public_bytes(organisation).verify(endorsement, signed)
        organisation = organisation, int.from_bytes(until, "big")
    witnesses[witness_name, witness_id] = witness[1:], organisation
organisations = set()
for dash, signer, signature in cosigners:
    signature = base64.b64decode(signature)
    witness, organisation = witnesses[signer, signature[:4].hex()]
    seconds = int.from_bytes(signature[4:12], "big")
    Ed25519PublicKey.from_public_bytes(witness).verify(
        signature[12:], f"cosignature/v1\ntime {seconds}\n{text}".encode()
    )
    if organisation is not None and seconds < organisation[1]:
        organisations.add(organisation[0].hex())

origin, size, signed_root = text.split("\n")[:3]
size = int(size)
assert origin == name == "weft-log/f_" + sha(material[1:]).hex()[:32], "the origin is the key's federation"

entries = []
for index, width in rows(size):
    bundle = path_of("entries", index, width).read_bytes()
    at = 0
    for _ in range(width):
        length = int.from_bytes(bundle[at : at + 2], "big")
        entries.append(bundle[at + 2 : at + 2 + length])
        at += 2 + length
    assert at == len(bundle), "nothing trails in a bundle"

hashes = [sha(b"\0", entry) for entry in entries]
assert root(hashes) == base64.b64decode(signed_root), "the root"

level, row = 0, hashes
while row:
    for index, width in rows(len(row)):
        tile = path_of(str(level), index, width).read_bytes()
        assert tile == b"".join(row[256 * index : 256 * index + width]), f"tile {level}/{index}"
    row = [root(row[i : i + 256]) for i in range(0, len(row) - 255, 256)]
    level += 1

# A leaf: u16 version, u8 type, u64 time; a result (7) has run, round, adapter before and after at fixed places, and ends in
# the bits of the norm that the next round clips to, where the run adapts it.
adapters = {}
norms = {}
for entry in entries:
    if entry[2] == 7:
        run, before, after = entry[11:27].hex(), entry[31:63].hex(), entry[63:95].hex()
        assert adapters.get(run, before) == before, "each result continues the one before"
        adapters[run] = after
        assert len(entry) == 148, "a result's length"
        (norm,) = struct.unpack(">d", entry[140:])
        before = norms.setdefault(run, []) and norms[run][-1]
        assert not before or abs(math.log(norm / before)) <= 0.1 + 1e-9, "a clip norm moves by one step"
        norms[run].append(norm)
print(json.dumps({"norms": norms, "organisations": sorted(organisations), "entries": len(entries), "types": [entry[2] for entry in entries], "adapters": adapters}))
