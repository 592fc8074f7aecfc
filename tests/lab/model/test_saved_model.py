"""Save the winner, load it, predict, export: as somebody does who wants to use it."""

import io
import os
import pickle
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from taylored import lab
from taylored.lab.errors import UsageError
from taylored.lab.model.file import FORMAT

RANDOM = np.random.default_rng(0)
ROWS = 240
FEATURES = RANDOM.normal(size=(ROWS, 4))
CLASSES = (FEATURES[:, 0] > 0.4).astype(int) + (FEATURES[:, 1] > 1)
SETTINGS = {"epochs": 2, "lr": 0.03, "workers": 1, "progress": "off"}
FRAME = pd.DataFrame(
    {
        "size": FEATURES[:, 0],
        "other": np.where(np.arange(ROWS) % 9 == 0, np.nan, FEATURES[:, 1]),
        "colour": np.array(["red", "green", "blue"])[RANDOM.integers(0, 3, ROWS)],
        "when": [f"{1 + n % 28:02d}.{1 + n % 12:02d}.2024" for n in range(ROWS)],
        "kind": np.array(["low", "middle", "high"])[CLASSES],
    }
)


class Halved(nn.Module):
    def forward(self, logits, target):
        return nn.functional.cross_entropy(logits, target) / 2


def network(shape, classes):
    return nn.Sequential(nn.Linear(shape[0], 5), nn.Tanh(), nn.Linear(5, classes))


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    """A split that came with the data: the training on its training part is a trial again."""
    folder = tmp_path_factory.mktemp("model")
    parts = np.arange(ROWS) % 3
    np.savez(folder / "data.npz", features=FEATURES, labels=CLASSES, split=parts)
    losses = ["softmax_eql", "balanced_softmax", "sigmoid_eql", "deferred(ldam)"]
    settings = {**SETTINGS, "model": "mlp", "repeats": 2}
    return lab.compare(losses, folder / "data.npz", out=folder / "run", **settings)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    out = tmp_path_factory.mktemp("model") / "run"
    settings = {**SETTINGS, "model": "linear", "target": "kind"}
    return lab.compare(["balanced_softmax"], FRAME, out=out, **settings)


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    out = tmp_path_factory.mktemp("model") / "run"
    return lab.compare([Halved()], (FEATURES, CLASSES), model=network, out=out, **SETTINGS)


@pytest.fixture(scope="module")
def saved(table, tmp_path_factory):
    return table.save_model(tmp_path_factory.mktemp("model") / "m.model", "balanced_softmax")


@pytest.mark.parametrize(
    "name", ["softmax_eql", "balanced_softmax", "sigmoid_eql", "deferred(ldam)"]
)
def test_it_says_what_the_models_of_the_comparison_said(split, tmp_path, name):
    model = lab.load_model(split.save_model(tmp_path / "m", name))
    frame = split.predictions().query("repeat == 0")
    rows = FEATURES[frame["row"]]
    assert list(model.predict(rows)) == list(frame[f"{name}: predicted"])
    truth = [model.classes.index(label) for label in frame["label"]]
    posterior = model.posterior(rows)
    np.testing.assert_allclose(posterior.sum(1), 1, rtol=1e-5)
    told = posterior[np.arange(len(truth)), truth]
    np.testing.assert_allclose(told, frame[f"{name}: p"], rtol=0.02, atol=1e-3)


def test_a_free_reference_is_the_baseline_and_a_rule(split, tmp_path):
    free = [loss.name for loss in split.results.losses if loss.role == "free"]
    assert len(free) == 2
    plain = lab.load_model(split.save_model(tmp_path / "m", "cross_entropy"))
    counts = np.bincount(CLASSES[np.arange(ROWS) % 3 == 0])
    for name in free:
        model = lab.load_model(split.save_model(tmp_path / "n", name))
        assert (model.card.loss, model.card.counts) == ("cross_entropy", tuple(counts))
        np.testing.assert_array_equal(model.posterior(FEATURES), plain.posterior(FEATURES))
        rows = torch.tensor(FEATURES)
        scores, logits = model.module(rows)[0], plain.module(rows)[0]
        tau = model.card.rule.tau
        if model.card.rule.kind == "adjusted":
            wanted = logits - tau * torch.tensor(counts / counts.sum()).log()
        else:
            last = plain.module.model[-1]
            wanted = (logits - last.bias) / last.weight.norm(dim=1) ** tau
        torch.testing.assert_close(scores, wanted.float())


def test_the_best_is_saved_by_default(table, tmp_path):
    model = lab.load_model(table.save_model(tmp_path / "m"))
    best = next(loss for loss in table.results.losses if loss.name == table.best())
    assert best.name.startswith(model.card.loss)
    assert dict(model.card.metrics) == dict(best.metrics)
    assert repr(model).startswith("SavedModel(linear trained with ")
    assert "240 rows, 3 classes" in repr(model)


def test_a_table_is_asked_about_in_every_form(saved, tmp_path):
    model = lab.load_model(saved)
    rows = FRAME.drop(columns="kind")
    wanted = model.predict(rows)
    assert set(wanted) <= set(model.classes) == {"low", "middle", "high"}
    assert (wanted == FRAME["kind"]).mean() > 0.5
    rows.to_csv(tmp_path / "rows.csv", index=False)
    records = rows.to_dict("records")
    for form in (records, rows.to_dict("list"), str(tmp_path / "rows.csv"), FRAME):
        np.testing.assert_array_equal(model.predict(form), wanted)
    alone = [model.predict(record)[0] for record in records[:20]]
    assert alone == list(wanted[:20])
    assert len(model.predict(rows.iloc[:0])) == 0


def test_a_file_is_read_with_the_options_of_the_run(tmp_path):
    text = "".join(
        f"{x:.3f};{'?' if n % 8 == 0 else n % 5};{'ab'[int(x > 0.4)]}\n".replace(".", ",")
        for n, x in enumerate(FEATURES[:, 0])
    )
    (tmp_path / "data.csv").write_text(text)
    reading = lab.Reading(header="none", na="?", separator=";", decimal=",")
    settings = {**SETTINGS, "model": "linear", "target": "3", "reading": reading}
    run = lab.compare(["focal"], tmp_path / "data.csv", out=tmp_path / "run", **settings)
    model = lab.load_model(run.save_model(tmp_path / "m", "focal"))
    assert model.card.reading == reading
    by_file = model.predict(tmp_path / "data.csv")
    wanted = np.where(FEATURES[:, 0] > 0.4, "b", "a")
    assert (by_file == wanted).mean() > 0.8
    second = [np.nan if n % 8 == 0 else n % 5 for n in range(ROWS)]
    same = pd.DataFrame({"1": FEATURES[:, 0].round(3), "2": second})
    np.testing.assert_array_equal(model.predict(same), by_file)


def test_the_whole_run_is_trained_again_alike(table, saved, tmp_path):
    again = lab.load_model(table.save_model(tmp_path / "m", "balanced_softmax"))
    first = lab.load_model(saved)
    np.testing.assert_array_equal(first.posterior(FRAME), again.posterior(FRAME))
    assert first.card == again.card
    assert (first.card.rows, first.card.epochs) == (ROWS, 2)


def test_a_run_that_was_loaded_reads_its_data_again(split, table, tmp_path):
    loaded = lab.Comparison.load(split.folder)
    model = lab.load_model(loaded.save_model(tmp_path / "m", "balanced_softmax"))
    same = lab.load_model(split.save_model(tmp_path / "n", "balanced_softmax"))
    np.testing.assert_array_equal(model.posterior(FEATURES), same.posterior(FEATURES))
    loaded = lab.Comparison.load(table.folder)
    with pytest.raises(UsageError, match="Give them again"):
        loaded.save_model(tmp_path / "m")
    loaded.save_model(tmp_path / "m", data=FRAME)
    with pytest.raises(UsageError, match="not the data that the comparison was made on"):
        loaded.save_model(tmp_path / "m", data=FRAME.assign(size=1.0 + FRAME["size"]))


@pytest.mark.parametrize("name", ["sigmoid_eql", "deferred(ldam)"])
def test_programs_say_the_same(split, tmp_path, name):
    runtime = pytest.importorskip("onnxruntime")
    model = lab.load_model(split.save_model(tmp_path / "m", name))
    program = torch.export.load(model.export(tmp_path / "m.pt2")).module()
    session = runtime.InferenceSession(model.export(tmp_path / "m.onnx"))
    for rows in (FEATURES[:1], FEATURES[:7]):
        wanted = [each.detach().numpy() for each in model.module(torch.tensor(rows))]
        from_torch = [each.detach().numpy() for each in program(torch.tensor(rows))]
        for other in (from_torch, session.run(["scores", "probabilities"], {"rows": rows})):
            for mine, its in zip(wanted, other, strict=True):
                np.testing.assert_allclose(mine, its, rtol=1e-4, atol=1e-5)


def test_the_program_of_a_table_encodes(saved, tmp_path):
    model = lab.load_model(saved)
    program = torch.export.load(model.export(tmp_path / "m.pt2")).module()
    levels = [column.levels for column in model.card.columns]
    row = [levels[place].index("red") if known else 1.5 for place, known in enumerate(levels)]
    row[[column.name for column in model.card.columns].index("other")] = np.nan
    rows = torch.tensor([row], dtype=torch.float64)
    torch.testing.assert_close(program(rows)[1], model.module(rows)[1])
    with pytest.raises(UsageError, match=r"must end in .pt2 or .onnx, got 'm.pth'"):
        model.export(tmp_path / "m.pth")


def test_losses_and_models_of_ones_own(own, tmp_path):
    path = own.save_model(tmp_path / "m", own.results.losses[-1].name)
    with pytest.raises(UsageError, match=r"no code. Give the function.*model=function"):
        lab.load_model(path)
    model = lab.load_model(path, model=network)
    assert (model.predict(FEATURES) == CLASSES.astype(str)).mean() > 0.5
    with pytest.raises(UsageError, match="the weights do not fit"):
        lab.load_model(path, model=lambda shape, classes: nn.Linear(shape[0], classes))
    with pytest.raises(UsageError, match="model: it failed"):
        lab.load_model(path, model=lambda: None)
    loaded = lab.Comparison.load(own.folder)
    with pytest.raises(UsageError, match="given in Python. Call save_model on the result"):
        loaded.save_model(path, own.results.losses[-1].name, data=(FEATURES, CLASSES))


def test_many_labels(tmp_path):
    hot = (FEATURES[:, :3] > 0.3).astype(int)
    settings = {**SETTINGS, "model": "linear", "out": tmp_path / "run"}
    run = lab.compare(["asymmetric"], (FEATURES, hot), **settings)
    model = lab.load_model(run.save_model(tmp_path / "m"))
    predicted = model.predict(FEATURES)
    assert predicted.shape == hot.shape
    assert (predicted == hot).mean() > 0.6
    assert model.posterior(FEATURES).shape == hot.shape


def test_images_by_path(tmp_path):
    pillow = pytest.importorskip("PIL.Image")
    for number in range(60):
        folder = tmp_path / "data" / ("dark" if number % 2 else "light")
        folder.mkdir(parents=True, exist_ok=True)
        grey = RANDOM.integers(0, 100, (9, 9), dtype=np.uint8) + (0 if number % 2 else 150)
        pillow.fromarray(grey.astype(np.uint8)).save(folder / f"{number}.png")
    settings = {**SETTINGS, "model": "linear", "out": tmp_path / "run"}
    reading = lab.Reading(image_size=8)
    run = lab.compare(["focal"], tmp_path / "data", reading=reading, **settings)
    model = lab.load_model(run.save_model(tmp_path / "m"))
    paths = [tmp_path / "data" / "dark" / "1.png", str(tmp_path / "data" / "light" / "2.png")]
    assert list(model.predict(paths)) == ["dark", "light"]
    assert list(model.predict([pillow.open(path) for path in paths])) == ["dark", "light"]
    assert model.predict(np.zeros((3, 1, 8, 8))).shape == (3,)
    assert model.predict(np.zeros((3, 8, 8))).shape == (3,)
    with pytest.raises(UsageError, match="has colours, which the training data had not"):
        model.predict([pillow.new("RGB", (8, 8), "red")])
    with pytest.raises(UsageError, match="cannot be read as an image"):
        model.predict([tmp_path / "none.png"])


class Runs:
    def __reduce__(self):
        return os.mkdir, (self.folder,)


def test_reading_a_file_runs_nothing(saved, tmp_path, monkeypatch):
    hostile = Runs()
    hostile.folder = str(tmp_path / "it ran")
    torch.save({"format": FORMAT, "card": hostile}, tmp_path / "torch.model")
    (tmp_path / "pickle.model").write_bytes(pickle.dumps(hostile))
    for name in ("torch.model", "pickle.model"):
        with pytest.raises(UsageError, match="is no model that save_model has written"):
            lab.load_model(tmp_path / name)
    content = torch.load(saved, weights_only=True)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stranger.py").write_text("import os; os.mkdir('it ran')\ndef f(*a): return a\n")
    card = content["card"].replace('"balanced_softmax"', '"stranger:f"')
    torch.save({**content, "card": card, "loss": {}}, tmp_path / "loss.model")
    lab.load_model(tmp_path / "loss.model").predict(FRAME)
    card = content["card"].replace('"model": "linear"', '"model": "stranger:f"')
    assert card != content["card"]
    torch.save({**content, "card": card}, tmp_path / "model.model")
    with pytest.raises(UsageError, match="Give the function that builds it"):
        lab.load_model(tmp_path / "model.model")
    assert not (tmp_path / "it ran").exists()


@pytest.mark.parametrize("keep", [0, 10, 1000])
def test_damaged_files_are_named(saved, tmp_path, keep):
    (tmp_path / "m").write_bytes(saved.read_bytes()[:keep])
    with pytest.raises(UsageError, match="is no model that save_model has written"):
        lab.load_model(tmp_path / "m")


def test_other_files_are_named(saved, tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        lab.load_model(tmp_path / "none")
    torch.save({"weights": {}}, tmp_path / "m")
    with pytest.raises(UsageError, match="is no model"):
        lab.load_model(tmp_path / "m")
    content = torch.load(saved, weights_only=True)
    torch.save({**content, "card": "{}"}, tmp_path / "m")
    with pytest.raises(UsageError, match="from another version of taylored"):
        lab.load_model(tmp_path / "m")
    stream = io.BytesIO()
    torch.save({**content, "weights": {}}, stream)
    (tmp_path / "m").write_bytes(stream.getvalue())
    with pytest.raises(UsageError, match="the weights do not fit the model linear"):
        lab.load_model(tmp_path / "m")
    with pytest.raises(UsageError, match="built-in model linear. Leave it out"):
        lab.load_model(saved, model=network)


def test_what_cannot_be_saved_is_refused_before_the_training(table, tmp_path):
    with pytest.raises(UsageError, match="loss must be one of cross_entropy, .*got 'x'"):
        table.save_model(tmp_path / "m", "x")
    with pytest.raises(UsageError, match=f"the folder {re.escape(str(tmp_path / 'no'))} does not"):
        table.save_model(tmp_path / "no" / "m")
    broken = replace(table.results.losses[0], diverged=1)
    results = replace(table.results, losses=(broken, *table.results.losses[1:]))
    with pytest.raises(UsageError, match="no finished trainings"):
        replace(table, results=results).save_model(tmp_path / "m", "cross_entropy")


def test_rows_that_do_not_fit_are_refused(split, saved, tmp_path):
    model = lab.load_model(saved)
    with pytest.raises(ValueError, match="the columns 'colour', 'when' are missing"):
        model.predict(FRAME[["size", "other"]])
    with pytest.raises(UsageError, match="a data frame with the columns of the training data"):
        model.predict(3)
    model = lab.load_model(split.save_model(tmp_path / "m", "balanced_softmax"))
    with pytest.raises(UsageError, match=r"rows must be \(N, 4\).*got \(5, 3\)"):
        model.predict(np.zeros((5, 3)))
    with pytest.raises(UsageError, match="NaN or infinite"):
        model.predict(np.full((5, 4), np.nan))
    with pytest.raises(UsageError, match="rows must be numbers"):
        model.predict(np.array([["a"] * 4]))
