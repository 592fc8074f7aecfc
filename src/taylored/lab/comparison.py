"""`compare`: check the request, resolve every default, run."""

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from taylored.lab.data import FOLDS, Reading
from taylored.lab.errors import UsageError
from taylored.lab.metrics import MetricName
from taylored.lab.model.train import Given
from taylored.lab.outcome import Comparison
from taylored.lab.own.naming import GivenLoss, GivenModel, name_losses, name_model
from taylored.lab.own.sources import Sources
from taylored.lab.run import sources
from taylored.lab.run.budget import GIVEN_SPLIT_REPEATS, STEPS, batch_size_for, epochs_for
from taylored.lab.run.checks import (
    check_choice,
    check_integer,
    check_learning_rate,
    check_losses,
    check_model_given,
    check_time_limit,
    weight_decays,
)
from taylored.lab.run.examine import examine_losses, examine_model
from taylored.lab.run.execute import Run
from taylored.lab.run.guard import guard_of
from taylored.lab.run.line_up import line_up
from taylored.lab.run.problem import Problem
from taylored.lab.run.progress import ProgressMode, Reporter
from taylored.lab.run.workers.pool import WorkerPool, default_workers
from taylored.lab.run_config import Budget, RunConfig, TuneLearningRate, Until, WeightDecay
from taylored.lab.store.folder import RunFolder, RunRecord
from taylored.lab.store.lease import Leases
from taylored.lab.tasks import SINGLE_LABEL, TASKS
from taylored.lab.trial.models import choose_model
from taylored.lab.trial.protocol import OPTIMIZER
from taylored.lab.trial_result import WEIGHT_DECAY


def compare(
    losses: Sequence[GivenLoss] | None = None,
    data: sources.Source = "kanjivg-strokes",
    *,
    target: str | None = None,
    reading: Reading | None = None,
    model: GivenModel = "auto",
    metric: MetricName | None = None,
    budget: Budget = "default",
    repeats: int | None = None,
    until: Until = "done",
    seed: int = 0,
    epochs: int | None = None,
    tune_lr: TuneLearningRate = "each",
    lr: float | None = None,
    weight_decay: WeightDecay = WEIGHT_DECAY,
    workers: int | None = None,
    time_limit: float | None = None,
    out: str | Path | None = None,
    progress: ProgressMode = "auto",
) -> Comparison:
    """Which loss is better on my data? Train every loss on the same folds and say what differs.

    In every repeat of a five-fold cross-validation each row is tested once, by a model that was
    trained on three other folds. All losses share the folds, the initial weights and the batch
    order. Every loss gets its own learning rate, tuned in short trainings on the first fold. A loss
    is called better if it beats the best that cross-entropy reaches for nothing: as it is, or with
    its scores adjusted after training for the frequencies of the classes.
    Only the last layer of a built-in model may differ: losses of the sigmoid link start from the
    base rate of positives, LDAM gets the cosine classifier that it is made for.
    For data with many labels per sample cross-entropy is the binary one, every loss needs the
    sigmoid link, and average precision takes the place of accuracy.

    Args:
        losses: catalogue strings such as "focal(gamma=2)", losses such as `FocalLoss(gamma=2)`,
            or your own: an nn.Module, a function (logits, target) -> scalar, a class or function
            that builds one (with the class counts where it has a parameter `counts`), or the name
            of any of these, "module:attribute" or "path/file.py:MyLoss(gamma=1)" with literals. A
            loss that only this Python has goes to other processes as a copy, fresh for every
            training; to resume such a run, give it again.
        data: a built-in name, a path (a table such as .csv or .parquet, an .npz, a folder of
            images by class), a pandas DataFrame, a torch Dataset, a taylored Dataset, or a pair
            (features, labels); labels with one 0 / 1 column per label are multi-label data, as is
            the built-in "kanjivg-components".
        target: the column with the classes, for tables.
        reading: how tables and images are read, where finding out is not wanted: `Reading`.
        model: "auto" (MLP for vectors, small CNN for images, linear on a backbone), "linear",
            "mlp", "cnn", "grid_cnn" (the CNN for many labels per image), or your own: a function
            (input_shape, num_classes) -> nn.Module, or its name "module:function".
        metric: what the learning rates and the verdict are chosen by; by default
            "balanced_accuracy", for multi-label data "mean_average_precision".
        budget: "quick" takes a third of the steps and, where none are named, six losses.
        repeats: how often the cross-validation is repeated with other folds, by default once; more
            make smaller differences visible. Data that came with a split are not divided again:
            there it is the number of trainings, 5 by default.
        until: "decided" adds a repeat for the losses that are undecided after the others, if one
            can decide them. The limits of significance are stricter then, for both looks.
        seed: where all randomness starts; the same seed gives the same results, byte for byte.
        epochs: passes over the training part; by default as many as the budget's steps take.
        tune_lr: "each" tunes the learning rate for every loss, "cross_entropy" for cross-entropy
            alone, whose rate all losses get then.
        lr: fixes the learning rate instead.
        weight_decay: that of AdamW; more of it keeps the weights smaller. Of a list one is chosen
            for each loss, together with its learning rate; "tune" is (0.001, 0.01, 0.1).
        workers: processes, one thread each; by default one per processor, at most 8.
        time_limit: seconds without a finished step after which a training counts as failed; by
            default 300. The run goes on without it.
        out: run folder; by default runs/compare/<date>-<time>.
        progress: "auto" shows notes, and a bar on a terminal; "off" is silent.

    Returns:
        The comparison, also kept in the run folder together with every trial.

    """
    check_losses(losses)
    check_model_given(model)
    if metric is not None:
        check_choice("metric", metric, get_args(MetricName))
    check_choice("budget", budget, get_args(Budget))
    check_choice("tune_lr", tune_lr, get_args(TuneLearningRate))
    check_choice("progress", progress, get_args(ProgressMode))
    check_choice("until", until, get_args(Until))
    check_learning_rate(lr)
    decays = weight_decays(weight_decay)
    check_integer("repeats", repeats, least=1)
    check_integer("seed", seed, least=0)
    check_integer("epochs", epochs, least=1)
    check_integer("workers", workers, least=1)
    check_time_limit(time_limit)
    how = reading or Reading()
    if not isinstance(how, Reading):
        raise UsageError(f"reading must be lab.Reading(drop=..., ...), got {reading!r:.80}.")
    named, named_model = name_losses(losses or ()), name_model(model)
    # More processes than trials would only load torch.
    most = (repeats or 1) * FOLDS * (len(losses or SINGLE_LABEL.losses) + 1)
    with (
        Reporter(progress) as reporter,
        WorkerPool(min(most, workers or default_workers()), time_limit) as pool,
    ):
        objects = {**named.objects, **named_model.objects}
        pool.hand_over(objects)
        pool.start()
        dataset = sources.read(data, target, how, reporter)
        task = TASKS[dataset.task]
        if repeats is None:
            repeats = 1 if dataset.split is None else GIVEN_SPLIT_REPEATS[budget]
        more = int(until == "decided")
        problem = Problem.draw(dataset, seed=seed, repeats=repeats + more)
        chosen_metric = metric or task.default_metric
        problem.check_metric(chosen_metric)
        own: dict[str, Sources] = {}

        def examine(names: Sequence[str]) -> None:
            own.update(examine_losses(pool, names, problem.train_counts, task.name))

        chosen_losses, notes = line_up(
            named.names or task.usual_losses(budget), problem.train_counts, task, examine
        )
        for note in notes:
            reporter.note(note)
        chosen_model = named_model.names[0]
        if chosen_model == "auto" and how.backbone is not None:
            chosen_model = "linear"  # the backbone is the model below it
        chosen_model = choose_model(chosen_model, dataset.kind, task.name)
        own |= examine_model(pool, chosen_model, problem)
        rows = problem.rows["train"]
        batch_size = batch_size_for(rows, task.name)
        config = RunConfig(
            losses=chosen_losses,
            data=sources.recorded_name(data),
            target=target,
            reading=how,
            model=chosen_model,
            budget=budget,
            repeats=repeats,
            until=until,
            looks=1 + more,
            seed=seed,
            epochs=epochs or epochs_for(rows, batch_size, STEPS[task.name][budget]),
            batch_size=batch_size,
            primary_metric=chosen_metric,
            tune_lr=tune_lr,
            learning_rate=lr,
            optimizer=OPTIMIZER,
            weight_decay=decays,
        )
        record = RunRecord(config, guard_of(dataset), own, str(Path.cwd()))
        folder = RunFolder.create(None if out is None else Path(out), record)
        reporter.note(f"Run folder: {folder.path}")
        with Leases(folder.path) as leases:
            results = Run(record, problem, folder, leases, pool, reporter).execute()
            return Comparison(results, folder.path, Given(dataset, objects))
