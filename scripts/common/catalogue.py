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
SINGLE = {("evaluation", "reward_bench"): "benchmarks", ("models", "base"): "models"}
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
    return values


def pinned(revision: str | None) -> bool:
    """Whether a revision is a commit, which never changes; branches and tags do."""
    return bool(revision and COMMIT.fullmatch(revision))


def _at(values: dict[str, Any], section: str, key: str) -> Any:
    inner = values.get(section)
    return inner.get(key) if isinstance(inner, dict) else None


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
