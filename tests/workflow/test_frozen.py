"""A frozen study, unpacked elsewhere: the commands of its README.txt give the tables that it holds, byte for byte."""

import re
import subprocess
import sys
import tarfile

import pytest

from tests.workflow.study import DEMO, ROOT, TINY, Study, reduced

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

LEFT_OUT = {  # from the raw data to a reward model and its tables: sampled data, trained weights and figures are in it
    "": ("preference_models", "prompted_judges", "samplers", "dpo", "runs", "evaluation"),
    "reward_models": ("mix1",),
    "data": ("prompts", "prompts_per_iteration", "validation_prompts", "test_prompts"),
}


def test_the_tables_are_made_again_byte_for_byte(tmp_path):
    configuration = tmp_path / "study.yaml"
    configuration.write_text(reduced((DEMO, TINY), LEFT_OUT))
    first = Study(tmp_path / "first", (configuration,))
    first.folder.mkdir()
    first.build()
    archive = tmp_path / "tiny-frozen.tar.gz"
    freeze = [sys.executable, "-m", "scripts.report.freeze", "--study", str(first.results)]
    freeze += ["--config", str(configuration), "--output", str(archive)]
    subprocess.run(freeze, cwd=ROOT, check=True, capture_output=True)

    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path / "elsewhere", filter="tar")
    folder = tmp_path / "elsewhere/tiny-frozen"
    subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=folder, check=True)
    readme = (folder / "README.txt").read_text()
    (command,) = re.findall(r"\.venv/bin/(snakemake --profile profiles/local .*)", readme)
    (compare,) = re.findall(r"diff -r .*", readme)
    assert "Nothing: the study makes its own data." in readme
    again = [sys.executable, "-m", *command.split(), "--cores", "2"]
    done = subprocess.run(again, cwd=folder / "code", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-6000:]
    held = sorted(path.name for path in (folder / "results/tiny/tables").glob("*.csv"))
    assert {"reward_models_held_out.csv", "table5_preference_data.csv"} <= set(held)
    different = subprocess.run(compare.split(), cwd=folder / "code", capture_output=True, text=True, check=False).stdout
    # what a figure was drawn from and manifests lie beside the tables; of the tables themselves nothing may differ
    assert re.findall(r"^(?:Files|diff|Only in \.\.).*\.csv(?: |$).*", different, re.MULTILINE) == []
    assert (folder / "code/results/tiny/report/index.html").is_file()
