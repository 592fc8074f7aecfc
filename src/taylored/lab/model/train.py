"""Train the winner once more, on all rows."""

from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from taylored.lab.data import TRAIN, Dataset, count_labels, encode, fingerprint
from taylored.lab.decision_rule import read_rule
from taylored.lab.errors import RunError, UsageError
from taylored.lab.model.card import ModelCard
from taylored.lab.model.file import save
from taylored.lab.model.preparation import learnt_from
from taylored.lab.own.objects import Objects, is_object
from taylored.lab.records import from_json, to_json
from taylored.lab.results import LossResult, Results
from taylored.lab.run.problem import Problem
from taylored.lab.run.workers.pool import WorkerPool
from taylored.lab.run.workers.process import Request
from taylored.lab.trial.build_loss import head_of
from taylored.lab.trial.final import Final, tensors_of
from taylored.lab.trial.protocol import TrialSpec

_PATIENCE = 3600.0


@dataclass(frozen=True, eq=False)
class Given:
    """What a comparison was given in Python: its data, and the objects among its losses."""

    dataset: Dataset
    objects: Objects


def save_model(results: Results, name: str, given: Given, path: Path) -> None:
    """Train a loss of the results on all rows, or on the training part of a given split; save."""
    loss_name, rule = read_rule(name)
    loss = _result(results, loss_name)
    dataset, config = given.dataset, results.config
    if fingerprint(dataset) != results.dataset.fingerprint:
        raise UsageError("data: these are not the data that the comparison was made on.")
    missing = [n for n in (loss_name, config.model) if is_object(n) and n not in given.objects]
    if missing:
        raise UsageError(
            f"save_model: {', '.join(missing)} was given in Python. Call save_model on the result "
            "of compare or resume in the same session."
        )
    if not path.parent.is_dir():
        raise UsageError(f"path: the folder {path.parent} does not exist.")
    if loss.learning_rate is None or loss.diverged:
        raise UsageError(f"loss: {loss_name} has no finished trainings to follow.")
    problem = Problem.draw(dataset, seed=config.seed, repeats=1)
    part = np.full(len(dataset.labels), TRAIN, dtype=np.int8)
    if dataset.split is not None:
        part = dataset.split.astype(np.int8)
    training = part == TRAIN
    decay = results.learning_rate.decays[loss_name]
    spec = TrialSpec(loss_name, loss.role, 0, 0, loss.learning_rate, weight_decay=decay)
    final = _trained(
        replace(problem, parts=part[None], tested=problem.tested[:1]), results, spec, given
    )
    encoding, numbers = learnt_from(dataset, training)
    features = dataset.features
    if dataset.columns:
        features = encode(dataset.columns, features, training)
    card = ModelCard(
        taylored=version("taylored"),
        loss=loss_name,
        rule=rule,
        link=final.link,
        learning_rate=loss.learning_rate,
        weight_decay=decay,
        epochs=config.epochs,
        model=config.model,
        head=head_of(loss_name),
        input_shape=features.shape[1:],
        read_shape=dataset.features.shape[1:],
        data=results.dataset.name,
        kind=dataset.kind,
        task=dataset.task,
        class_names=dataset.class_names,
        counts=tuple(count_labels(dataset.labels[training], len(dataset.class_names)).tolist()),
        rows=int(training.sum()),
        columns=dataset.columns,
        reading=config.reading,
        encoding=encoding,
        metrics=_result(results, name).metrics,
    )
    weights, learnt = tensors_of(final.weights), tensors_of(final.loss)
    save(path, card, {"weights": weights, "loss": learnt, "numbers": numbers})


def _result(results: Results, name: str) -> LossResult:
    found = next((loss for loss in results.losses if loss.name == name), None)
    if found is None:
        names = ", ".join(loss.name for loss in results.losses)
        raise UsageError(f"loss must be one of {names}, got {name!r}.")
    return found


def _trained(problem: Problem, results: Results, spec: TrialSpec, given: Given) -> Final:
    """The training, in a process of its own as in a comparison."""
    dataset = given.dataset
    protocol = replace(problem.protocol(results.config), folds=1)
    about = {"kind": "data", "protocol": to_json(protocol), "columns": to_json(dataset.columns)}
    with WorkerPool(1) as pool:
        pool.hand_over(given.objects)
        pool.load(Request(about, (dataset.features, dataset.labels, problem.parts)))
        content = {"kind": "final", "spec": to_json(spec)}
        pool.submit(Request(content, runs=(spec.loss, results.config.model)))
        reply = None
        while reply is None:
            reply = pool.next(_PATIENCE)
    if reply.answer is None:
        raise RunError(f"{spec.loss}: {reply.failed}")
    return from_json(Final, dict(reply.answer), "the answer")
