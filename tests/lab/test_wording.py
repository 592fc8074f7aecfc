"""How numbers and names are written."""

from taylored.lab.metrics import SINGLE_LABEL_METRICS
from taylored.lab.wording import p_text, printable, shorten


def test_numbers_are_written_as_people_write_them():
    tail = SINGLE_LABEL_METRICS["tail"]
    assert tail.value(0.61249) == "61.2"
    assert tail.difference(0.0214) == "+2.1"
    assert tail.difference(-0.0214) == "-2.1"
    assert tail.difference(-0.00001) == "0.0"
    assert tail.points(None) == SINGLE_LABEL_METRICS["nll"].value(None)
    assert SINGLE_LABEL_METRICS["nll"].points(0.12345) == "+0.123"
    assert p_text(0.00099) == "< 0.001"


def test_shorten_keeps_both_ends():
    assert shorten("a" * 10, 10) == "a" * 10
    assert len(shorten("abcdefghijkl", 7)) == 7
    assert shorten("abcdefghijkl", 7) == "abc…jkl"


def test_printable_keeps_the_scripts_of_the_world():
    kept = "横画 ㇐ שלום नमस्ते می‌خواهم 👩‍🔬 é"
    assert printable(kept) == kept
    assert printable("a\nb\x00\u2028\u202e\ufffe") == "a\ufffdb" + 4 * "\ufffd"
