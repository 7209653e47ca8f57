"""Another shape on resume: what two ranks began one process ends, with the same steps of the same global batch."""

import json
import signal
import subprocess
import sys

import pytest

from scripts.common.launch import launcher
from tests.faults.attempts import wait_for
from tests.faults.stages import STAGES, environment, make_inputs
from tests.workflow.study import ROOT

pytestmark = pytest.mark.faults


def test_one_process_ends_what_two_began(tmp_path):
    stage, output = STAGES["SFT"], tmp_path / "policy"
    (tmp_path / "inputs").mkdir()
    make_inputs(tmp_path / "inputs")
    alone = [*stage.command(tmp_path / "inputs", output), "--optimisation.per-device-batch", "2"]
    alone += ["--optimisation.epochs", str(epochs := 12)]
    together = [sys.executable, "-m", "torch.distributed.run", *launcher(2).split()[1:], *alone[2:]]
    begun = subprocess.Popen(together, env=environment(), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    wait_for(lambda: stage.saved(output) or begun.poll() is not None, "a checkpoint of two ranks")
    begun.send_signal(signal.SIGTERM)
    begun.communicate()
    assert not output.exists()
    saved = stage.units_saved(output)

    ended = subprocess.run(alone, env=environment(), cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert "1 processes go on with what 2 began: the global batch remains 4" in ended.stdout
    facts = json.loads((output / "manifest.json").read_text())["facts"]
    assert (facts["resumed_at_step"], facts["processes"], facts["global_batch"]) == (saved, 1, 4)
    assert facts["steps"] == epochs * -(-facts["examples"] // 4)
