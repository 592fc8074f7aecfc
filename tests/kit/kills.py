"""Kill a run at random moments, while it begins, grows and is shared, and look at its bytes.

    python tests/kit/kills.py --kills 30

Each round begins a run of one loss, lets it grow by a loss and a repeat, and has three processes
join it; all the while processes are killed with SIGKILL, with whatever they had begun. What comes
out must be, byte for byte, what a run gives that grows as well and is left alone.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from kit.copied_workers import copied_workers
from taylored import lab

FIRST, MORE = ["focal(gamma=2)"], ["poly(epsilon=1)"]
REPEATS, MORE_REPEATS = 1, 2
SETTINGS = {"data": "table.csv", "target": "y", "model": "linear", "epochs": 8}
RESULTS = ("results.json", "results.csv", "report.html")
HERE = {"workers": 1, "progress": "off"}


def begun(action: Callable[[], object]) -> int:
    """A copy of this process that does something and ends."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        quiet = os.open("/dev/null", os.O_WRONLY)
        os.dup2(quiet, 1)
        action()
        code = 0
    except ValueError as error:  # refused, because others work on it or it grows just now
        print(f"  {error}", file=sys.stderr)
        code = 3
    finally:
        os._exit(code)


def ended(child: int) -> int | None:
    """The exit code of a process, None while it runs."""
    pid, status = os.waitpid(child, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if pid else None


class Round:
    """One folder that is disturbed until it is finished."""

    def __init__(self, out: Path, chance: random.Random, kills: int) -> None:
        self.out = out
        self.chance = chance
        self.left = kills
        self.killed = 0

    def moment(self, children: list[int]) -> None:
        """Wait for a random moment: so many more trials, and a little longer."""
        more = self.chance.choice([0, 0, 1, 1, 2, 5])
        start, since = self._trials(), time.monotonic()
        while self._trials() < start + more and time.monotonic() - since < 60:
            if any(os.waitid(os.P_PID, c, os.WEXITED | os.WNOHANG | os.WNOWAIT) for c in children):
                return
            time.sleep(0.005)
        time.sleep(self.chance.uniform(0, 0.5 if more else 2))

    def _trials(self) -> int:
        return len(list(self.out.glob("trials/*.json")))

    def alone(self, action: Callable[[], object], kills: int) -> None:
        """Do something, killed so often before it may end."""
        for _ in range(min(kills, self.left)):
            child = begun(action)
            self.moment([child])
            os.kill(child, signal.SIGKILL)
            if ended(child) is None:
                os.waitpid(child, 0)
            self.left -= 1
            self.killed += 1
        child = begun(action)
        _, status = os.waitpid(child, 0)
        assert status == 0, f"ended with {status}"

    def together(self, count: int, kills: int) -> None:
        """Several processes join; one is killed and replaced, so often."""

        def join() -> object:
            return lab.join(self.out, **HERE)

        children = [begun(join) for _ in range(count)]
        for _ in range(min(kills, self.left)):
            self.moment(children)
            victim = self.chance.choice(children)
            os.kill(victim, signal.SIGKILL)
            os.waitpid(victim, 0)
            children[children.index(victim)] = begun(join)
            self.left -= 1
            self.killed += 1
        for child in children:
            _, status = os.waitpid(child, 0)
            assert status == 0, f"ended with {status}"

    def run(self) -> None:
        """Begin, grow, share."""
        first = {**SETTINGS, "repeats": REPEATS, "out": self.out, **HERE}

        def begin() -> object:
            if (self.out / "config.json").exists():
                return lab.resume(self.out, **HERE)
            return lab.compare(FIRST, **first)

        def grow() -> object:
            return lab.resume(self.out, repeats=MORE_REPEATS, add_losses=MORE, **HERE)

        self.alone(begin, kills=3)
        for name in RESULTS:  # what must come out has to be written anew
            (self.out / name).unlink()
        # The last one that grows is killed as well: only then is there something left to share.
        while self.left:
            child = begun(grow)
            while "poly" not in (self.out / "config.json").read_text() and ended(child) is None:
                time.sleep(0.005)
            self.moment([child])
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            self.left -= 1
            self.killed += 1
            break
        else:
            self.alone(grow, kills=0)
        self.together(3, kills=6)


def check(kills: int, seed: int) -> int:
    """How many kills were survived; an error for the first byte that differs."""
    chance = random.Random(seed)  # noqa: S311 - moments, not secrets
    whole = Path("whole")
    settings = {**SETTINGS, "repeats": REPEATS, "out": whole, **HERE}
    grown = {"repeats": MORE_REPEATS, "add_losses": MORE, **HERE}
    for action in (
        lambda: lab.compare(FIRST, **settings),
        lambda: lab.resume(whole, **grown),
    ):
        child = begun(action)
        assert os.waitpid(child, 0)[1] == 0
    done = 0
    while done < kills:
        out = Path(f"round{done}")
        this = Round(out, chance, kills - done)
        this.run()
        done += this.killed
        for name in RESULTS:
            assert (out / name).read_bytes() == (whole / name).read_bytes(), f"{out / name} differs"
        ids = {file.name for file in (out / "trials").glob("*.json")}
        assert ids == {file.name for file in (whole / "trials").glob("*.json")}
        assert not (out / "leases").exists(), "a lease was left behind"
        print(f"{done} kills survived", flush=True)
    return done


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        rows = [f"{i % 13},{i * 7 % 11},{'abc'[i % 3 if i % 5 else 0]}" for i in range(150)]
        Path("table.csv").write_text("\n".join(["u,v,y", *rows]) + "\n")
        with copied_workers():
            print(f"{check(arguments.kills, arguments.seed)} kills: the same bytes")
        os.chdir("/")


if __name__ == "__main__":
    main()
