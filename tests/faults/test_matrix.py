"""Every fault strikes every stage, which goes on from what it had saved and ends with the bytes of an undisturbed run.

`make test-faults` runs all of it and writes the README's table (tests/faults/table.py); `make test` the cells without
the mark `faults`. Faults that strike a process are followed by the same command; those that strike a SLURM job by what
SLURM or the profile's `retries` do then.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from pathlib import Path

import pytest

from benchmarks import readme
from tests.faults import attempts, table
from tests.faults.attempts import Attempt
from tests.faults.stages import STAGES, make_inputs
from tests.workflow.study import ROOT

ONE_BY_ONE: dict[str, Callable[[Attempt], None]] = {
    "kill -9": attempts.killed,
    "SIGTERM": attempts.terminated,
    "killed while it saves": attempts.killed_while_saving,
    "full disk": attempts.disk_filled,
}
BY_SLURM: dict[str, Callable[[list[Attempt]], None]] = {
    "scancel": attempts.scancelled,
    "scontrol requeue": attempts.requeued,
    "preemption": attempts.preempted,
    "time limit": attempts.out_of_time,
    "out of memory": attempts.out_of_memory,
    "node down": attempts.node_lost,
}
FAST = {"kill -9"}  # in `make test`


class Laboratory:
    """Inputs, what undisturbed runs give, and one run of each fault that is asked for, all stages at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.inputs = folder / "inputs"
        self.inputs.mkdir()
        make_inputs(self.inputs)
        self.two = ThreadPoolExecutor(2)
        self.runs: dict[str, Future[list[Attempt]]] = {}
        undisturbed = self.attempts("undisturbed")
        list(self.two.map(Attempt.run, undisturbed))
        self.results = {attempt.stage.name: attempt.stage.result(attempt.output) for attempt in undisturbed}

    def attempts(self, name: str) -> list[Attempt]:
        found = [Attempt(stage, self.inputs, self.folder / name / stage.name) for stage in STAGES.values()]
        for attempt in found:
            attempt.folder.mkdir(parents=True)
        return found

    def struck(self, fault: str) -> dict[str, Attempt]:
        """Stage -> what became of it; the fault strikes when it is first asked for."""
        if fault not in self.runs:
            strike = self._one_by_one if fault in ONE_BY_ONE else self._by_slurm
            self.runs[fault] = Future()
            try:
                self.runs[fault].set_result(strike(fault))
            except BaseException as error:  # each cell of the fault shall say it, and not strike once more
                self.runs[fault].set_exception(error)
        return {attempt.stage.name: attempt for attempt in self.runs[fault].result()}

    def _one_by_one(self, fault: str) -> list[Attempt]:
        def strike(attempt: Attempt) -> None:
            try:
                attempt.start()
                attempt.freeze_when_saved()
                ONE_BY_ONE[fault](attempt)
                attempt.run()
                attempt.compare(self.results)
            finally:
                attempt.end()

        struck = self.attempts(fault)
        with ExitStack() as disks:
            if fault == "full disk":
                for attempt in struck:
                    disks.enter_context(attempts.small_disk(attempt.folder))
            running = [self.two.submit(strike, attempt) for attempt in struck]
            wait(running)  # also where one has failed: the others still need their disks
        for one in running:
            one.result()
        return struck

    def _by_slurm(self, fault: str) -> list[Attempt]:
        struck = self.attempts(fault)
        BY_SLURM[fault](struck)
        for attempt in struck:
            attempt.compare(self.results)
        return struck


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory):
    return Laboratory(tmp_path_factory.mktemp("faults"))


def test_the_table_has_every_fault_and_stage():
    assert ((*ONE_BY_ONE, *BY_SLURM), tuple(STAGES)) == (table.FAULTS, table.STAGE_NAMES)
    assert table.block() in (ROOT / "README.md").read_text(), "run `python -m tests.faults.table`"


def test_nothing_is_replaced_unless_every_cell_was_measured(tmp_path, monkeypatch, capsys):
    rows = table.read()
    assert table.unmeasured(rows) == []
    left_out = [row for row in rows if (row["fault"], row["stage"]) != ("preemption", "DPO")]
    assert table.unmeasured(left_out) == ["preemption on DPO"]
    monkeypatch.setattr(table, "TESTS", ("--version",))  # measures nothing, as where all is skipped
    before = (table.MEASURED.read_bytes(), readme.README.read_bytes())
    assert table.main() == 1
    assert "not measured, so the table stays as it was: kill -9 on generation, " in capsys.readouterr().err
    assert before == (table.MEASURED.read_bytes(), readme.README.read_bytes())


def test_a_strike_that_did_not_survive_shows():
    rows = table.read()
    assert "| preemption | 1 of 1 · " in table.rendered(rows)
    lost = {**next(row for row in rows if row["fault"] == "preemption"), "survived": "0", "identical": "no"}
    assert "| preemption | 1 of 2 · 0.1 s · no |" in table.rendered([*rows, lost])


def cells():
    for fault in (*ONE_BY_ONE, *BY_SLURM):
        marks = [] if fault in FAST else [pytest.mark.faults]
        for stage in STAGES:
            yield pytest.param(fault, stage, marks=marks, id=f"{fault}-{stage}".replace(" ", "_"))


@pytest.mark.parametrize(("fault", "stage"), list(cells()))
def test_survives(fault, stage, laboratory, request):
    if fault in BY_SLURM:
        request.getfixturevalue("private_cluster")
    attempt = laboratory.struck(fault)[stage]
    table.record(fault, stage, attempt)
    assert attempt.resumed == attempt.expected > 0  # no less than was saved, and something was
    assert attempt.identical


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.faults
def test_a_second_writer_is_refused_by_name(stage, laboratory, tmp_path):
    attempt = Attempt(STAGES[stage], laboratory.inputs, tmp_path)
    attempt.start()
    attempt.freeze_when_saved()
    second = Attempt(STAGES[stage], laboratory.inputs, tmp_path)
    second.start()
    _, errors = second.process.communicate(timeout=attempts.PATIENCE)
    attempt.process.kill()
    attempt.process.wait()
    assert second.process.returncode == 1
    assert 'another process is writing it: {"host": "' in errors
    assert f'"pid": {attempt.process.pid}' in errors
    assert "Traceback" not in errors
