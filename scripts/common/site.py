"""Before the first job is submitted: what a site says of its cluster, held against what the cluster says.

SLURM refuses a job for a wrong partition or account, and Snakemake shows that as one long `sbatch` call for each job
and each of its retries. Here it is one line, and nothing was submitted.
"""

import getpass
import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from scripts.common.errors import StudyError

KNOWN = {"partitions", "jobs", "gpu_jobs"}


def read(file: Path) -> dict[str, Any]:
    """profiles/slurm/site.yaml, or a file in its place; sections that are left out are empty.

    Raises:
        StudyError: a section that nobody reads.
    """
    import yaml

    site = yaml.safe_load(file.read_text()) or {}
    if unknown := set(site) - KNOWN:
        raise StudyError(f"{file}: unknown: {', '.join(sorted(unknown))}; known: {', '.join(sorted(KNOWN))}.")
    return {section: site.get(section) or {} for section in KNOWN}


def wanted(site: Mapping[str, Any], gpus: int, nodes: int) -> dict[str, Any]:
    """The resources that a site gives to a rule's jobs, by their names in Snakemake's SLURM plugin.

    Of jobs on several nodes the plugin can't write the type of GPU beside their number on each (it would ask for one
    GPU of the type in all): there the type becomes part of `gres`.

    Args:
        site: as `read`.
        gpus: of each node, of the rule's jobs.
        nodes: of the rule's jobs.
    """
    found = {**site["jobs"], **(site["gpu_jobs"] if gpus else {})}
    if gpus and nodes > 1 and (model := found.pop("gpu_model", None)):
        found["gres"] = f"gpu:{model}:{gpus}"
    return found


def check(file: Path, gpus: Mapping[str, int]) -> None:
    """Hold a site's file against the cluster's partitions, their GPUs and the user's accounts.

    Args:
        file: as `read`.
        gpus: rule -> the GPUs of a node that its jobs ask for.

    Raises:
        StudyError: one of them does not fit, or SLURM does not answer.
    """
    site = read(file)
    there = partitions(_ask("sinfo", "--all", "--noheader", "--format=%R|%G"))
    if wrong := sorted(set(site["partitions"]) - set(there)):
        raise StudyError(
            f"{file}: partitions: this cluster has no partition {' or '.join(wrong)}; it has {', '.join(there)}."
        )
    check_gpus(file, {name: limits.get("max_gpu", 0) for name, limits in site["partitions"].items()}, there, gpus)
    wanted = {site[section]["slurm_account"] for section in ("jobs", "gpu_jobs") if "slurm_account" in site[section]}
    if wanted:
        check_accounts(file, wanted)


def check_gpus(file: Path, allowed: Mapping[str, int], there: Mapping[str, int], gpus: Mapping[str, int]) -> None:
    """Every rule finds a partition that its site opens to so many GPUs and whose nodes have them.

    Args:
        file: where the site says so.
        allowed: partition -> the most GPUs of a job, as the site says.
        there: partition -> GPUs of a node, as SLURM says.
        gpus: rule -> the GPUs that its jobs ask for.

    Raises:
        StudyError: names the rule that asks for most, and what there is.
    """
    offers = {name: min(most, there[name]) for name, most in allowed.items()}
    rule = max(gpus, key=gpus.__getitem__, default="")
    if rule and gpus[rule] > max(offers.values(), default=0):
        found = ", ".join(f"{name} (max_gpu {allowed[name]}, its nodes have {there[name]})" for name in allowed)
        raise StudyError(
            f"{rule} asks for {gpus[rule]} GPUs of a node, and no partition of {file} has them: {found}. Ask for fewer "
            f"(resources: {rule}: gpus in the configuration), or name another partition."
        )


def check_accounts(file: Path, wanted: Iterable[str]) -> None:
    """The user may charge these accounts.

    Raises:
        StudyError: names the account, and those that there are.
    """
    user = getpass.getuser()
    try:
        said = _ask("sacctmgr", "--noheader", "--parsable2", "show", "associations", f"user={user}", "format=account")
    except StudyError as error:
        raise StudyError(
            f"{file}: slurm_account: {', '.join(sorted(wanted))}: this cluster can't say which accounts there are; if "
            f"it keeps none, remove the line. ({error})"
        ) from None
    accounts = {line.strip().lower() for line in said.splitlines()} - {""}
    if wrong := sorted(account for account in wanted if account.lower() not in accounts):
        raise StudyError(
            f"{file}: slurm_account: {user} has no account {' or '.join(wrong)}; there is "
            f"{', '.join(sorted(accounts)) or 'none'}."
        )


def partitions(said: str) -> dict[str, int]:
    """Partition -> the most GPUs of one of its nodes, from the lines `name|gres` of sinfo.

    Generic resources are written gpu:8, gpu:a100:8(S:0-1), (null), or several of them with commas.
    """
    found: dict[str, int] = {}
    for name, gres in (line.split("|", 1) for line in said.splitlines()):
        counts = re.findall(r"\bgpu(?::[^:,(]+)*?:(\d+)", gres)
        found[name] = max(found.get(name, 0), sum(map(int, counts)))
    return found


def _ask(*command: str) -> str:
    """What a command of SLURM prints.

    Raises:
        StudyError: it is not there, or SLURM does not answer.
    """
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    except FileNotFoundError:
        raise StudyError(f"{command[0]} is not installed here; start Snakemake on a login node.") from None
    except subprocess.TimeoutExpired:
        raise StudyError(f"{command[0]}: no answer within a minute.") from None
    except subprocess.CalledProcessError as error:
        raise StudyError(f"{command[0]}: {' '.join(error.stderr.split())}") from None
