"""The worker process, `python -m taylored.lab.run.workers.worker`, fed by the pool beside it.

It reads one request per line on standard input, some followed by arrays, and answers each with one
JSON line on standard output, after any number of lines that say that it is alive. These are plain
pipes and not `multiprocessing`, so that the user's script needs no `if __name__ == "__main__"` and
nothing is pickled. When the parent dies, even by SIGKILL, the pipe closes and the worker ends
itself.
"""

import gc
import json
import os
import sys
import time
from collections.abc import Callable
from functools import lru_cache, partial
from math import prod
from threading import Thread
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import torch

from taylored.lab.data import Column
from taylored.lab.errors import described
from taylored.lab.own.code import sources_of
from taylored.lab.own.objects import Packed, hold
from taylored.lab.records import from_json, to_json
from taylored.lab.run.line_up import examine_loss
from taylored.lab.run.workers.isolated import FORKS, Answer, Beat, Work, answer_of, forked
from taylored.lab.store.timed_trial import TimedTrial
from taylored.lab.trial.final import train_final
from taylored.lab.trial.models import check_model
from taylored.lab.trial.protocol import Protocol, TrialSpec
from taylored.lab.trial.train import Parts, make_parts, train_trial

ALIVE = "alive"


def main() -> None:
    """Answer requests until standard input closes."""
    # A print in the user's loss must not end up between the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    torch.set_num_threads(1)
    # The first optimiser of a process imports for two seconds; here the parent still reads data.
    torch.optim.AdamW([torch.zeros(1, requires_grad=True)])
    gc.freeze()  # the copies of this process leave alone what it has imported
    requests = _Requests()
    worker = _Worker(answers, requests)
    try:
        worker.say({ALIVE: 1})
        while line := requests.line():
            worker.answer(json.loads(line))
    except BrokenPipeError:  # the parent was killed while this process had something to say
        os._exit(0)


class _Worker:
    """What is known about the data, and how each kind of request is answered."""

    def __init__(self, answers: IO[str], requests: "_Requests") -> None:
        self._answers = answers
        self._requests = requests
        self._known = frozenset(sys.modules)
        self._kinds: dict[str, Callable[[dict[str, Any]], Work]] = {
            "trial": self._trial,
            "loss": self._loss,
            "model": self._model,
            "final": self._final,
        }

    def say(self, content: Answer) -> None:
        """Write one line."""
        self._answers.write(json.dumps(content) + "\n")
        self._answers.flush()

    def answer(self, request: dict[str, Any]) -> None:
        """Do what is asked for."""
        if request["kind"] == "data":
            self._load(request)
            return
        if request["kind"] == "objects":
            self._hold(request)
            return
        try:
            work = self._kinds[request["kind"]](request)
        except MemoryError as error:
            self.say({"failed": described(error)})
            return
        alive = partial(self.say, {ALIVE: 1})
        if FORKS:
            line = forked(work, alive, self._requests.stream)
        else:
            self._requests.watch()
            line = answer_of(work, _at_most_every_second(alive))
        self._answers.write(line)
        self._answers.flush()

    def _load(self, request: dict[str, Any]) -> None:
        protocol = from_json(Protocol, request["protocol"])
        columns = [from_json(Column, column) for column in request["columns"]]
        features, labels, parts = (self._requests.array(*a) for a in request["arrays"])

        @lru_cache(maxsize=1)
        def parts_of(index: int) -> Parts:
            return make_parts(features, labels, parts[index], columns)

        self._protocol, self._parts_of = protocol, parts_of

    def _hold(self, request: dict[str, Any]) -> None:
        contents = [self._requests.array(*a).tobytes() for a in request["arrays"]]
        packed = map(Packed, contents, request["digests"])
        hold(dict(zip(request["names"], packed, strict=True)))

    def _trial(self, request: dict[str, Any]) -> Work:
        spec = from_json(TrialSpec, request["spec"])
        parts = self._parts_of(spec.repeat * self._protocol.folds + spec.fold)

        def work(beat: Beat) -> Answer:
            start = time.perf_counter()
            trial, outputs = train_trial(self._protocol, parts, spec, beat)
            seconds = time.perf_counter() - start
            sources = self._sources(spec.loss, self._protocol.model)
            answer: Answer = to_json(TimedTrial(trial, seconds, None, sources, outputs))
            return answer

        return work

    def _final(self, request: dict[str, Any]) -> Work:
        spec = from_json(TrialSpec, request["spec"])
        parts = self._parts_of(0)

        def work(beat: Beat) -> Answer:
            answer: Answer = to_json(train_final(self._protocol, parts, spec, beat))
            return answer

        return work

    def _loss(self, request: dict[str, Any]) -> Work:
        name = request["name"]

        def work(_beat: Beat) -> Answer:
            examine_loss(name, request["counts"], request["task"])
            return {"sources": self._sources(name)}

        return work

    def _model(self, request: dict[str, Any]) -> Work:
        name = request["name"]

        def work(_beat: Beat) -> Answer:
            check_model(name, request["input_shape"], request["classes"])
            return {"sources": self._sources(name)}

        return work

    def _sources(self, *names: str) -> dict[str, str]:
        return sources_of(self._known, names)


def _at_most_every_second(alive: Beat) -> Beat:
    last = 0.0

    def beat() -> None:
        nonlocal last
        if time.monotonic() - last > 1:
            last = time.monotonic()
            alive()

    return beat


class _Requests:
    """Standard input, read to the end of each request and not beyond."""

    def __init__(self) -> None:
        self.stream = open(0, "rb", buffering=0, closefd=False)  # noqa: SIM115
        self._ahead = b""
        self._watch: Thread | None = None

    def watch(self) -> None:
        """End this process as soon as the parent has closed the pipe or is dead."""
        self._watch = Thread(target=self._read_ahead, daemon=True)
        self._watch.start()

    def _read_ahead(self) -> None:
        self._ahead = self.stream.read(1) or b""
        if not self._ahead:
            os._exit(0)  # also in the middle of a trial

    def line(self) -> bytes:
        """The next request; empty when there is none any more."""
        if self._watch is not None:
            self._watch.join()
            self._watch = None
        pieces, self._ahead = [self._ahead], b""
        while piece := self.stream.read(1):
            pieces.append(piece)
            if piece == b"\n":
                break
        return b"".join(pieces)

    def array(self, dtype: str, shape: list[int]) -> npt.NDArray[Any]:
        """The array whose bytes come next."""
        content = bytearray(np.dtype(dtype).itemsize * prod(shape))
        view, done = memoryview(content), 0
        while done < len(content):
            count = self.stream.readinto(view[done:])
            if not count:
                os._exit(0)
            done += count
        return np.frombuffer(content, dtype).reshape(shape)


if __name__ == "__main__":
    main()
