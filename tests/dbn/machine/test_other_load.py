"""Processor time of other processes: this process's own work does not count, another's does."""

import subprocess
import sys
import time

import pytest

from dbn.machine import other_load
from dbn.machine.other_load import seconds_of_others

SECONDS = 1.0
BURN = f"import time; end = time.process_time() + {SECONDS}\nwhile time.process_time() < end: pass"


@pytest.fixture(autouse=True)
def _stated_by_the_system() -> None:
    if seconds_of_others() is None:
        pytest.skip("this system has no /proc/stat")


def test_fields_of_proc_stat_by_hand(tmp_path, monkeypatch):
    """1 + 2 + 3 + 6 + 7 + 8 ticks of work: neither idle (4), nor waiting for a disk (5), nor guests (9, 10)."""
    file = tmp_path / "stat"
    file.write_text("cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 0 0 0 0 0 0 0 0 0 0\n")
    monkeypatch.setattr(other_load, "STAT", file)
    monkeypatch.setattr(other_load.os, "times", lambda: (0.05, 0.01, 0.0, 0.0, 123.0))
    monkeypatch.setattr(other_load.os, "sysconf", lambda name: 100)
    assert seconds_of_others() == pytest.approx(0.27 - 0.06)
    assert seconds_of_others(2) == pytest.approx(0.27 - 0.12)


def test_a_system_without_the_file_says_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(other_load, "STAT", tmp_path / "absent")
    assert seconds_of_others() is None


def test_work_of_another_process_counts():
    process = subprocess.Popen([sys.executable, "-c", BURN])
    before = seconds_of_others()
    while process.poll() is None:  # its time becomes this process's own once it has been waited for
        after = seconds_of_others()
        time.sleep(0.02)
    assert after - before > 0.8 * SECONDS
