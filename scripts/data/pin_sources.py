"""Pin the catalogue and a study: write the newest commit of each data set and model in the place of its branch name.

The hub is asked once for every repository whose revision is not a commit yet; all else in the files, comments too,
stays as it is. To take a newer commit later, write `main` again and pin anew. HF_TOKEN and HF_ENDPOINT are honoured.

    python -m scripts.data.pin_sources --files config/sources.yaml config/paper.yaml
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from scripts.common import command
from scripts.common.catalogue import CATALOGUE, pinned
from scripts.common.errors import StudyError
from scripts.common.files import publish
from scripts.common.provenance import ROOT

PAPER = ROOT / "config/paper.yaml"
MODELS = {"models", "reward_models", "baselines"}
"""Sections whose entries are models."""


@dataclass(frozen=True)
class Args:
    files: tuple[Path, ...] = (CATALOGUE, PAPER)
    """The catalogue and studies, changed in place."""


@dataclass(frozen=True)
class Pin:
    """A revision in the text of a file that is not a commit."""

    name: str
    kind: str
    hub: str
    revision: str
    start: int
    end: int


def main(args: Args) -> None:
    commit = cache(newest_commit)
    failed = []
    for file in args.files:
        text = file.read_text()
        for pin in reversed(list(unpinned(text, file))):  # from the end, so that earlier places stay where they are
            try:
                found = commit(pin.kind, pin.hub, pin.revision)
            except StudyError as error:
                failed.append(f"{file}: {error}")
                continue
            text = text[: pin.start] + found + text[pin.end :]
            print(f"{found}  {pin.name}: {pin.hub} at {pin.revision}")
        with publish(file) as temporary:
            temporary.write_text(text)
    if failed:
        raise StudyError(f"{len(failed)} not pinned.\n  " + "\n  ".join(dict.fromkeys(failed)))


def unpinned(text: str, path: Path) -> Iterator[Pin]:
    """The places of a file's text that `make pin` changes.

    Raises:
        StudyError: an entry says a branch and no `hub`, or a `hub` and no `revision`.
    """
    for keys, section in _sections(yaml.compose(text)):
        own = {key.value: value for key, value in section.value}
        said = {"hub", "revision"} & own.keys()
        if not said or ("revision" in said and pinned(own["revision"].value)):  # what `<<` takes over is pinned there
            continue
        name = ".".join(keys)
        if len(said) == 1:
            raise StudyError(f"{path}: {name} must say both 'hub' and 'revision', or none.")
        place = own["revision"]
        kind = "model" if MODELS.intersection(keys) else "dataset"
        yield Pin(name, kind, own["hub"].value, place.value, place.start_mark.index, place.end_mark.index)


def _sections(node: yaml.Node, keys: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], yaml.MappingNode]]:
    """Every mapping below a node with the keys that lead to it, in the order of the text and each once."""
    if isinstance(node, yaml.MappingNode):
        yield keys, node
        for key, value in node.value:
            if value.start_mark.index > key.start_mark.index:  # else an alias of what stands above
                yield from _sections(value, (*keys, key.value))


def newest_commit(kind: str, hub: str, revision: str) -> str:
    """The commit that a branch or tag of a hub repository names now.

    Args:
        kind: dataset or model.

    Raises:
        StudyError: the repository or the revision does not exist, or the hub can't be reached.
    """
    import httpx
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        return HfApi().repo_info(hub, repo_type=kind, revision=revision).sha
    except (HfHubHTTPError, OfflineModeIsEnabled, httpx.TransportError, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise StudyError(f"{hub} at {revision}: {reason}") from None


if __name__ == "__main__":
    command.run(main, Args)
