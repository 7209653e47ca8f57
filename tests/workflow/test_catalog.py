"""The catalogue of a finished study: its views hold what the files hold, and it answers the README's questions."""

import json

import duckdb
import polars as pl
import pytest

from tests.workflow.study import ROOT

pytestmark = pytest.mark.workflow

EXAMPLES = ROOT / "scripts/report/sql/examples"
RUNS = ("iterative", "concise")  # without a length penalty, and with one


@pytest.fixture
def catalog(built):
    """Asked from anywhere: the views' paths are below the folder that Snakemake ran in."""
    settings = {"file_search_path": str(built.folder)}
    with duckdb.connect(built.results / "catalog.duckdb", read_only=True, config=settings) as connection:
        yield connection


def example(catalog, name: str) -> pl.DataFrame:
    return catalog.sql((EXAMPLES / f"{name}.sql").read_text()).pl()


def rows_by_file(folder, pattern: str) -> int:
    return sum(pl.scan_parquet(path).select(pl.len()).collect().item() for path in folder.glob(pattern))


@pytest.mark.parametrize(
    ("view", "pattern"),
    [
        ("standard", "data/standard/*.parquet"),
        ("tokens", "data/tokens/*.parquet"),
        ("preferences", "data/preferences/*.parquet"),
        ("dropped", "data/dropped/*.parquet"),
        ("mixes", "data/mixes/*.parquet"),
        ("comparisons", "data/comparisons/*.parquet"),
        ("instructions", "data/instructions.parquet"),
        ("prompts", "data/prompts/*.parquet"),
        ("dropped_prompts", "data/dropped_prompts.parquet"),
        ("evaluation_prompts", "data/evaluation_prompts.parquet"),
        ("responses", "rollouts/*/*/*/responses/*.parquet"),
        ("rewards", "rollouts/*/*/*/rewards/*/*.parquet"),
        ("pairs", "runs/*/*/pairs.parquet"),
        ("measures", "evaluation/measures/*.parquet"),
        ("policy_monitors", "evaluation/monitors/*.parquet"),
        ("case_studies", "evaluation/case_studies.parquet"),
        ("reward_bench", "evaluation/reward_bench/*.parquet"),
        ("held_out", "evaluation/held_out/*.parquet"),
        ("questions", "evaluation/*/questions.parquet"),
        ("answers", "evaluation/*/answers/*.parquet"),
        ("annotations", "evaluation/alpaca_eval/judgments/*/*.parquet"),
        ("ratings", "evaluation/mt_bench/judgments/*/*.parquet"),
        ("games", "evaluation/arena_hard/judgments/*/*.parquet"),
    ],
)
def test_a_view_has_the_rows_of_its_files(built, catalog, view, pattern):
    rows = rows_by_file(built.results, pattern)
    assert rows > 0
    assert catalog.execute(f"SELECT count(*) FROM {view}").fetchone() == (rows,)


def test_every_csv_table_has_a_view(built, catalog):
    for path in [*built.results.glob("tables/*.csv"), *built.results.glob("figures/*.csv")]:
        assert catalog.execute(f'SELECT count(*) FROM "{path.stem}"').fetchone() == (pl.read_csv(path).height,), (
            path.name
        )


def test_rewards_belong_to_responses(catalog):
    matched = catalog.execute(
        "SELECT count(*), count(response) FROM rewards"
        " LEFT JOIN responses USING (policy, sampler, prompt_set, shard, prompt_id, actor, k)"
    ).fetchone()
    assert matched[0] == matched[1] == catalog.execute("SELECT count(*) FROM rewards").fetchone()[0]


def test_artifacts_are_the_manifests(built, catalog):
    manifests = {json.loads(p.read_text())["output"]["path"] for p in built.results.rglob("*manifest.json")}
    found = catalog.sql("SELECT path, module, sha256, started, seconds, facts FROM artifacts").pl()
    assert set(found["path"]) == manifests
    assert found.height == len(manifests)
    assert f"results/{built.name}/report/index.html" in manifests
    assert sum(found.null_count().row(0)) == 0


def test_the_prompts_on_which_an_iteration_lost_reward(built, catalog):
    found = example(catalog, "lost_reward")
    assert found.columns == ["run", "iteration", "question", "lost", "lost_gold", "response_before", "response"]
    before, after = (pl.read_parquet(built.results / f"evaluation/measures/iterative-iter{t}.parquet") for t in (1, 2))
    both = before.join(after, on="prompt_id", suffix="_after")
    lost = both.filter(pl.col("reward_after") < pl.col("reward"))
    assert found.height == lost.height
    assert set(found["run"]) <= {"iterative"}  # no other run has two iterations
    assert sorted(found["lost"]) == sorted(found["lost"].abs())


def test_what_the_reward_model_likes_but_the_gold_reward_does_not(built, catalog):
    found = example(catalog, "overrated_answers")
    assert found.columns == [
        *("policy", "question", "reward_gained", "gold_lost", "characters_gained", "sft_response", "response")
    ]
    folder = built.results / "evaluation/measures"
    sft = pl.read_parquet(folder / "sft.parquet")
    for path in folder.glob("*-iter*.parquet"):
        both = pl.read_parquet(path).join(sft, on="prompt_id", suffix="_sft")
        reward = (pl.col("reward") - pl.col("reward_sft")).round(3)
        gold = (pl.col("gold_sft") - pl.col("gold")).round(3)
        expected = both.filter((reward > 0) & (gold > 0)).height
        assert found.filter(pl.col("policy") == path.stem).height == expected, path.stem


def test_what_the_filter_dropped(built, catalog):
    found = example(catalog, "dropped_by_reason")
    assert found.columns == ["source", "reason", "pairs", "percent"]
    report = pl.read_csv(built.results / "tables/filter_report.csv").filter(pl.col("reason") != "kept")
    assert found.sort("source", "reason").rows() == report.sort("source", "reason").select(found.columns).rows()


def test_where_the_length_penalty_changed_the_choice(built, catalog):
    found = example(catalog, "changed_choices")
    assert found.columns == [
        *("compared_with", "run", "iteration", "length_penalty", "question"),
        *("characters_saved", "reward_paid", "chosen_without", "chosen"),
    ]
    plain, concise = (pl.read_parquet(built.results / f"runs/{run}/iter1/pairs.parquet") for run in RUNS)
    both = plain.join(concise, on="prompt_id", suffix="_concise")
    changed = both.filter(pl.col("chosen") != pl.col("chosen_concise"))
    assert found.height == changed.height
    assert set(found.select("compared_with", "run", "iteration").rows()) <= {(*RUNS, 1)}


def test_time_by_rule(built, catalog):
    found = example(catalog, "time_by_rule")
    assert found.columns == ["rule", "jobs", "total_seconds", "percent", "slowest_job", "peak_mb"]
    records = list((built.results / "benchmarks").rglob("*.tsv"))
    assert found["jobs"].sum() == len(records)
    assert {"generate_world", "train_dpo", "score_responses", "build_catalog"} <= set(found["rule"])
    assert found["percent"].sum() == pytest.approx(100, abs=2)
