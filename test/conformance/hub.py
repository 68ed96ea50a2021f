"""Pulls from a hub with huggingface_hub. HF_ENDPOINT names the hub, arguments are repository and cache folder.
Prints {"commit", "files": {path: sha256}, "refused": [exception names]} as JSON."""

import hashlib
import json
import sys
from pathlib import Path

from huggingface_hub import hf_hub_download, snapshot_download

repository, cache = sys.argv[1:3]
folder = Path(snapshot_download(repository, cache_dir=cache, allow_patterns=["*.json", "*.safetensors"]))
files = {
    file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
    for file in folder.rglob("*")
    if file.is_file()
}


def refusal(repository, **options):
    try:
        hf_hub_download(repository, "config.json", cache_dir=cache, **options)
    except Exception as error:
        return type(error).__name__
    return "pulled"


# strangers get 401 for what is not there, which this client understands over https only
refused = [
    refusal("weft/none", token="hf_stranger"),
    refusal("weft/gated"),
    refusal("weft/gated", token="hf_stranger"),
    refusal("weft/gated", token="hf_member"),
    refusal(repository, revision="v9"),
]
print(json.dumps({"commit": folder.name, "files": files, "refused": refused}))
