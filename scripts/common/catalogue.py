"""The catalogue of data sets and base models, config/sources.yaml, laid under the studies that name its entries.

A study says `shp: {}` for an entry as it stands, names another one by `catalogue`, changes single keys, or says `false`
for a source that a file beneath it names and that it does without.
"""

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from scripts.common.errors import StudyError
from scripts.common.provenance import ROOT

CATALOGUE = ROOT / "config/sources.yaml"
PLACE = ("hub", "revision", "subset", "files", "split", "local")
"""The keys that say where a copy lies: a study that names another place takes none of the entry's."""

MANY = {collection: ("data", collection) for collection in ("preferences", "instructions", "prompts")}
"""Collection -> where a study has sources of it by name."""
SINGLE = {
    ("evaluation", "reward_bench"): "benchmarks",
    ("models", "base"): "models",
    ("models", "instruct"): "models",
    ("models", "embedding"): "models",
}
"""Where a study has one source -> its collection; its key names the entry, unless `catalogue` does."""

COMMIT = re.compile(r"[0-9a-f]{40}")


@cache
def read_catalogue(path: Path = CATALOGUE) -> dict[str, dict[str, dict[str, Any]]]:
    """Collection -> name -> entry."""
    return yaml.load(path.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def complete(values: dict[str, Any]) -> dict[str, Any]:
    """A study's values with the catalogue's entries laid under the sources that it names; `values` stay as they are.

    Raises:
        StudyError: a source is null, or names an entry that the catalogue has not.
    """
    values = dict(values)
    for collection, (section, key) in MANY.items():
        named = _at(values, section, key)
        if isinstance(named, dict):
            found = {name: _entry(collection, name, f"{section}.{key}.{name}", own) for name, own in named.items()}
            values[section] = {**values[section], key: {name: own for name, own in found.items() if own is not False}}
    for (section, key), collection in SINGLE.items():
        if isinstance(own := _at(values, section, key), dict):
            values[section] = {**values[section], key: _entry(collection, key, f"{section}.{key}", own)}
    if isinstance(_at(values, "evaluation", "academic", "tasks"), dict):
        values["evaluation"] = _with_academic_rows(values["evaluation"])
    models = values.get("reward_models")
    for name, model in models.items() if isinstance(models, dict) else ():
        if isinstance(model, dict) and isinstance(own := model.get("external"), dict):
            found = _entry("models", name, f"reward_models.{name}.external", own)
            values["reward_models"] = {**values["reward_models"], name: {**model, "external": found}}
    return values


def _with_academic_rows(evaluation: dict[str, Any]) -> dict[str, Any]:
    """The rows of an academic task are the entry of its name, its few-shot rows that of `{name}_examples`."""
    tasks = {}
    for name, task in evaluation["academic"]["tasks"].items():
        tasks[name] = dict(task) if isinstance(task, dict) else task
        for key, entry in (("data", name), ("examples", f"{name}_examples")):
            if isinstance(task, dict) and key in task:
                where = f"evaluation.academic.tasks.{name}.{key}"
                tasks[name][key] = _entry("benchmarks", entry, where, task[key])
    return {**evaluation, "academic": {**evaluation["academic"], "tasks": tasks}}


def pinned(revision: str | None) -> bool:
    """Whether a revision is a commit, which never changes; branches and tags do."""
    return bool(revision and COMMIT.fullmatch(revision))


def _at(values: Any, *keys: str) -> Any:
    for key in keys:
        values = values.get(key) if isinstance(values, dict) else None
    return values


def _entry(collection: str, name: str, where: str, own: Any) -> Any:
    """What a study says of a source, laid over its entry."""
    entries = read_catalogue()[collection]
    if own is None:
        raise StudyError(
            f"{where}: is empty. Write {{}} for the catalogue's entry as it stands, or false to do without this source."
        )
    if not isinstance(own, dict):
        return own  # false, or what the validation refuses
    if (named := own.get("catalogue", name)) not in entries:
        if "catalogue" in own or not own:
            known = ", ".join(entries)
            raise StudyError(f"{where}: config/sources.yaml has no entry '{named}' in {collection}; it has {known}.")
        return own
    elsewhere = own.get("hub") or own.get("local")
    kept = {key: value for key, value in entries[named].items() if not (elsewhere and key in PLACE)}
    adapter = {"adapter": named} if collection == "preferences" else {}
    return {**adapter, **kept, **own}
