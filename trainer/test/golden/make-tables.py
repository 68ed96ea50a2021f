"""Writes small Parquet files with pyarrow and pandas, and what they hold. usage: make-tables.py > tables.json"""

import base64
import io
import json

import pandas
import pyarrow
import pyarrow.parquet

TEXTS = ['a, "b"\n', "ñ 😀", "c\r\nd", "  e  ", "f" * 50, "ñ 😀"]
PROMPTS = [{"prompt": f"question {i}", "completion": f"answer {i}"} for i in range(7)]
CONVERSATIONS = [
    [{"role": "user", "content": "u"}, {"role": "assistant", "content": "a"}],
    [{"role": "system", "content": "s"}],
    [{"role": "user", "content": "ü"}, {"role": "assistant", "content": ""}, {"role": "user", "content": "v"}],
]


def arrow(columns, **options):
    sink = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), sink, store_schema=False, **options)
    return sink.getvalue()


def frame(columns):
    return pandas.DataFrame(columns).to_parquet(index=False)


def texts(**options):
    columns = {"id": list(range(len(TEXTS))), "text": TEXTS}
    return {"rows": [{"text": text} for text in TEXTS], "file": arrow(columns, row_group_size=4, **options)}


def tables():
    for codec in ["none", "snappy", "gzip", "zstd", "brotli"]:
        yield codec, texts(compression=codec)
    yield "second page version", texts(compression="zstd", data_page_version="2.0")
    yield "lengths first", texts(use_dictionary=False, column_encoding={"text": "DELTA_LENGTH_BYTE_ARRAY"})
    yield "shared prefixes", texts(use_dictionary=False, column_encoding={"text": "DELTA_BYTE_ARRAY"})
    yield "small pages", texts(use_dictionary=False, data_page_size=1, write_batch_size=1)
    prompts = {name: [row[name] for row in PROMPTS] for name in ["completion", "prompt"]}
    yield "prompts", {"rows": PROMPTS, "file": arrow(prompts)}
    conversations = [{"messages": messages} for messages in CONVERSATIONS]
    yield "conversations", {"rows": conversations, "file": arrow({"messages": CONVERSATIONS})}
    yield "conversations of pandas", {"rows": conversations, "file": frame({"messages": CONVERSATIONS})}
    as_json = [json.dumps(messages) for messages in CONVERSATIONS]
    yield "conversations as JSON", {"rows": conversations, "file": arrow({"messages": as_json})}
    yield "lz4", {"refused": "codec", "file": arrow({"text": TEXTS}, compression="lz4")}
    yield "null", {"refused": "row 2 has nothing", "file": frame({"prompt": ["p", None], "completion": ["c", "d"]})}
    yield "number", {"refused": "row 1 has a value of another type", "file": frame({"text": [1.5, float("nan")]})}
    yield "not a number", {"refused": "row 1 has NaN", "file": arrow({"text": [float("nan"), 1.5]})}
    yield "bytes", {"refused": "row 2 has bytes that are not UTF-8", "file": frame({"text": [b"fine", b"\xff\xfe"]})}
    yield "zero", {"refused": "row 1 has a zero character", "file": frame({"text": ["\x00"]})}
    yield "no rows", {"refused": "holds no record", "file": frame({"text": pandas.Series([], dtype=str)})}
    yield "other columns", {"refused": "it has: question, answer", "file": frame({"question": ["x"], "answer": ["y"]})}


encoded = {name: table | {"file": base64.b64encode(table["file"]).decode()} for name, table in tables()}
print(json.dumps(encoded, ensure_ascii=False, indent=1))
