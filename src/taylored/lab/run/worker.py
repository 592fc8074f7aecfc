"""The worker process: `python -m taylored.lab.run.worker`, fed by `taylored.lab.run.pool`.

It reads a header line, the arrays and then one trial per line on standard input, and answers with
one JSON line per trial on standard output. These are plain pipes and not `multiprocessing`, so that
the user's script needs no `if __name__ == "__main__"` and nothing is pickled. When the parent dies,
even by SIGKILL, the pipe closes and the worker ends itself.
"""

import json
import os
import sys
import time
from functools import lru_cache
from math import prod
from queue import SimpleQueue
from threading import Thread
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import torch

from taylored.lab.data import Column
from taylored.lab.errors import UsageError
from taylored.lab.records import from_json, to_json
from taylored.lab.run.timed_trial import TimedTrial
from taylored.lab.trial.protocol import Protocol, TrialSpec
from taylored.lab.trial.train import Parts, make_parts, train_trial


def main() -> None:
    """Answer trials until standard input closes."""
    # A print in the user's loss must not end up between the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    torch.set_num_threads(1)
    # The first optimiser of a process imports for two seconds; here the parent still reads data.
    torch.optim.AdamW([torch.zeros(1, requires_grad=True)])
    requests = sys.stdin.buffer
    line = requests.readline()
    if not line:
        return  # the parent had nothing to run
    header = json.loads(line)
    protocol = from_json(Protocol, header["protocol"])
    columns = [from_json(Column, column) for column in header["columns"]]
    features, labels, parts = (_read_array(requests, *array) for array in header["arrays"])

    @lru_cache(maxsize=1)
    def parts_of(seed: int) -> Parts:
        return make_parts(features, labels, parts[seed], columns)

    specs: SimpleQueue[TrialSpec] = SimpleQueue()
    Thread(target=_receive, args=(requests, specs), daemon=True).start()
    while True:
        spec = specs.get()
        try:
            split = parts_of(spec.seed)
            start = time.perf_counter()
            trial = train_trial(protocol, split, spec)
            answer = to_json(TimedTrial(trial, time.perf_counter() - start))
        except UsageError as error:
            answer = {"error": str(error)}
        except Exception as error:  # the user's loss or model may raise anything
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer, allow_nan=False) + "\n")
        answers.flush()


def _receive(requests: IO[bytes], specs: "SimpleQueue[TrialSpec]") -> None:
    for line in requests:
        specs.put(from_json(TrialSpec, json.loads(line)))
    os._exit(0)  # the parent has closed the pipe or is dead; also in the middle of a trial


def _read_array(stream: IO[bytes], dtype: str, shape: list[int]) -> npt.NDArray[Any]:
    size = np.dtype(dtype).itemsize * prod(shape)
    return np.frombuffer(stream.read(size), dtype).reshape(shape)


if __name__ == "__main__":
    main()
