"""A comparison on a table as it was saved: read, encoded in the worker, resumed, repeated."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from taylored import lab
from taylored.lab.errors import UsageError
from taylored.lab.report.sections.command import python_call, shell_command

ROWS = 80
RNG = np.random.default_rng(0)


@pytest.fixture
def table(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    kind = np.arange(ROWS) % 2
    frame = pd.DataFrame(
        {
            "Id": np.arange(ROWS),
            "weight": [f"{x:.1f} kg".replace(".", ",") for x in RNG.normal(70 + 9 * kind, 5)],
            "city": RNG.choice(["Köln", "Bonn", "", "Ulm"], ROWS),
            "seen": [f"{n % 28 + 1:02d}.03.2024" for n in RNG.integers(0, 99, ROWS)],
            "score": [x if x % 7 else "*" for x in RNG.integers(0, 50, ROWS)],
            "note": "x",
            "kind": np.array(["ja", "nein"])[kind],
        }
    )
    frame.to_csv("own.csv", index=False, sep=";", encoding="cp1252")
    return Path("own.csv")


def test_from_the_raw_file_to_the_same_bytes_after_a_stop(table, capsys):
    reading = lab.Reading(drop="note", na="*")
    run = lab.compare(
        ["focal(gamma=2)"],
        data=str(table),
        target="kind",
        reading=reading,
        model="linear",
        epochs=10,
        lr=0.03,
        workers=1,
        out="run",
    )
    said = capsys.readouterr().err
    assert "Read own: 80 samples, 2 classes of 40 to 40 samples" in said
    assert "encoding cp1252 assumed" in said
    assert "column 'Id' left out" in said
    assert "column 'weight': numbers with the unit 'kg'" in said
    card = run.results.dataset
    assert any("column 'seen': dates" in note for note in card.notes)
    assert run.results.losses[0].metrics["accuracy"] > 0.6
    whole = (run.folder / "results.json").read_bytes()
    for trial in list((run.folder / "trials").iterdir())[::2]:
        trial.unlink()
    lab.resume(run.folder, workers=1, progress="off")
    assert (run.folder / "results.json").read_bytes() == whole
    config = run.results.config
    assert "reading=lab.Reading(drop=('note',), na=('*',))" in python_call(config)
    assert "--drop note \\\n    --na '*'" in str(shell_command(config))


def test_every_option_is_on_the_command_line(table):
    from dataclasses import fields

    from typer.main import get_command

    from taylored.cli.app import app
    from taylored.lab.report.sections.command import OPTION_NAMES, SWITCHES

    known = {o for p in get_command(app).commands["compare"].params for o in p.opts}  # type: ignore[attr-defined]
    for field in fields(lab.Reading):
        name = OPTION_NAMES.get(field.name, field.name).replace("_", "-")
        assert SWITCHES.get(field.name, f"--{name}") in known


def test_reading_is_checked_before_anything_is_started():
    with pytest.raises(UsageError, match="reading must be lab.Reading"):
        lab.compare(data="digits-lt", reading={"drop": "x"})  # type: ignore[arg-type]
