"""Look at the user's losses and model in processes of their own, before any time is spent."""

from collections.abc import Iterable, Mapping, Sequence

from taylored.lab.data import TaskName
from taylored.lab.errors import UsageError
from taylored.lab.own.code import is_own
from taylored.lab.own.sources import Sources
from taylored.lab.run.problem import Problem
from taylored.lab.run.workers.pool import WorkerPool
from taylored.lab.run.workers.process import Request

_PATIENCE = 3600.0  # seconds until the pool is asked again; its own limit comes first


def examine_losses(
    pool: WorkerPool, names: Iterable[str], counts: Sequence[int], task: TaskName
) -> dict[str, Sources]:
    """The files behind the user's own losses; a UsageError for one that cannot train."""
    own = [name for name in names if is_own(name)]
    about = {"kind": "loss", "counts": list(counts), "task": task}
    return _asked(pool, {f"loss {name!r}": (name, {**about, "name": name}) for name in own})


def examine_model(pool: WorkerPool, model: str, problem: Problem) -> dict[str, Sources]:
    """The files behind the user's own model; a UsageError for one that cannot be trained."""
    if not is_own(model):
        return {}
    about = {
        "kind": "model",
        "name": model,
        "input_shape": list(problem.input_shape),
        "classes": len(problem.dataset.class_names),
    }
    return _asked(pool, {"model": (model, about)})


def _asked(
    pool: WorkerPool, about: Mapping[str, tuple[str, Mapping[str, object]]]
) -> dict[str, Sources]:
    """Sources by name, in the order of the questions."""
    asked = {}
    for subject, (name, content) in about.items():
        request = Request(content, runs=(name,))
        asked[request] = (subject, name)
        pool.submit(request)
    found: dict[str, Sources] = {}
    while len(found) < len(asked):
        reply = pool.next(_PATIENCE)
        if reply is None:
            continue
        subject, name = asked[reply.request]
        if reply.answer is None:
            said = str(reply.failed)
            raise UsageError(said if name in said else f"{subject}: {said} ({name})")
        found[name] = reply.answer["sources"]
    return {name: found[name] for _, name in asked.values()}
