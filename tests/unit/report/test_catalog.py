"""The catalogue: views that say in columns what paths say, show the files as they are, and answer the examples."""

import json
from pathlib import Path

import duckdb
import pytest

from scripts.common import tables
from scripts.common.errors import StudyError
from scripts.common.reply_cache import Reply, ReplyCache
from scripts.report import build_catalog
from tests.unit.report.conftest import manifest

FOLDER = Path("results/small")  # as Snakemake names it, below the folder it runs in
CATALOG = FOLDER / "catalog.duckdb"
EXAMPLES = build_catalog.QUERIES / "examples"
ROLLOUTS = FOLDER / "rollouts/sft/mixed/iter1"
RECORDED = ("2026-01-01 08:00:00", 2.5, "2")  # start in UTC, seconds, pairs
SHARDS = [ROLLOUTS / f"responses/{shard}.parquet" for shard in (0, 1)]


def message(text: str) -> list[dict]:
    return [{"role": "user", "content": text}]


def write_preferences() -> None:
    def pair(source: str, i: int, **more) -> dict:
        row = {"pair_id": f"{source}{i}", "source": source, "prompt_id": f"p{i}", "prompt": message(f"question {i}")}
        return row | {"chosen": "yes", "rejected": "no", "chosen_score": None, "rejected_score": None} | more

    tokens = {"prompt_tokens": 2, "chosen_tokens": 1, "rejected_tokens": 1}
    for source, kept, reasons in (("alpha", 6, ["duplicate", "duplicate"]), ("beta", 3, ["too_long"])):
        fates = [None] * kept + reasons
        data = FOLDER / "data"
        standard = [pair(source, i, defect=None) for i in range(len(fates))]
        tables.write_table(standard, data / f"standard/{source}.parquet", tables.STANDARD)
        tables.write_table(
            [{"pair_id": f"{source}{i}", **tokens} for i in range(len(fates))],
            data / f"tokens/{source}.parquet",
            tables.TOKEN_COUNTS,
        )
        tables.write_table(
            [pair(source, i, **tokens) for i in range(kept)], data / f"preferences/{source}.parquet", tables.PREFERENCES
        )
        tables.write_table(
            [pair(source, i, reason=reason) for i, reason in enumerate(fates) if reason],
            data / f"dropped/{source}.parquet",
            tables.DROPPED,
        )
    mix = [pair("alpha", i, **tokens, split="train") for i in range(6)]
    tables.write_table(mix, FOLDER / "data/mixes/mix1.parquet", tables.MIX)


def write_prompts(name: str, n: int) -> None:
    rows = [{"prompt_id": f"p{i}", "source": "world", "prompt": message(f"question {i}")} for i in range(n)]
    tables.write_table(rows, FOLDER / f"data/prompts/{name}.parquet", tables.PROMPTS)


def write_rollouts() -> None:
    for shard, path in enumerate(SHARDS):
        keys = [{"prompt_id": f"p{shard}", "actor": 0, "k": k} for k in range(2)]
        generated = {"temperature": 1.0, "seed": 1, "tokens": 2, "finished": True, "prompt": message("?")}
        responses = [{**key, **generated, "response": "long answer" if key["k"] else "short"} for key in keys]
        tables.write_table(responses, path, tables.RESPONSES)
        rewards = [{**key, "reward": key["k"] + 10.0 * shard} for key in keys]
        tables.write_table(rewards, ROLLOUTS / f"rewards/mix2/{shard}.parquet", tables.REWARDS)


def write_pairs(run: str, chosen: dict[str, str], length_penalty: float, candidates: str = "same") -> None:
    rows = [
        {"prompt_id": prompt, "prompt": message(f"question {prompt}"), "chosen": text, "rejected": "no"}
        | {"chosen_actor": 0, "rejected_actor": 0}
        | {"chosen_reward": float(len(text)), "rejected_reward": 0.0, "margin": 1.0}
        for prompt, text in chosen.items()
    ]
    path = FOLDER / f"runs/{run}/iter1/pairs.parquet"
    tables.write_table(rows, path, tables.ONLINE_PAIRS)
    manifest(path, "scripts.online.select_pairs", 2.5, {"pairs": len(rows)})
    record = path.with_name(path.name + ".manifest.json")
    said = json.loads(record.read_text()) | {
        "output": {"argument": "output", "path": str(path), "sha256": f"digest of {run}"},
        "arguments": {"length_penalty": length_penalty},
        "inputs": [
            {"argument": "prompts", "path": f"{run}.parquet", "sha256": run},  # no matter for the choice
            {"argument": "responses", "path": "0.parquet", "sha256": candidates},
        ],
        "started": "2026-01-01T10:00:00+0200",
    }
    record.write_text(json.dumps(said))


def write_measures(policy: str, rewards: list[float], golds: list[float | None]) -> None:
    rows = [
        {"prompt_id": f"p{i}", "response": f"{policy} {i}", "characters": 10 + len(policy), "tokens": 3}
        | {"finished": True, "reward": reward, "gold": gold, "log_ratio": 0.0}
        for i, (reward, gold) in enumerate(zip(rewards, golds, strict=True))
    ]
    tables.write_table(rows, FOLDER / f"evaluation/measures/{policy}.parquet", tables.MEASURES)


def write_benchmark(name: str, seconds: float, memory: str) -> None:
    path = FOLDER / f"benchmarks/{name}.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    header = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time"
    path.write_text(f"{header}\n{seconds}\t0:00:01\t{memory}\t1\t1\t1\t0\t0\t10\t{seconds / 2}\n")


def build(**changes) -> dict:
    return build_catalog.main(build_catalog.Args(**{"folder": FOLDER, "output": CATALOG} | changes))


def ask(query: str, path: Path = CATALOG, **settings: str) -> list[dict]:
    with duckdb.connect(path, read_only=True, config=settings) as catalog:
        found = catalog.execute(query)
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def example(name: str) -> list[dict]:
    return ask((EXAMPLES / f"{name}.sql").read_text())


def views() -> list[str]:
    return [row["name"] for row in ask("SHOW TABLES")]


@pytest.fixture(autouse=True)
def small_study(tmp_path, monkeypatch):
    """A study below the current folder, some of its kinds of tables left out."""
    monkeypatch.chdir(tmp_path)
    write_preferences()
    write_prompts("iter1", 2)
    write_prompts("held_out", 4)
    write_rollouts()
    write_pairs("plain", {"p0": "a long answer", "p1": "the same"}, 0.0)
    write_pairs("concise", {"p0": "short", "p1": "the same"}, 0.002)
    write_measures("sft", [0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.3, 1.0])
    write_measures("plain-iter1", [3.0, 1.0, 1.0, -1.0], [2.0, 0.5, 0.1 + 0.2, 0.0])
    write_measures("plain-iter2", [1.0, 0.5, 2.0, -1.0], [0.25, 2.0, 2.0, 2.0])
    write_benchmark("train_sft", 30.0, "100")
    write_benchmark("count_tokens/alpha", 4.0, "NA")
    write_benchmark("count_tokens/beta", 6.0, "50.5")
    (FOLDER / "tables").mkdir()
    (FOLDER / "tables/table2_policies.csv").write_text("policy,reward\nsft,0.5\n")


def test_there_is_a_view_for_each_kind_of_table_that_the_study_has():
    facts = build()
    expected = ["artifacts", "dropped", "jobs", "measures", "mixes", "pairs", "preferences", "prompts", "responses"]
    assert views() == [*expected, "rewards", "standard", "table2_policies", "tokens"]
    assert facts == {"views": 13, "tables": 8 + 1 + 2 + 4 + 2 + 3 + 1}


def test_every_view_says_what_it_holds():
    build()
    said = ask("SELECT view_name, comment FROM duckdb_views() WHERE schema_name = 'main' AND NOT internal")
    assert len(said) == 13
    assert all(row["comment"].endswith(".") for row in said), said


def test_rollouts_say_whose_they_are():
    build()
    keys = {"policy": "sft", "sampler": "mixed", "prompt_set": "iter1"}
    rows = ask("SELECT * FROM rewards ORDER BY shard, k")
    assert rows == [
        {**keys, "reward_model": "mix2", "shard": shard, "prompt_id": f"p{shard}", "actor": 0, "k": k}
        | {"reward": k + 10.0 * shard}
        for shard in (0, 1)
        for k in (0, 1)
    ]
    best = ask(
        "SELECT prompt_id, arg_max(response, reward) AS best FROM responses"
        " JOIN rewards USING (policy, sampler, prompt_set, shard, prompt_id, actor, k) GROUP BY prompt_id ORDER BY ALL"
    )
    assert best == [{"prompt_id": "p0", "best": "long answer"}, {"prompt_id": "p1", "best": "long answer"}]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT mix, count(*) FROM mixes GROUP BY mix", [("mix1", 6)]),
        ("SELECT source, count(*) FROM tokens GROUP BY source ORDER BY 1", [("alpha", 8), ("beta", 4)]),
        ("SELECT prompt_set, count(*) FROM prompts GROUP BY 1 ORDER BY 1", [("held_out", 4), ("iter1", 2)]),
        ("SELECT DISTINCT run, iteration FROM pairs ORDER BY ALL", [("concise", 1), ("plain", 1)]),
        (
            "SELECT DISTINCT policy, run, iteration FROM measures ORDER BY ALL",
            [("plain-iter1", "plain", 1), ("plain-iter2", "plain", 2), ("sft", "sft", 0)],
        ),
        (
            "SELECT rule, job, seconds, peak_mb FROM jobs ORDER BY ALL",
            [("count_tokens", "alpha", 4.0, None), ("count_tokens", "beta", 6.0, 50.5), ("train_sft", None, 30.0, 100)],
        ),
        (
            "SELECT path, module, CAST(started AS VARCHAR), seconds, facts ->> 'pairs' FROM artifacts ORDER BY path",
            [
                (f"results/small/runs/{run}/iter1/pairs.parquet", "scripts.online.select_pairs", *RECORDED)
                for run in ("concise", "plain")
            ],
        ),
        ("FROM table2_policies", [("sft", 0.5)]),
    ],
)
def test_columns_that_come_from_paths_and_records(query, expected):
    build()
    assert [tuple(row.values()) for row in ask(query)] == expected


def test_what_only_some_studies_have():
    """Monitors, judges' replies, case studies, the numbers of figures; the report has a table `monitors` of its own."""
    evaluation = FOLDER / "evaluation"
    measured = [{"measure": "kl", "value": 1.5, "low": 1.0, "high": 2.0, "n": 4}]
    tables.write_table(measured, evaluation / "monitors/plain-iter2.parquet", tables.MONITOR)
    (FOLDER / "tables/monitors.csv").write_text("run,iteration,measure,limit\nplain,2,kl,10\n")
    case = {"prompt_id": "p0", "prompt": message("?"), "offline_response": "no", "online_response": "yes"}
    scores = {"offline_score": 0.0, "online_score": 2.0, "difference": 2.0}
    tables.write_table([case | scores], evaluation / "case_studies.parquet", tables.CASE_STUDIES)
    (FOLDER / "figures").mkdir()
    (FOLDER / "figures/figure8_iterations.csv").write_text("run,iteration,value\nplain,1,0.5\n")
    cache = evaluation / "replies/gpt4"
    with ReplyCache(cache) as kept:
        kept.put(
            "digest 1", "some-model", '{"messages": []}', Reply("A is better", prompt_tokens=7, completion_tokens=3)
        )
    build()
    assert ask("SELECT policy, run, iteration, measure, value FROM policy_monitors") == [
        {"policy": "plain-iter2", "run": "plain", "iteration": 2, "measure": "kl", "value": 1.5}
    ]
    assert ask("SELECT m.value, c.limit FROM policy_monitors m JOIN monitors c USING (run, iteration, measure)") == [
        {"value": 1.5, "limit": 10}
    ]
    assert ask("FROM case_studies") == [case | scores]
    assert ask("FROM figure8_iterations") == [{"run": "plain", "iteration": 1, "value": 0.5}]
    with ReplyCache(cache) as kept:
        kept.put("digest 2", "some-model", "{}", Reply("B is better", completion_tokens=4))
    spent = "SELECT judge, count(*) AS replies, sum(completion_tokens)::INTEGER AS tokens FROM replies GROUP BY judge"
    assert ask(spent) == [{"judge": "gpt4", "replies": 2, "tokens": 7}]  # asked after the catalogue was built, too


def test_rows_stay_in_the_files():
    build()
    write_prompts("iter1", 7)
    write_benchmark("train_dpo/plain-iter1", 1.0, "1")
    assert ask("SELECT count(*) AS n FROM prompts WHERE prompt_set = 'iter1'") == [{"n": 7}]
    assert {row["rule"] for row in ask("SELECT rule FROM jobs")} == {"train_sft", "count_tokens", "train_dpo"}


def test_the_catalogue_answers_elsewhere_when_told_where_the_files_lie(tmp_path, monkeypatch):
    build()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    count = "SELECT (SELECT count(*) FROM measures) + (SELECT count(*) FROM artifacts) AS n"
    with pytest.raises(duckdb.IOException, match="No files found"):
        ask(count, tmp_path / CATALOG)
    assert ask(count, tmp_path / CATALOG, file_search_path=str(tmp_path)) == [{"n": 14}]


def test_older_releases_can_open_the_file():
    build()
    assert int.from_bytes(CATALOG.read_bytes()[12:20], "little") == 64  # the storage version of DuckDB 1.0


def test_a_shard_of_an_earlier_configuration_is_not_shown():
    stale = ROLLOUTS / "responses/2.parquet"
    stale.write_bytes(SHARDS[0].read_bytes())
    build()
    assert ask("SELECT count(*) AS n FROM responses") == [{"n": 6}]
    build(tables=(*SHARDS, FOLDER / "tables/table2_policies.csv"))
    assert ask("SELECT count(*) AS n FROM responses") == [{"n": 4}]
    assert "rewards" not in views()


def test_a_table_that_breaks_its_contract_is_named():
    other = FOLDER / "data/dropped/alpha.parquet"
    other.write_bytes((FOLDER / "data/preferences/alpha.parquet").read_bytes())
    with pytest.raises(StudyError, match=r"dropped/alpha\.parquet: no column 'reason'"):
        build()
    assert not CATALOG.exists()


def test_what_is_no_table_of_a_study_is_refused():
    with pytest.raises(StudyError, match=r"--tables results/small/benchmarks/train_sft\.tsv: no table of a study"):
        build(tables=(SHARDS[0], FOLDER / "benchmarks/train_sft.tsv"))
    with pytest.raises(StudyError, match="no tables of a study"):
        build(folder=Path("results"))


def test_a_report_table_that_is_not_text_is_named():
    (FOLDER / "tables/table2_policies.csv").write_bytes(b"policy,reward\nsft\xff\xfe,0.5\n")
    with pytest.raises(StudyError, match="table2_policies"):
        build()


# --- the example questions --------------------------------------------------------------------------------------------


def test_lost_reward():
    build()
    rows = example("lost_reward")
    assert [(row["run"], row["iteration"], row["question"], row["lost"], row["lost_gold"]) for row in rows] == [
        ("plain", 2, "question 0", 2.0, 1.75),
        ("plain", 2, "question 1", 0.5, -1.5),
    ]
    assert (rows[0]["response_before"], rows[0]["response"]) == ("plain-iter1 0", "plain-iter2 0")


def test_overrated_answers():
    build()
    rows = example("overrated_answers")
    assert [(row["policy"], row["question"], row["reward_gained"], row["gold_lost"]) for row in rows] == [
        ("plain-iter2", "question 0", 1.0, 0.75),
        ("plain-iter1", "question 1", 1.0, 0.5),
    ]  # on question 2 the gold rewards differ by rounding alone, on question 3 the reward model agrees
    assert (rows[0]["characters_gained"], rows[0]["sft_response"]) == (8, "sft 0")


def test_overrated_answers_without_gold():
    for policy in ("sft", "plain-iter1", "plain-iter2"):
        write_measures(policy, [float(len(policy))] * 4, [None] * 4)
    build()
    assert example("overrated_answers") == []


def test_dropped_by_reason():
    build()
    assert example("dropped_by_reason") == [
        {"source": "alpha", "reason": "duplicate", "pairs": 2, "percent": 25.0},
        {"source": "beta", "reason": "too_long", "pairs": 1, "percent": 25.0},
    ]


def test_changed_choices():
    build()
    assert example("changed_choices") == [
        {"compared_with": "plain", "run": "concise", "iteration": 1, "length_penalty": 0.002}
        | {"question": "question p0", "characters_saved": 8, "reward_paid": 8.0}
        | {"chosen_without": "a long answer", "chosen": "short"}
    ]


def test_changed_choices_compares_runs_only_that_chose_from_the_same_responses():
    write_pairs("concise", {"p0": "short"}, 0.002, candidates="other")
    build()
    assert example("changed_choices") == []


def test_time_by_rule():
    build()
    assert example("time_by_rule") == [
        {"rule": "train_sft", "jobs": 1, "total_seconds": 30.0, "percent": 75.0, "slowest_job": 30.0, "peak_mb": 100},
        {"rule": "count_tokens", "jobs": 2, "total_seconds": 10.0, "percent": 25.0, "slowest_job": 6.0, "peak_mb": 51},
    ]
