"""Writes tables with pandas, pyarrow and csv, and what they hold, as written.json. usage: tables.py FOLDER < texts.json"""

import csv
import json
import os
import sys

import pandas
import pyarrow
import pyarrow.parquet

folder = sys.argv[1]
texts = json.load(sys.stdin)
pairs = [{"prompt": a, "completion": b} for a, b in zip(texts, texts[1:] + texts[:1])]
conversations = [
    {"messages": [{"role": "user", "content": pair["prompt"]}, {"role": "assistant", "content": pair["completion"]}]}
    for pair in pairs
]
written = {}


def path(name, rows):
    written[name] = rows
    return os.path.join(folder, name)


for kind, rows in {"text": [{"text": text} for text in texts], "pairs": pairs, "messages": conversations}.items():
    frame = pandas.DataFrame(rows)
    for codec in ["snappy", "zstd", "gzip", "brotli", None]:
        frame.to_parquet(path(f"pandas-{kind}-{codec}.parquet", rows), compression=codec)
    pyarrow.parquet.write_table(
        pyarrow.Table.from_pandas(frame),
        path(f"pyarrow-{kind}.parquet", rows),
        row_group_size=len(rows) // 3,
        data_page_version="2.0",
        data_page_size=512,
        use_dictionary=False,
    )
    if kind == "messages":
        frame = pandas.DataFrame({"messages": [json.dumps(row["messages"]) for row in rows]})
        frame.to_parquet(path("pandas-json.parquet", rows))
    frame.to_csv(path(f"pandas-{kind}.csv", rows), index=kind == "pairs", lineterminator="\r\n")
    frame.to_csv(path(f"semicolon-{kind}.csv", rows), sep=";", encoding="utf-8-sig")
    with open(path(f"quoted-{kind}.csv", rows), "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(frame.columns)
        writer.writerows(frame.itertuples(index=False))

with open(os.path.join(folder, "written.json"), "w", encoding="utf-8") as file:
    json.dump(written, file)
