"""One round of Flower's SecAgg+ in this process: its own workflow and its own client mod, joined by a grid in memory.

Reads {"members", "dropped", "words", "threshold", "measured"} as JSON from standard input, prints one JSON object.
Members drop before they send their masked vector. Where "measured" says so, only that many members work out their masks
(the others send their vector bare, so that a run of a hundred ends in minutes; the sum is then not the true one).
"""

import importlib
import json
import logging
import os
import sys
import time

os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")

import numpy as np  # noqa: E402
from flwr.app import Context, Error, Message, RecordDict  # noqa: E402
from flwr.common import Code, FitRes, Status, ndarrays_to_parameters  # noqa: E402
from flwr.common.serde import recorddict_from_proto, recorddict_to_proto  # noqa: E402
from flwr.compat.common import recorddict_compat as compat  # noqa: E402
from flwr.server.client_manager import SimpleClientManager  # noqa: E402
from flwr.server.compat.grid_client_proxy import GridClientProxy  # noqa: E402
from flwr.server.compat.legacy_context import LegacyContext  # noqa: E402
from flwr.server.strategy import FedAvg  # noqa: E402
from flwr.supercore.task_identity import TaskIdentity  # noqa: E402
from flwr.server.workflow import SecAggPlusWorkflow  # noqa: E402
from flwr.server.workflow.constant import MAIN_CONFIGS_RECORD, MAIN_PARAMS_RECORD, Key  # noqa: E402
from flwr.app import ConfigRecord  # noqa: E402

# the package has a function of the same name in its place
mod = importlib.import_module("flwr.client.mod.secure_aggregation.secaggplus_mod")
logging.disable(logging.CRITICAL)
TaskIdentity.run_id = TaskIdentity.node_id = TaskIdentity.task_id = 1

asked = json.load(sys.stdin)
members, words = asked["members"], asked["words"]
dropping = set(range(1, 1 + asked["dropped"]))  # node ids begin at 1
measured = set(range(members, members - asked["measured"], -1))
cpu = {node: 0.0 for node in range(1, members + 1)}
up = dict.fromkeys(cpu, 0)
down = dict.fromkeys(cpu, 0)
contexts = {
    node: Context(run_id=1, node_id=node, node_config={}, state=RecordDict(), run_config={}) for node in cpu
}
in_clients = 0.0
stage_started = {}
masks = mod.pseudo_rand_gen


def fit(message, _context):
    vector = np.zeros(words, dtype=np.float32)
    result = FitRes(Status(Code.OK, ""), ndarrays_to_parameters([vector]), num_examples=1, metrics={})
    return Message(compat.fitres_to_recorddict(result, keep_input=False), reply_to=message)


def size(content):
    return recorddict_to_proto(content).ByteSize()


class MemoryGrid:
    """Carries each message to the mod of its node, and takes the time that the node spends."""

    calls = 0

    def send_and_receive(self, messages, *, timeout=None):
        global in_clients
        began = time.process_time()
        self.calls += 1
        stage_started[self.calls] = began
        replies = []
        for message in messages:
            node = message.metadata.dst_node_id
            # as it arrives: the mod takes fields out of what it is given, and a setup is one object for all
            sent = recorddict_to_proto(message.content)
            down[node] += sent.ByteSize()
            arrived = Message(recorddict_from_proto(sent), node, message.metadata.message_type)
            if self.calls >= 3 and node in dropping:
                replies.append(Message(Error(code=0, reason="dropped"), reply_to=message))
                continue
            bare = node not in measured
            mod.pseudo_rand_gen = (lambda _seed, _range, shapes: [np.zeros(s, dtype=np.int64) for s in shapes]) if bare else masks
            started = time.process_time()
            reply = mod.secaggplus_mod(arrived, contexts[node], fit)
            cpu[node] += time.process_time() - started
            up[node] += size(reply.content)
            replies.append(reply)
        in_clients += time.process_time() - began
        self.left = time.process_time()
        return replies


class Everyone(FedAvg):
    def configure_fit(self, server_round, parameters, client_manager):
        from flwr.common import FitIns

        return [(proxy, FitIns(parameters, {})) for proxy in client_manager.all().values()]


grid = MemoryGrid()
manager = SimpleClientManager()
for node in cpu:
    manager.register(GridClientProxy(node, grid, 1))
context = LegacyContext(
    context=Context(run_id=1, node_id=0, node_config={}, state=RecordDict(), run_config={}),
    strategy=Everyone(),
    client_manager=manager,
)
context.state.config_records[MAIN_CONFIGS_RECORD] = ConfigRecord({Key.CURRENT_ROUND: 1})
context.state.array_records[MAIN_PARAMS_RECORD] = compat.parameters_to_arrayrecord(
    ndarrays_to_parameters([np.zeros(0, dtype=np.float32)]), True
)
workflow = SecAggPlusWorkflow(num_shares=1.0, reconstruction_threshold=asked["threshold"] / members)
workflow(grid, context)
ended = time.process_time()
if grid.calls < 4:
    sys.exit("the workflow halted: too few members")
staying = [node for node in measured if node not in dropping]
import flwr  # noqa: E402

print(
    json.dumps(
        {
            "version": flwr.__version__,
            "upBytes": float(np.mean([up[node] for node in staying])),
            "downBytes": float(np.mean([down[node] for node in staying])),
            "nodeCpuS": float(np.mean([cpu[node] for node in staying])),
            "unmaskCpuS": ended - grid.left,
        }
    )
)
