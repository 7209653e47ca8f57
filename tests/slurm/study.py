"""The tiny study as the SLURM tests run it: to its end, in as few jobs as show every kind of them.

A job costs the private cluster some ten seconds, so that one source of pairs, one reward model, one iteration and the
evaluation by reward are left: 40 jobs of 196. Rules, modules and SQL are the demo's.
"""

from pathlib import Path

import yaml

from scripts.common.config import merge
from tests.workflow.study import DEMO, TINY

GPUS = Path(__file__).with_name("tiny_gpus.yaml")
LEFT_OUT = {
    "": ("preference_models", "prompted_judges"),
    "data": ("decontamination", "near_duplicates"),
    "reward_models": ("mix1",),
    "runs": ("concise", "offline"),
    "evaluation": ("academic", "chat", "judges"),
}
SOURCE = "hh_rlhf"


def write_configuration(file: Path) -> None:
    """The demo's configuration with the tiny study's and the cluster's laid over it, less what is left out."""
    study: dict = {}
    for layer in (DEMO, TINY, GPUS):
        study = merge(study, yaml.safe_load(layer.read_text()))
    for section, keys in LEFT_OUT.items():
        for key in keys:
            (study[section] if section else study).pop(key)
    data = study["data"]
    data["preferences"] = {SOURCE: {k: v for k, v in data["preferences"][SOURCE].items() if k == "local"}}
    data["mixes"] = {"mix2": {"sources": [SOURCE]}}
    file.write_text(yaml.safe_dump(study))
