"""Runs an ONNX model by ONNX's own reference evaluator, which has every type that the standard has.

usage: run-by-reference.py MODEL.onnx FEEDS.json
FEEDS.json: [{"name", "shape", "type": "Float32Array" | "Int32Array", "data"}]; prints the outputs as JSON.
"""

import json
import sys

import numpy
import onnx
from onnx.reference import ReferenceEvaluator

model = onnx.load(sys.argv[1])
names = {value.name for value in model.graph.input}

# The file lists nodes in an order that suits ONNX Runtime; checker and evaluator want each after those it reads.
known = {""} | names | {value.name for value in model.graph.initializer}
pending = list(model.graph.node)[::-1]
ordered = []
while pending:
    ready = [node for node in pending if known.issuperset(node.input)]
    assert ready, "the graph has a cycle"
    pending = [node for node in pending if not known.issuperset(node.input)]
    ordered += ready
    known.update(output for node in ready for output in node.output)
del model.graph.node[:]
model.graph.node.extend(ordered)
onnx.checker.check_model(model, full_check=True)

types = {"Float32Array": numpy.float32, "Int32Array": numpy.int32}
with open(sys.argv[2]) as file:
    feeds = {
        feed["name"]: numpy.array(feed["data"], types[feed["type"]]).reshape(feed["shape"])
        for feed in json.load(file)
        if feed["name"] in names
    }
outputs = ReferenceEvaluator(model).run(None, feeds)
print(json.dumps({value.name: output.ravel().tolist() for value, output in zip(model.graph.output, outputs)}))
