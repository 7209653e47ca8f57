"""The paper's findings as quantities: each is positive where a study shows the finding, and carries its interval.

Used for one study by the page and for several seeds by `scripts.report.findings`. "Iterative DPO", "offline DPO" and
"with length penalty" stand for the first run of that method in Table 2, at the iteration that validation chose.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.report.csv_tables import read_csv
from scripts.report.plot_length_bias import COLUMNS as FIGURE3
from scripts.report.plot_length_bias import GOLD
from scripts.report.tabulate_academic import ALL_TASKS, COLUMNS, TABLE3
from scripts.report.tabulate_academic import DIFFERENCES as ACADEMIC_DIFFERENCES
from scripts.report.tabulate_policies import DIFFERENCES, TABLE2
from scripts.report.tabulate_reward_models import COLUMNS as TABLE1
from scripts.report.tabulate_reward_models import DIFFERENCES as TABLE1_DIFFERENCES

if TYPE_CHECKING:
    import polars as pl

CHAT = ("lc_alpaca_eval", "mt_bench", "arena_hard")  # columns of the paper's Table 2
HOLDS, WITHIN_NOISE, DOES_NOT_APPEAR = "holds", "within noise", "does not appear"


@dataclass(frozen=True)
class Evidence:
    """What a study measured about one finding."""

    finding: str
    where: str  # in the paper
    quantity: str
    value: float
    low: float | None  # None: unknown, a single unit
    high: float | None
    detail: str = ""  # where the quantity was measured, when that may differ from seed to seed

    @property
    def verdict(self) -> str:
        """`holds` where the interval lies above 0, `within noise` where only the estimate does."""
        if self.value <= 0:
            return DOES_NOT_APPEAR
        return HOLDS if self.low is not None and self.low > 0 else WITHIN_NOISE


@dataclass(frozen=True)
class Sources:
    """The tables that findings are read from; None where the study has no such table."""

    reward_models: Path | None = None
    reward_model_differences: Path | None = None
    length_bias: Path | None = None
    policies: Path | None = None
    policy_differences: Path | None = None
    academic: Path | None = None
    academic_differences: Path | None = None
    chat_differences: Path | None = None


def gather(sources: Sources) -> list[Evidence]:
    """The evidence on every finding that the study's tables, runs and reward models allow, in the paper's order."""
    found: list[Evidence] = []
    if sources.reward_models:
        found += chance_findings(read_csv(sources.reward_models, TABLE1))
    if sources.reward_model_differences:
        differences = read_csv(sources.reward_model_differences, TABLE1_DIFFERENCES)
        found += [*reward_model_findings(differences), *preference_model_findings(differences)]
    if sources.length_bias:
        found += length_bias_findings(read_csv(sources.length_bias, FIGURE3))
    if sources.policies and sources.policy_differences:
        differences = read_csv(sources.policy_differences, DIFFERENCES).to_dicts()
        if sources.chat_differences:
            differences += read_csv(sources.chat_differences, DIFFERENCES).to_dicts()
        found += policy_findings(read_csv(sources.policies, TABLE2), differences)
    if sources.academic and sources.academic_differences:
        differences = read_csv(sources.academic_differences, ACADEMIC_DIFFERENCES)
        found += academic_findings(read_csv(sources.academic, TABLE3), differences)
    return found


COVERED = {"mix1": ("Chat", "Chat Hard"), "mix2": ("Chat", "Chat Hard", "Safety", "Reasoning")}
"""Mix -> the sections of RewardBench that its sources cover (Section 2)."""


def chance_findings(accuracies: "pl.DataFrame") -> Iterator[Evidence]:
    """A model that learnt from a section's kind of data judges it better than chance, in its weakest section."""
    rows = accuracies.to_dicts()
    for model in dict.fromkeys(row["model"] for row in rows):
        covered = [row for row in rows if row["model"] == model and row["section"] in COVERED.get(row["mix"], ())]
        if covered:
            row = min(covered, key=lambda row: row["low"] if row["low"] is not None else row["accuracy"])
            low, high = (None if end is None else end - 0.5 for end in (row["low"], row["high"]))
            yield Evidence(
                f"{model} is above chance in every section that its training data cover",
                "Section 2.2, Table 1",
                f"lowest accuracy - 1/2, {model}",
                row["accuracy"] - 0.5,
                low,
                high,
                row["section"],
            )


def reward_model_findings(differences: "pl.DataFrame") -> Iterator[Evidence]:
    """More data on safety and reasoning make a reward model better there."""
    for row in differences.to_dicts():
        if (row["model"], row["minus"]) == ("mix2", "mix1") and row["section"] in ("Safety", "Reasoning"):
            yield Evidence(
                f"The reward model of mix2 is above that of mix1 on {row['section']}",
                "Section 2.2, Table 1",
                f"accuracy on {row['section']}, mix2 - mix1",
                row["difference"],
                row["low"],
                row["high"],
            )


def preference_model_findings(differences: "pl.DataFrame") -> Iterator[Evidence]:
    """Against the Bradley-Terry model of the same mix, and both of them against a judge that is only asked."""
    for row in differences.filter(section="Reasoning").to_dicts():
        kind, _, mix = row["row"].partition(" ")
        if kind == "Preference" and row["minus_row"] == f"BT {mix}":
            yield Evidence(
                "The preference model is above the reward model of the same mix on Reasoning",
                "Section 2.2, Table 1",
                f"accuracy on Reasoning, {row['model']} - {row['minus']}",
                row["difference"],
                row["low"],
                row["high"],
            )
    for (model, minus), rows in differences.filter(minus_row="Prompting").group_by(
        "model", "minus", maintain_order=True
    ):
        if rows["row"][0] == "Prompting":
            continue
        least = min(rows.to_dicts(), key=lambda row: row["difference"])
        yield Evidence(
            f"Without training for it, a prompted judge is below {model} in every section",
            "Section 2.2, Table 1",
            f"smallest difference of accuracy, {model} - {minus}",
            least["difference"],
            least["low"],
            least["high"],
            least["section"],
        )


def length_bias_findings(correlations: "pl.DataFrame") -> Iterator[Evidence]:
    """Reward goes with length; and, where gold rewards are known, by more than the worth of long responses explains."""
    measured = {
        "correlation": ("prefers longer responses", "correlation of reward and length, {}"),
        "above_gold": ("prefers length more than the gold reward does", "correlation with length, {} - gold"),
        "partial": ("prefers the longer of equally good responses", "correlation of reward and length given gold, {}"),
    }
    for row in correlations.to_dicts():
        for name, (finding, quantity) in measured.items():
            if row["model"] != GOLD and row[name] is not None:
                yield Evidence(
                    f"The reward model {row['model']} {finding}",
                    "Section 2.2, Figure 3",
                    quantity.format(row["model"]),
                    row[name],
                    row[f"{name}_low"],
                    row[f"{name}_high"],
                )


def policy_findings(policies: "pl.DataFrame", differences: list[dict]) -> Iterator[Evidence]:
    """Order of the methods, growth over iterations, and what the length penalty does."""
    table = policies.to_dicts()
    between = {(d["policy"], d["minus"], d["measure"]): d for d in differences}
    chosen: dict[str, dict] = {}  # method -> its first run's chosen policy
    for row in table:
        if row["chosen"]:
            chosen.setdefault(row["method"], row)

    def compare(finding: str, where: str, measure: str, better: str, worse: str) -> Iterator[Evidence]:
        if better not in chosen or worse not in chosen:
            return
        d = between.get((chosen[better]["policy"], chosen[worse]["policy"], measure))
        if d:
            quantity = f"{LABELS[measure]}, {better} - {worse}"
            yield Evidence(finding, where, quantity, d["difference"], d["low"], d["high"])

    sft, offline, iterative, concise = "SFT", "offline DPO", "iterative DPO", "iterative DPO, length penalty"
    for measure in ("gold", "win_rate", *CHAT):
        of = f"in {LABELS[measure]}"
        yield from compare(f"Offline DPO is above SFT {of}", "Section 4.2, Table 2", measure, offline, sft)
        yield from compare(
            f"Iterative DPO is above offline DPO {of}", "Section 4.2, Table 2", measure, iterative, offline
        )
    if iterative in chosen:
        start = next(row for row in table if row["method"] == sft)
        run = [start, *(row for row in table if row["run"] == chosen[iterative]["run"])]
        for finding, measure in (
            ("The reward rises with every iteration", "reward"),
            ("The gold reward rises with every iteration", "gold"),
            ("The win rate rises with every iteration", "win_rate"),
            ("The distance to the SFT policy grows with every iteration", "kl"),
        ):
            steps = [between.get((b["policy"], a["policy"], measure)) for a, b in pairwise(run)]
            if steps and all(steps):
                d = min(steps, key=lambda step: step["difference"])
                yield Evidence(
                    finding,
                    "Section 4.2, Figure 8",
                    f"smallest step in {LABELS[measure]}",
                    d["difference"],
                    d["low"],
                    d["high"],
                    f"{d['minus']} to {d['policy']}",
                )
    where = "Section 4.2, Table 4"
    yield from compare("Iterative DPO makes answers longer than SFT", where, "characters", iterative, sft)
    yield from compare("The length penalty makes answers shorter", where, "characters", iterative, concise)
    yield from compare(
        "The length penalty raises the length-controlled win rate", where, "lc_alpaca_eval", concise, iterative
    )
    yield from compare("The length penalty lowers Chat-Arena-Hard", where, "arena_hard", iterative, concise)


ABOVE_SFT = ("gsm8k", "mmlu", "truthfulqa", "arc")
"""The benchmarks on which the paper finds iterative DPO above SFT."""


def academic_findings(policies: "pl.DataFrame", differences: "pl.DataFrame") -> Iterator[Evidence]:
    """The alignment tax: what iterative DPO costs or gains on academic benchmarks."""
    rows = policies.to_dicts()
    results = {row["method"]: row["policy"] for row in reversed(rows) if row["chosen"]}  # of each method's first run
    between = {(d["policy"], d["minus"], d["task"]): d for d in differences.to_dicts()}
    where, than = "Section 4.2, Table 3", "iterative DPO - SFT"
    names = {ALL_TASKS: "the academic benchmarks together", **COLUMNS}
    for task in (ALL_TASKS, *ABOVE_SFT):
        d = between.get((results.get("iterative DPO"), results.get("SFT"), task))
        if d:
            says = "is not below" if task == ALL_TASKS else "is above"
            finding = f"Iterative DPO {says} SFT on {names[task]}"
            quantity = f"mean score, {than}" if task == ALL_TASKS else f"{names[task]}, {than}"
            detail = f"{d['n']} questions"
            yield Evidence(finding, where, quantity, d["difference"], d["low"], d["high"], detail)


LABELS = {
    "gold": "gold reward",
    "reward": "reward",
    "win_rate": "win rate",
    "kl": "KL",
    "characters": "characters",
    "lc_alpaca_eval": "LC AlpacaEval-2",
    "mt_bench": "MT-Bench",
    "arena_hard": "Chat-Arena-Hard",
}


def across_seeds(values: list[float]) -> tuple[float, float, float, str]:
    """Mean of a finding's quantity over seeds, its 95 % interval by Student's t (nan for one seed), and the verdict.

    As for one study: it `holds` where the interval lies above 0, and is `within noise` where only the mean does.
    """
    from scipy.stats import t

    n, k = len(values), sum(value > 0 for value in values)
    mean = sum(values) / n
    half = float("nan")
    if n > 1:
        sd = math.sqrt(sum((value - mean) ** 2 for value in values) / (n - 1))
        half = t.ppf(0.975, n - 1) * sd / math.sqrt(n)
    word = HOLDS if mean - half > 0 else WITHIN_NOISE if mean > 0 else DOES_NOT_APPEAR
    return mean, mean - half, mean + half, f"{word}; positive in {k} of {n} seeds"
