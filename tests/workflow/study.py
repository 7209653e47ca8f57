"""Running Snakemake on a study in a folder of its own, as a user does from the command line."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from scripts.common.config import merge

ROOT = Path(__file__).parents[2]
DEMO, TINY = ROOT / "config/demo.yaml", ROOT / "config/presets/tiny.yaml"


@dataclass(frozen=True)
class Study:
    """A folder with `results/`, and the configuration files it is built from."""

    folder: Path
    configs: tuple[Path, ...] = (DEMO, TINY)
    name: str = "tiny"
    program: Path = ROOT  # the checkout that runs it

    @property
    def results(self) -> Path:
        return self.folder / "results" / self.name

    def snakemake(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        options = [word for word in arguments if word.startswith("-")]
        targets = [word for word in arguments if not word.startswith("-")]
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(self.program / "Snakefile")]
        command += ["--directory", str(self.folder), "--cores", "2", "--scheduler", "greedy", "--show-failed-logs"]
        command += ["--configfile", *map(str, self.configs), *options, "--", *targets]
        return subprocess.run(
            command, cwd=self.program, env={**os.environ, **environment}, capture_output=True, text=True, check=False
        )

    def build(self, *targets: str) -> None:
        done = self.snakemake(*targets)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]

    def planned(self, *targets: str, **environment: str) -> list[tuple[str, str]]:
        """The (rule, first output) of every job that a dry run lists."""
        done = self.snakemake("--dry-run", *targets, **environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return re.findall(r"rule (\w+):\n(?:    input: .*\n)?    output: ([^,\n]+)", done.stdout + done.stderr)

    def with_changes(self, text: str) -> "Study":
        """The same study with a YAML file laid over it."""
        overlay = self.folder / f"overlay{len(list(self.folder.glob('overlay*')))}.yaml"
        overlay.write_text(text)
        return replace(self, configs=(*self.configs, overlay))


def reduced(layers: tuple[Path, ...], left_out: dict[str, tuple[str, ...]], source: str = "hh_rlhf") -> str:
    """A configuration with one source of pairs, in YAML, for tests that can't afford the jobs of all twelve.

    Args:
        layers: configuration files, later ones laid over earlier ones.
        left_out: section -> the keys that go; the section "" is the file itself.
        source: the preference source that stays, alone in the mix `mix2`.
    """
    study: dict = {}
    for layer in layers:
        study = merge(study, yaml.safe_load(layer.read_text()))
    for section, keys in left_out.items():
        for key in keys:
            del (study[section] if section else study)[key]
    data = study["data"]
    data["preferences"] = {source: data["preferences"][source]}
    data["mixes"] = {"mix2": {"sources": [source]}}
    return yaml.safe_dump(study)
