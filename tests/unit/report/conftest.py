"""A small finished study with a known truth: what the other stages write, in their contracts, and the report of it."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from scripts.common import tables
from scripts.data import summarise_preferences
from scripts.evaluate import monitor_policy
from scripts.evaluate.scores import Score, mean_of_known, write_scores
from scripts.report import (
    build_page,
    compare_to_paper,
    export_exhibits,
    plot_agreement,
    plot_best_of_n,
    plot_calibration,
    plot_drift,
    plot_evaluation,
    plot_iterations,
    plot_length_bias,
    plot_preferences,
    plot_prompts,
    plot_training,
    select_case_studies,
    tabulate_academic,
    tabulate_chat,
    tabulate_held_out,
    tabulate_policies,
    tabulate_position_bias,
    tabulate_reward_models,
)
from scripts.report.captions import CAPTIONS

TEST, VALIDATION = 80, 20
PREFERENCE_TABLES = [
    *("table5_preference_data", "filter_report", "filter_totals", "length_statistics", "length_gaps", "length_cuts"),
    *("length_histograms", "margin_histograms"),
]
PREFERENCE_FIGURES = ["preference_lengths", "preference_margins", "filtered_pairs"]
SHIFTS = {  # policy -> (mean gold above the SFT policy, mean characters, log ratio)
    "sft": (0.0, 80, 0.0),
    "iterative-iter1": (0.4, 84, 0.2),
    "iterative-iter2": (0.7, 92, 0.6),
    "iterative-iter3": (0.9, 99, 1.4),
    "concise-iter1": (0.4, 71, 0.2),
    "concise-iter2": (0.9, 60, 0.7),
    "offline-iter1": (0.5, 90, 0.4),
}
BEST = {"iterative": 3, "concise": 2}
ACADEMIC_QUESTIONS = 40
ACADEMIC = {  # policy -> right answers to each benchmark; None: not run; MBPP is no part of the study
    "sft": {"gsm8k": 20, "mmlu": 10, "humaneval": None, "truthfulqa": 16, "arc": 24},
    "offline-iter1": {"gsm8k": 21, "mmlu": 10, "humaneval": None, "truthfulqa": 20, "arc": 24},
    "iterative-best": {"gsm8k": 30, "mmlu": 10, "humaneval": None, "truthfulqa": 20, "arc": 22},
    "concise-best": {"gsm8k": 25, "mmlu": 9, "humaneval": None, "truthfulqa": 18, "arc": 26},
}


@dataclass(frozen=True)
class Study:
    folder: Path

    @property
    def tables(self) -> Path:
        return self.folder / "tables"

    @property
    def figures(self) -> Path:
        return self.folder / "figures"

    @property
    def page(self) -> Path:
        return self.folder / "report/index.html"


def write_measures(path: Path, policy: str, seed: int = 0, gold: bool = True) -> None:
    """Answers to the same prompts; every prompt's gold reward is that of the SFT policy plus the policy's shift."""
    shift, characters, log_ratio = SHIFTS[policy]
    prompts = np.random.default_rng(seed)
    own = np.random.default_rng([seed, *policy.encode()])
    n = TEST + VALIDATION
    score = prompts.normal(1.7, 1.0, n) + shift + (own.normal(0, 0.3, n) if policy != "sft" else 0)
    rows = [
        {"prompt_id": f"p{i:03}", "response": "fox belongs to animals ." * 3, "characters": int(characters + i % 7)}
        | {"tokens": 20, "finished": i % 40 != 1, "reward": float(score[i] * 2)}
        | {"split": "test" if i < TEST else "validation"}
        | {"gold": float(score[i]) if gold else None, "log_ratio": float(log_ratio * (0.5 + i % 2))}
        for i in range(n)
    ]
    schema = tables.MEASURES.columns.append(pa.field("split", pa.string()))
    tables.write_table(pa.Table.from_pylist(rows, schema=schema), path, tables.MEASURES)


def write_academic(folder: Path, right: dict[str, int | None]) -> None:
    """Scores and samples of a policy; it answers the first `right` questions of each benchmark."""
    scores, samples = [], []
    for task, hits in right.items():
        setting = {
            "task": task,
            "metric": "acc",
            "shots": 4,
            "chat_template": True,
            "prompt": "default",
            "truncated": 0,
        }
        if hits is None:
            scores.append({**setting, "value": None, "stderr": None, "n": 0, "not_run": "programs are not executed"})
            continue
        scores.append(
            {**setting, "value": hits / ACADEMIC_QUESTIONS, "stderr": 0.07, "n": ACADEMIC_QUESTIONS, "not_run": None}
        )
        for i in range(ACADEMIC_QUESTIONS):
            texts = {"prompt": "what is a fox ?", "target": "A", "response": "A" if i < hits else "B"}
            where = {"task": task, "subset": f"{task}_{i % 2}", "row": i // 2}
            samples.append({**where, **texts, "score": float(i < hits), "outcome": None})
    tables.write_table(scores, folder / "scores.parquet", tables.ACADEMIC_SCORES)
    tables.write_table(samples, folder / "samples.parquet", tables.ACADEMIC_SAMPLES)


def write_selection(folder: Path, iteration: int) -> None:
    folder.mkdir(parents=True)
    (folder / "selection.json").write_text(json.dumps({"best_iteration": iteration, "candidates": []}))


def write_bench(path: Path, right: dict[str, tuple[int, int]]) -> None:
    """RewardBench scores with `right` of `all` pairs right in each subset."""
    rows = [
        {"id": i, "subset": subset, "chosen_reward": 1.0 if i < hits else -1.0, "rejected_reward": 0.0}
        for subset, (hits, n) in right.items()
        for i in range(n)
    ]
    tables.write_table(rows, path, tables.BENCH_SCORES)


def write_verdicts(path: Path, right: dict[str, tuple[int, int]], liking: float = 0.0) -> None:
    """RewardBench scores of a judge that reads both responses: log-odds of 2 for what it prefers, more for A."""
    rows = []
    for subset, (hits, n) in right.items():
        for i in range(n):
            lead = 2.0 if i < hits else -2.0
            p = np.mean(1 / (1 + np.exp([-lead - liking, -lead + liking])))
            rows.append(
                {"id": i, "subset": subset, "chosen_reward": float(np.log(p)), "rejected_reward": float(np.log(1 - p))}
                | {"chosen_as_a": lead + liking, "chosen_as_b": lead - liking}
            )
    tables.write_table(pa.Table.from_pylist(rows), path, tables.BENCH_SCORES)


def write_held_out(path: Path, right: dict[str, tuple[int, int]]) -> None:
    rows = [
        {"pair_id": f"{source}{i}", "source": source, "chosen_reward": 2.0 * (i < hits) - 1, "rejected_reward": 0.0}
        for source, (hits, n) in right.items()
        for i in range(n)
    ]
    tables.write_table(rows, path, tables.HELD_OUT_SCORES)


def write_mix(path: Path, pairs: dict[str, int]) -> None:
    """A mix with the pairs of `write_held_out`; the chosen response of pair i is i - 10 characters longer."""
    rows = [
        {"pair_id": f"{source}{i}", "source": source, "prompt_id": f"{source}{i}"}
        | {"prompt": [{"role": "user", "content": "what is a fox ?"}], "chosen": "x" * (20 + i), "rejected": "x" * 30}
        | {"chosen_score": None, "rejected_score": None, "split": "held_out"}
        | {"prompt_tokens": 4, "chosen_tokens": 9, "rejected_tokens": 9}
        for source, n in pairs.items()
        for i in range(n)
    ]
    tables.write_table(rows, path, tables.MIX)


def write_rollouts(folder: Path, slopes: dict[str, float], prompts: int = 40, n: int = 8) -> None:
    """Responses of growing length; a model's reward is slope x length (in units of 10 characters) plus noise.

    Prompt 0 has responses of one length only.
    """
    responses, rewards = [], {model: [] for model in slopes}
    noise = np.random.default_rng(3)
    for i in range(prompts):
        for k in range(n):
            length = 20 + i if i == 0 else 20 + i + 10 * k
            key = {"prompt_id": f"b{i:03}", "actor": 0, "k": k}
            message = [{"role": "user", "content": "what is a fox ?"}]
            responses.append(
                {**key, "prompt": message, "temperature": 1.0, "seed": k, "response": "x" * length, "tokens": 9}
                | {"finished": True}
            )
            for model, slope in slopes.items():
                rewards[model].append({**key, "reward": slope * k + float(noise.normal(0, 3))})
    half = len(responses) // 2
    for shard, part in enumerate((slice(None, half), slice(half, None))):
        tables.write_table(responses[part], folder / f"responses/{shard}.parquet", tables.RESPONSES)
        for model, rows in rewards.items():
            tables.write_table(rows[part], folder / f"rewards/{model}/{shard}.parquet", tables.REWARDS)


def write_log(folder: Path, steps: int, floor: float) -> None:
    folder.mkdir(parents=True)
    noise = np.random.default_rng(steps)
    rows = [
        {"step": s, "loss": floor + 0.5 * float(np.exp(-s / 40)) + float(noise.normal(0, 0.04))}
        | {"grad_norm": 3.0 + float(noise.normal(0, 0.3))}
        | {"learning_rate": 5e-4 * (1 + float(np.cos(np.pi * s / steps))) / 2, "accuracy": s / steps}
        for s in range(1, steps + 1)
    ]
    rows.append({"step": steps, "train_runtime": 3.0, "train_loss": 0.3})
    (folder / "training_log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_pairs(path: Path, n: int = 12) -> None:
    rows = [
        {"prompt_id": f"q{i:03}", "prompt": [{"role": "user", "content": f"what is <b>thing {i}</b> & why ?"}]}
        | {"chosen": "fox belongs to animals . usually found inside the forest .", "rejected": "fox belongs to tools ."}
        | {"chosen_actor": 0, "rejected_actor": 1}
        | {"chosen_reward": 2.5, "rejected_reward": -0.75, "margin": 3.25}
        for i in range(n)
    ]
    tables.write_table(rows, path, tables.ONLINE_PAIRS)
    manifest(path, "scripts.online.select_pairs", 2.0, {"prompts": 15, "pairs": n, "dropped_same_text": 3})


def manifest(artifact: Path, module: str, seconds: float, facts: dict) -> None:
    content = {
        "output": {"path": str(artifact), "sha256": artifact.name},
        "inputs": [],
        "code": {"module": module, "digest": "0123456789abcdef"},
        "arguments": {"output": str(artifact)},
        "started": "2026-01-01T00:00:00+0000",
        "seconds": seconds,
        "facts": facts,
        "versions": {"python": "3.11.2"},
        "machine": {"cpus": 2, "gpus": []},
    }
    artifact.with_name(artifact.name + ".manifest.json").write_text(json.dumps(content))


def write_prompts(path: Path, n: int = 40) -> None:
    """Two collections with words of their own."""
    asked = {"zoo": "where does the fox sleep in the forest", "shop": "how much does a hammer cost in the garage"}
    rows = [
        {"prompt_id": f"{source}{i:03}", "source": source}
        | {"prompt": [{"role": "user", "content": f"{words} number {i} ?"}]}
        for source, words in asked.items()
        for i in range(n)
    ]
    tables.write_table(rows, path, tables.PROMPTS)


def write_preferences(folder: Path) -> None:
    """Kept and dropped pairs of three sources, of which one has scores, and the summary of them."""
    sources = {"hh_rlhf": (29, "empty_round"), "ultrafeedback": (21, "small_margin"), "nectar": (18, "too_long")}
    for source, (n, reason) in sources.items():
        scores = [(4.0, 4.0 - i % 5) for i in range(n + 3)] if source == "ultrafeedback" else [(None, None)] * (n + 3)
        pairs = [
            {"pair_id": f"{source}{i}", "source": source, "prompt_id": f"{source}{i // 2}"}
            | {
                "prompt": [{"role": "user", "content": "what is a fox ?"}],
                "chosen": "an animal .",
                "rejected": "a tool .",
            }
            | {"chosen_score": scores[i][0], "rejected_score": scores[i][1]}
            | {"prompt_tokens": 5, "chosen_tokens": 6 + i % 9, "rejected_tokens": 5 + i % 7}
            for i in range(n + 3)
        ]
        tables.write_table(pairs[:n], folder / f"kept/{source}.parquet", tables.PREFERENCES)
        dropped = [pair | {"reason": reason} for pair in pairs[n:]]
        tables.write_table(dropped, folder / f"dropped/{source}.parquet", tables.DROPPED)
        tables.write_table(
            [{name: pair[name] for name in tables.TOKEN_COUNTS.columns.names} for pair in pairs],
            folder / f"tokens/{source}.parquet",
            tables.TOKEN_COUNTS,
        )
    parts = {"preferences": "kept", "dropped": "dropped", "tokens": "tokens"}
    summarise_preferences.main(
        summarise_preferences.Args(
            **{name: tuple(folder / part / f"{source}.parquet" for source in sources) for name, part in parts.items()},
            completions=("LLM",) * 3,
            annotators=("Human", "GPT-4", "GPT-4"),
            table5_rows=("HH-RLHF", "UltraFeedback", "none"),
            max_tokens=256,
            **{name: folder / f"tables/{name}.csv" for name in PREFERENCE_TABLES},
        )
    )


def write_study(folder: Path, seed: int = 0) -> Study:
    """All that the report reads, then all that it makes."""
    study = Study(folder)
    for policy in SHIFTS:
        write_measures(folder / f"evaluation/measures/{policy}.parquet", policy, seed)
    held_out = [
        {"prompt_id": f"p{i:03}", "source": "world", "prompt": [{"role": "user", "content": f"what is thing {i} ?"}]}
        for i in range(TEST + VALIDATION)
    ]
    tables.write_table(held_out, folder / "data/prompts/held_out.parquet", tables.PROMPTS)
    for policy, right in ACADEMIC.items():
        write_academic(folder / f"evaluation/academic/{policy}", right)
    for run, iteration in BEST.items():
        write_selection(folder / f"runs/{run}/best", iteration)
    subsets = ("alpacaeval-easy", "llmbar-natural", "refusals-dangerous", "hep-python")
    weak = {subset: (hits, 50) for subset, hits in zip(subsets, (46, 40, 22, 25), strict=True)}
    strong = {subset: (hits, 50) for subset, hits in zip(subsets, (47, 41, 49, 46), strict=True)}
    for model, right in (("mix1", weak), ("mix2", strong)):
        write_bench(folder / f"evaluation/reward_bench/{model}.parquet", right)
        write_log(folder / f"models/reward/{model}", 300 if model == "mix1" else 500, 0.2)
    write_verdicts(folder / "evaluation/reward_bench/pairwise.parquet", strong | {subsets[3]: (48, 50)}, liking=0.5)
    write_verdicts(folder / "evaluation/reward_bench/prompted.parquet", dict.fromkeys(subsets, (26, 50)), liking=3.0)
    write_held_out(folder / "evaluation/held_out/mix1.parquet", {"hh_rlhf": (30, 40), "ultrafeedback": (35, 40)})
    write_held_out(folder / "evaluation/held_out/mix2.parquet", {"hh_rlhf": (32, 40), "ultrainteract": (20, 20)})
    write_mix(folder / "data/mixes/mix1.parquet", {"hh_rlhf": 40, "ultrafeedback": 40})
    write_mix(folder / "data/mixes/mix2.parquet", {"hh_rlhf": 40, "ultrainteract": 20})
    write_rollouts(folder / "rollouts/sft/length_bias/length_bias", {"mix1": 1.0, "mix2": 0.3, "gold": 0.6})
    for run in ("iterative", "concise"):
        for t in (1, 2):
            write_pairs(folder / f"runs/{run}/iter{t}/pairs.parquet")
    write_preferences(folder)
    write_prompts(folder / "data/prompts/pool.parquet")
    generation = folder / "rollouts/sft/mixed/iter1/responses/0.parquet"
    generation.parent.mkdir(parents=True)
    facts = {"engine": "vllm", "engine_version": "0.32.0", "responses": 4800, "tokens": 91234}
    manifest(generation, "scripts.online.generate_responses", 65.0, facts)
    write_chat(folder, seed)
    report(study)
    return study


QUESTIONS = 60
CHAT = {  # benchmark -> (measure, the SFT policy's mean, what a shift of 1 in gold adds, spread)
    "alpaca_eval": ("lc_win_rate", 10.0, 12.0, 20.0),
    "mt_bench": ("rating", 6.5, 1.0, 1.5),
    "arena_hard": ("win_rate", 8.0, 14.0, 20.0),
}


def write_chat(folder: Path, seed: int = 0) -> None:
    """Scores of all policies on the chat benchmarks; AlpacaEval also by a second annotator, without calibration."""
    for benchmark, (measure, start, slope, spread) in CHAT.items():
        questions = np.random.default_rng([seed, *benchmark.encode()]).normal(0, spread, QUESTIONS)
        for annotator in ("gold", "alpaca_eval_gpt4_turbo_fn")[: 2 if benchmark == "alpaca_eval" else 1]:
            found = {}
            for policy, (shift, characters, _) in SHIFTS.items():
                estimates = {measure: mean_of_known(start + slope * shift + questions, seed)}
                facts, reasons = {"n": QUESTIONS, "no_verdict": 2, "avg_length": characters}, {}
                if benchmark == "alpaca_eval":
                    estimates["win_rate"] = estimates[measure]
                if annotator != "gold":
                    del estimates[measure]
                    reasons = {measure: "calibration absent: df_gamed.csv"}
                found[policy] = Score(facts, estimates, reasons)
            scores = folder / f"evaluation/{benchmark}/scores/{annotator}"
            files = [scores / f"{policy}.json" for policy in found]
            write_scores(list(found.values()), files, scores / "differences.csv")


def chat_args(study: Study, **changes) -> tabulate_chat.Args:
    evaluation = study.folder / "evaluation"
    values = {
        **{name: getattr(policies_args(study), name) for name in ("policies", "runs", "reward_models")},
        **{name: getattr(policies_args(study), name) for name in ("length_penalties", "best")},
        "scores": tuple(sorted(evaluation.glob("*/scores/*/*.json"))),
        "paired": tuple(evaluation / f"{benchmark}/scores/gold/differences.csv" for benchmark in CHAT),
        "table2": study.tables / "table2_chat.csv",
        "table4": study.tables / "table4_chat.csv",
        "differences": study.tables / "chat_differences.csv",
        "first": dict.fromkeys(CHAT, "gold"),
    }
    return tabulate_chat.Args(**values | changes)


def report(study: Study) -> None:
    """Every command of the stage, as the rules call them."""
    folder, tables_, figures = study.folder, study.tables, study.figures
    models = {"models": ("mix1", "mix2"), "mixes": ("mix1", "mix2"), "types": ("BT", "BT")}
    judges = ("prompted", "mix1", "mix2", "pairwise")
    scores = tuple(folder / f"evaluation/reward_bench/{judge}.parquet" for judge in judges)
    tabulate_reward_models.main(
        tabulate_reward_models.Args(
            models=judges,
            mixes=("none", "mix1", "mix2", "mix2"),
            types=("Prompting", "BT", "BT", "Preference"),
            scores=scores,
            table=tables_ / "table1_reward_models.csv",
            subsets=tables_ / "table1_subsets.csv",
            differences=tables_ / "table1_differences.csv",
            markdown=tables_ / "table1_reward_models.md",
        )
    )
    tabulate_position_bias.main(
        tabulate_position_bias.Args(("prompted", "pairwise"), (scores[0], scores[3]), tables_ / "position_bias.csv")
    )
    tabulate_held_out.main(
        tabulate_held_out.Args(
            models["models"],
            tuple(folder / f"evaluation/held_out/{m}.parquet" for m in models["models"]),
            tables_ / "reward_models_held_out.csv",
        )
    )

    def drawn(name: str) -> tuple[Path, Path]:
        """A figure, and the table of what it draws."""
        return figures / f"{name}.svg", figures / f"{name}.csv"

    tabulate_policies.main(policies_args(study))
    tabulate_academic.main(academic_args(study))
    tabulate_chat.main(chat_args(study))
    rollouts = folder / "rollouts/sft/length_bias/length_bias"
    plot_length_bias.main(
        plot_length_bias.Args(
            responses=tuple(rollouts / f"responses/{s}.parquet" for s in (0, 1)),
            **models,
            rewards=tuple(rollouts / f"rewards/{m}/{s}.parquet" for m in models["models"] for s in (0, 1)),
            gold=tuple(rollouts / f"rewards/gold/{s}.parquet" for s in (0, 1)),
            table=tables_ / "figure3_length_bias.csv",
            figure=figures / "figure3_length_bias.svg",
        )
    )
    plot_best_of_n.main(
        plot_best_of_n.Args(
            responses=tuple(rollouts / f"responses/{s}.parquet" for s in (0, 1)),
            models=models["models"],
            rewards=tuple(rollouts / f"rewards/{m}/{s}.parquet" for m in models["models"] for s in (0, 1)),
            gold=tuple(rollouts / f"rewards/gold/{s}.parquet" for s in (0, 1)),
            table=tables_ / "best_of_n.csv",
            figure=figures / "best_of_n.svg",
        )
    )
    plot_calibration.main(
        plot_calibration.Args(
            models=models["models"],
            scores=tuple(folder / f"evaluation/held_out/{m}.parquet" for m in models["models"]),
            mixes=tuple(folder / f"data/mixes/{m}.parquet" for m in models["models"]),
            table=tables_ / "calibration.csv",
            reliability=tables_ / "reliability.csv",
            by_length=tables_ / "accuracy_by_length_gap.csv",
            figure=figures / "calibration.svg",
        )
    )
    plot_agreement.main(
        plot_agreement.Args(
            models=models["models"],
            scores=tuple(folder / f"evaluation/reward_bench/{m}.parquet" for m in models["models"]),
            table=tables_ / "agreement.csv",
            figure=figures / "agreement.svg",
        )
    )
    plot_iterations.main(
        plot_iterations.Args(tables_ / "table2_policies.csv", *drawn("figure8_iterations")),
    )
    plot_drift.main(drift_args(study))
    plot_preferences.main(
        plot_preferences.Args(
            **{name: tables_ / f"{name}.csv" for name in (*PREFERENCE_TABLES[1:3], "length_gaps")},
            **{name: tables_ / f"{name}.csv" for name in ("length_histograms", "margin_histograms")},
            max_tokens=256,
            **{name: figures / f"{name}.svg" for name in PREFERENCE_FIGURES},
        )
    )
    plot_prompts.main(
        plot_prompts.Args(
            folder / "data/prompts/pool.parquet",
            tables_ / "figure5_topics.csv",
            *drawn("figure5_prompts"),
        )
    )
    plot_training.main(
        plot_training.Args(
            models["models"],
            tuple(folder / f"models/reward/{m}" for m in models["models"]),
            *drawn("figure6_7_training"),
        )
    )
    compare_to_paper.main(comparison_args(study))
    plot_evaluation.main(
        plot_evaluation.Args(tables_ / "compare_to_paper.csv", *drawn("figure9_evaluation")),
    )
    export_exhibits.main(exhibit_args(study))
    select_case_studies.main(case_args(study))
    build_page.main(page_args(study))


def exhibit_args(study: Study, **changes) -> export_exhibits.Args:
    tables_ = [study.tables / name for name in CAPTIONS if name.startswith("table")]
    figures = [study.figures / name for name in CAPTIONS if name.startswith("figure")]
    values = {
        "tables": tuple(path.with_suffix(".csv") for path in tables_),
        "figures": tuple(path.with_suffix(".csv") for path in figures),
        "drawings": tuple(path.with_suffix(".svg") for path in tables_),
        "texts": tuple(path.with_suffix(".md") for path in (*tables_, *figures)),
        "judge": "gold",
    }
    return export_exhibits.Args(**values | changes)


def comparison_args(study: Study, **changes) -> compare_to_paper.Args:
    inputs = {
        "table1": "table1_reward_models",
        "figure3": "figure3_length_bias",
        "table2": "table2_chat",
        "table3": "table3_academic",
        "table4_chat": "table4_chat",
        "table4_academic": "table4_academic",
        "table5": "table5_preference_data",
        "filter_totals": "filter_totals",
        "table6": "table6_benchmarks",
    }
    values = {name: study.tables / f"{table}.csv" for name, table in inputs.items()}
    values["table7"] = {"n_batch_size_per_device": 16, "n_gradient_accumulation": 2, "num_train_epochs": 2, "beta": 0.1}
    outputs = {"table": study.tables / "compare_to_paper.csv", "text": study.tables / "compare_to_paper.md"}
    return compare_to_paper.Args(**values | outputs | changes)


def case_args(study: Study, **changes) -> select_case_studies.Args:
    """The offline policy against the iteration of `iterative` that was chosen."""
    measures = study.folder / "evaluation/measures"
    values = {
        "prompts": study.folder / "data/prompts/held_out.parquet",
        "offline": measures / "offline-iter1.parquet",
        "online": tuple(measures / f"iterative-iter{t}.parquet" for t in (1, 2, 3)),
        "best": study.folder / "runs/iterative/best",
        "output": study.folder / "evaluation/case_studies.parquet",
        "judge": "gold",
    }
    return select_case_studies.Args(**values | changes)


def drift_args(study: Study) -> plot_drift.Args:
    """Monitors of all trained policies; the run `iterative` has a limit on KL."""
    policies = [policy for policy in SHIFTS if policy != "sft"]
    measures = {policy: study.folder / f"evaluation/measures/{policy}.parquet" for policy in SHIFTS}
    monitors = {policy: study.folder / f"evaluation/monitors/{policy}.parquet" for policy in policies}
    for policy, path in monitors.items():
        run, _, t = policy.rpartition("-iter")
        before = measures["sft"] if t == "1" else measures[f"{run}-iter{int(t) - 1}"]
        monitor_policy.main(monitor_policy.Args(measures[policy], before, measures["sft"], path, "gold"))
    runs, limits = ("iterative", "concise", "offline"), ("kl=10,truncated=0.5", "none", "none")
    table, figure = study.tables / "monitors.csv", study.figures / "drift.svg"
    return plot_drift.Args(tuple(policies), tuple(monitors.values()), runs, limits, table, figure)


def policies_args(study: Study, **changes) -> tabulate_policies.Args:
    values = {
        "policies": tuple(SHIFTS),
        "measures": tuple(study.folder / f"evaluation/measures/{policy}.parquet" for policy in SHIFTS),
        "runs": ("iterative", "concise", "offline"),
        "reward_models": ("mix2", "mix2", "none"),
        "length_penalties": (0.0, 0.002, 0.0),
        "best": tuple(study.folder / f"runs/{run}/best" for run in BEST),
        "table2": study.tables / "table2_policies.csv",
        "table4": study.tables / "table4_length_penalty.csv",
        "differences": study.tables / "table2_differences.csv",
        "judge": "gold",
    }
    return tabulate_policies.Args(**values | changes)


def academic_args(study: Study, **changes) -> tabulate_academic.Args:
    names = {"table3": "table3_academic.csv", "differences": "table3_differences.csv"}
    names |= {"table4": "table4_academic.csv", "table6": "table6_benchmarks.csv"}
    folders = [study.folder / f"evaluation/academic/{policy}" for policy in ACADEMIC]
    values = {
        "policies": tuple(ACADEMIC),
        "scores": tuple(folder / "scores.parquet" for folder in folders),
        "samples": tuple(folder / "samples.parquet" for folder in folders),
        "runs": ("iterative", "concise", "offline"),
        "reward_models": ("mix2", "mix2", "none"),
        "length_penalties": (0.0, 0.002, 0.0),
        "chat": ("alpaca_eval",),
        "best": tuple(study.folder / f"runs/{run}/best" for run in BEST),
        **{argument: study.tables / name for argument, name in names.items()},
    }
    return tabulate_academic.Args(**values | changes)


def page_args(study: Study, **changes) -> build_page.Args:
    tables_, figures = study.tables, study.figures
    values = {
        "study": "demo",
        "folder": study.folder,
        **{name: tables_ / f"{name}.csv" for name in PREFERENCE_TABLES if not name.endswith("histograms")},
        **{name: figures / f"{name}.svg" for name in PREFERENCE_FIGURES},
        "figure5": figures / "figure5_prompts.svg",
        "figure5_topics": tables_ / "figure5_topics.csv",
        "output": study.page,
        "judge": "gold",
        "table1": tables_ / "table1_reward_models.csv",
        "table1_subsets": tables_ / "table1_subsets.csv",
        "position_bias": tables_ / "position_bias.csv",
        "table1_differences": tables_ / "table1_differences.csv",
        "held_out": tables_ / "reward_models_held_out.csv",
        "figure3": figures / "figure3_length_bias.svg",
        "figure3_table": tables_ / "figure3_length_bias.csv",
        "figure6_7": figures / "figure6_7_training.svg",
        "calibration": tables_ / "calibration.csv",
        "calibration_figure": figures / "calibration.svg",
        "agreement_figure": figures / "agreement.svg",
        "best_of_n": tables_ / "best_of_n.csv",
        "best_of_n_figure": figures / "best_of_n.svg",
        "table2": tables_ / "table2_policies.csv",
        "table4": tables_ / "table4_length_penalty.csv",
        "table2_differences": tables_ / "table2_differences.csv",
        "table3": tables_ / "table3_academic.csv",
        "table3_differences": tables_ / "table3_differences.csv",
        "table4_academic": tables_ / "table4_academic.csv",
        "table6": tables_ / "table6_benchmarks.csv",
        **{name: tables_ / f"{name}.csv" for name in ("table2_chat", "table4_chat", "chat_differences")},
        "figure8": figures / "figure8_iterations.svg",
        "drift": figures / "drift.svg",
        "monitors": tables_ / "monitors.csv",
        "comparison": tables_ / "compare_to_paper.csv",
        "figure9": figures / "figure9_evaluation.svg",
        "case_studies": study.folder / "evaluation/case_studies.parquet",
        "pairs": tuple(study.folder / f"runs/{r}/iter{t}/pairs.parquet" for r in BEST for t in (1, 2)),
    }
    return build_page.Args(**values | changes)


@pytest.fixture(scope="session")
def study(tmp_path_factory) -> Study:
    return write_study(tmp_path_factory.mktemp("report") / "demo")


@pytest.fixture(scope="session")
def table(study):
    """A table of the study as a list of rows."""
    import polars as pl

    return lambda name: pl.read_csv(study.tables / name).to_dicts()
