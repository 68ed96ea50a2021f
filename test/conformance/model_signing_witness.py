"""Reads a signature of Weft with other people's code: the bundle, the statement and the files with the package
`model-signing`, the envelope's signature with `securesystemslib`, the statement's form with `in-toto-attestation`.

`model-signing` itself takes keys of P-256, P-384 and P-521 only. Its verifier for keys is one method that calls ECDSA; here
that method asks securesystemslib for Ed25519, and everything around it is the package's own.

    python model_signing_witness.py MODEL SIGNATURE PUBLIC_KEY_HEX
"""

import json
import sys
from pathlib import Path

from google.protobuf import json_format
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement
from model_signing import verifying
from model_signing._signing import sign_sigstore_pb
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

model, signature, public_key = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
bundle = json.loads(signature.read_text())
payload = b""


class Ed25519Verifier(sign_sigstore_pb.Verifier):
    def _verify_bundle(self, parsed):
        global payload
        envelope = Envelope.from_dict(json.loads(json.dumps(bundle["dsseEnvelope"])))
        key_id = next(iter(envelope.signatures))
        key = SSlibKey(key_id, "ed25519", "ed25519", {"public": public_key})
        envelope.verify([key], threshold=1)
        payload = envelope.payload
        assert parsed.dsse_envelope.payload == payload
        return parsed.dsse_envelope.payload_type, payload


verify = verifying.Config()
verify._verifier = Ed25519Verifier()
try:
    verify.verify(model, signature)
except Exception as refusal:
    print(json.dumps({"verified": False, "why": f"{type(refusal).__name__}: {refusal}"}))
    sys.exit(0)

parsed = json_format.Parse(payload, statement_pb2.Statement())
Statement.copy_from_pb(parsed).validate()
print(
    json.dumps(
        {
            "verified": True,
            "name": parsed.subject[0].name,
            "hint": bundle["verificationMaterial"]["publicKey"]["hint"],
            "files": [resource["name"] for resource in json.loads(payload)["predicate"]["resources"]],
        }
    )
)
