"""The raw files: sizes, schemas, planted defects, disjoint prompts, and the same bytes for the same seed."""

import gzip
import json
import random
import subprocess
import sys
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scripts.common.errors import StudyError
from scripts.world import academic, generate_world
from scripts.world.gold import gold_reward, inspect
from scripts.world.prompts import parse
from scripts.world.sources import fine_grained_score, helpfulness_and_correctness
from scripts.world.tokenizer import build_tokenizer
from tests.unit.world import recount
from tests.unit.world.conftest import PAIRS, world_section

FILES = {
    "hh_rlhf": "hh_rlhf.jsonl.gz",
    "ultrafeedback": "ultrafeedback.jsonl.gz",
    "helpsteer": "helpsteer.jsonl.gz",
    "pku_saferlhf": "pku_saferlhf.jsonl.gz",
    "ultrainteract": "ultrainteract.parquet",
    "nectar": "nectar.parquet",
    "shp": "shp.jsonl.gz",
    "summarisation": "summarisation.parquet",
    "code_ultrafeedback": "code_ultrafeedback.parquet",
    "argilla_math": "argilla_math.parquet",
    "distilabel_orca": "distilabel_orca.parquet",
    "distilabel_capybara": "distilabel_capybara.parquet",
}
MARGINS = {"ultrafeedback": 0.5, "helpsteer": 0.5}
FAMILIES = {
    "hh_rlhf": {"fact", "list"},
    "ultrafeedback": {"fact", "list"},
    "helpsteer": {"fact", "list"},
    "pku_saferlhf": {"safe"},
    "ultrainteract": {"math"},
    "nectar": {"fact", "list", "math", "safe"},
    "shp": {"fact", "list"},
    "summarisation": {"fact"},
    "code_ultrafeedback": {"math"},
    "argilla_math": {"math"},
    "distilabel_orca": {"fact"},
    "distilabel_capybara": {"fact", "list"},
}
SMALL = {
    "pretraining_documents": 50,
    "instructions": 20,
    "prompts": 20,
    "reward_bench": 4,
    "pairs": dict.fromkeys(PAIRS, 30),
}


@pytest.fixture(scope="session")
def planted(demo_world):
    return json.loads((demo_world / "defects.json").read_text())


@pytest.fixture(scope="session")
def evaluated(read):
    """What the miniature RewardBench asks, words alone."""
    return {recount.bare(row["prompt"]) for row in read("reward_bench.parquet")}


@pytest.mark.parametrize("source", FILES)
def test_pairs_and_defects_are_those_announced(source, read, planted, evaluated):
    found = recount.fates(source, read(FILES[source]), MARGINS.get(source, 0.0), evaluated, source == "hh_rlhf")
    assert found.pop("kept") == PAIRS[source]
    assert dict(found) == planted[source]


def test_each_source_has_the_defects_that_its_schema_can_express(planted):
    everywhere = {"empty_round", "same_response", "too_long", "duplicate", "contaminated"}
    beyond = {
        "hh_rlhf": {"roles_do_not_alternate", "contexts_differ", "near_duplicate", "unparsable"},
        "ultrafeedback": {"equal_score", "small_margin", "single_response"},
        "helpsteer": {"equal_score", "single_response"},
        "pku_saferlhf": {"contradicted_label"},
        "ultrainteract": {"roles_do_not_alternate"},
        "nectar": {"roles_do_not_alternate", "unparsable"},
        "shp": {"contradicted_label", "equal_score", "low_score_ratio", "beyond_five_pairs"},
        "summarisation": set(),
        "code_ultrafeedback": {"equal_score", "null_value"},
        "argilla_math": {"equal_score", "contradicted_label"},
        "distilabel_orca": {"equal_score", "contradicted_label", "in_gsm8k_train"},
        "distilabel_capybara": {"equal_score", "contradicted_label", "roles_do_not_alternate", "contexts_differ"},
    }
    expected = {source: everywhere | more for source, more in beyond.items()}
    expected["summarisation"] -= {"contaminated"}  # the question is a part of a longer turn there
    expected["instructions"] = {"empty_round", "roles_do_not_alternate"}
    expected["prompts"] = {"empty_round", "duplicate", "contaminated", "near_duplicate"}
    assert {source: set(counts) for source, counts in planted.items()} == expected
    assert min(count for counts in planted.values() for count in counts.values()) >= 2


@pytest.mark.parametrize("source", FILES)
def test_families_and_share_of_conversations(source, read):
    rows = read(FILES[source])
    questions = set(recount.last_questions(source, rows))
    assert {parse(question).family for question in questions} == FAMILIES[source]
    if source in ("hh_rlhf", "ultrainteract"):
        contexts = [context for defect, context, *_ in recount.ADAPTERS[source](rows) if defect is None]
        assert sum(len(context) > 1 for context in contexts) / len(contexts) == pytest.approx(0.1, abs=0.02)


def test_a_child_in_a_tree_asks_again_after_its_parents_wrong_turn(read):
    rows = {row["id"]: row for row in read(FILES["ultrainteract"])}
    children = [row for row in rows.values() if row["parent_id"] in rows and len(row["trajectory"]) == 3]
    retried = [row for row in children if row["trajectory"][1]["value"] == rows[row["parent_id"]]["rejected"]]
    assert len(retried) > 200
    assert all(parse(row["trajectory"][0]["value"]) == parse(row["trajectory"][2]["value"]) for row in retried)


def test_prompts_are_disjoint_save_where_that_is_the_defect(read, evaluated, planted):
    asked = {source: recount.last_questions(source, read(FILES[source])) for source in FILES}
    asked["instructions"] = [row["conversations"][-2]["value"] for row in demonstrations(read)]
    asked["prompts"] = [row["prompt"] for row in read("prompts.jsonl.gz") if row["prompt"].strip()]
    asked["alpaca_eval"] = [row["instruction"] for row in read("alpaca_eval.jsonl.gz")]
    asked["mt_bench"] = [turn for row in read("mt_bench.jsonl.gz") for turn in row["turns"]]
    asked["arena_hard"] = [row["turns"][0]["content"] for row in read("arena_hard.jsonl.gz")]
    bare = {source: set(map(recount.bare, prompts)) for source, prompts in asked.items()}
    for source, prompts in bare.items():
        assert len(prompts & evaluated) == planted.get(source, {}).get("contaminated", 0)
        prompts -= evaluated
    assert sum(map(len, bare.values())) == len(set().union(*bare.values()))
    documents = {recount.bare(row["conversations"][0]["value"]) for row in read("documents.jsonl.gz")}
    unseen = ("prompts", "alpaca_eval", "mt_bench", "arena_hard")
    assert not documents & evaluated.union(*(bare[name] for name in unseen))


def test_prompts_and_their_defects_are_those_announced(read, planted, evaluated):
    found, seen, asked = Counter(), set(), set()
    for row in read("prompts.jsonl.gz"):
        spaced, words = " ".join(row["prompt"].split()), recount.bare(row["prompt"])
        reason = (
            "empty_round" if not spaced else
            "contaminated" if words in evaluated else
            "duplicate" if spaced in seen else
            "near_duplicate" if words in asked else
            row["source"]
        )  # fmt: skip
        found[reason] += 1
        seen.add(spaced)
        asked.add(words)
    assert found == planted["prompts"] | dict.fromkeys(("fact", "list", "math", "safe"), 650)


def test_sizes(read):
    assert len(read("documents.jsonl.gz")) == 12_000
    assert len(demonstrations(read)) == 2_400


def demonstrations(read):
    """The instructions that nothing is wrong with."""
    return [row for row in read("instructions.jsonl.gz") if fault(row["conversations"]) is None]


def fault(turns):
    if not all(turn["value"].strip() for turn in turns):
        return "empty_round"
    alternate = [turn["from"] for turn in turns] == ["human", "gpt"] * (len(turns) // 2)
    return None if alternate else "roles_do_not_alternate"


def test_defects_of_instructions_are_those_announced(read, planted):
    found = Counter(fault(row["conversations"]) for row in read("instructions.jsonl.gz"))
    assert found == planted["instructions"] | {None: 2_400}


def test_reward_bench_is_labelled_by_gold(read):
    rows = read("reward_bench.parquet")
    assert [row["id"] for row in rows] == list(range(400))
    for row in rows:
        assert gold_reward(row["prompt"], row["chosen"]) > gold_reward(row["prompt"], row["rejected"]) + 0.5
    assert Counter(row["subset"] for row in rows) == {
        "alpacaeval-easy": 100,
        "llmbar-natural": 100,
        "refusals-dangerous": 55,
        "xstest-should-respond": 45,
        "math-prm": 100,
    }
    hard = [row for row in rows if row["subset"] == "llmbar-natural"]
    assert sum(len(row["rejected"]) > len(row["chosen"]) for row in hard) > 90


def test_annotations_mostly_agree_with_gold(read):
    for source in FILES:
        agree = total = 0
        for defect, context, chosen, rejected, margin in recount.ADAPTERS[source](read(FILES[source])):
            if defect is None and margin >= 0.5 and chosen and rejected:
                gold = [gold_reward(recount.question(context), text) for text in (chosen, rejected)]
                total += gold[0] != gold[1]
                agree += gold[0] > gold[1]
        assert 0.7 < agree / total < 0.99, source


def test_vocabulary_is_closed(demo_world, read):
    tokenizer = build_tokenizer()
    texts = [
        turn["value"]
        for name in ("documents", "instructions")
        for row in read(f"{name}.jsonl.gz")
        for turn in row["conversations"]
    ]
    for source in FILES:
        for _, context, chosen, rejected, _ in recount.ADAPTERS[source](read(FILES[source])):
            texts += [*(text for _, text in context), chosen, rejected]
    ids = tokenizer(texts, add_special_tokens=False)["input_ids"]
    assert not any(tokenizer.unk_token_id in sequence for sequence in ids)


def test_demonstrations_and_documents(read):
    right = {}
    for name, rows in {"instructions": demonstrations(read), "documents": read("documents.jsonl.gz")}.items():
        answers = [turns["conversations"][-2:] for turns in rows]
        found = [inspect(parse(asked["value"]), said["value"]).right_core for asked, said in answers]
        right[name] = sum(found) / len(found)
    assert right["instructions"] == pytest.approx(0.6, abs=0.05)
    assert right["documents"] == pytest.approx(0.9, abs=0.02)


def test_published_schemas(demo_world, read):
    assert set(read(FILES["hh_rlhf"])[0]) == {"chosen", "rejected"}
    assert read(FILES["hh_rlhf"])[0]["chosen"].startswith("\n\nHuman: ")
    feedback = read(FILES["ultrafeedback"])[0]
    assert set(feedback) == {"source", "instruction", "models", "completions", "correct_answers", "incorrect_answers"}
    for completion in feedback["completions"]:
        ratings = [int(aspect["Rating"]) for aspect in completion["annotations"].values()]
        assert completion["fine-grained_score"] == sum(ratings) / 4
    attributes = {"helpfulness", "correctness", "coherence", "complexity", "verbosity"}
    steer = read(FILES["helpsteer"])
    assert set(steer[0]) == {"prompt", "response"} | attributes
    assert {row[name] for row in steer for name in attributes} <= set(range(5))
    assert set(read(FILES["pku_saferlhf"])[0]) == {
        *("prompt", "response_0", "response_1", "is_response_0_safe", "is_response_1_safe"),
        *("better_response_id", "safer_response_id"),
    }
    nectar = pq.read_schema(demo_world / FILES["nectar"])
    assert nectar.names == ["prompt", "answers", "turns", "num_responses", "source", "good_natured"]
    assert all(row["num_responses"] == len(row["answers"]) for row in read(FILES["nectar"]))
    interact = pq.read_schema(demo_world / FILES["ultrainteract"])
    assert interact.names == ["task", "dataset", "trajectory", "chosen", "rejected", "id", "parent_id"]
    assert interact.field("trajectory").type.value_type == pa.struct([("from", pa.string()), ("value", pa.string())])


def test_positions_do_not_give_labels_away(read):
    first = [row["better_response_id"] == 0 for row in read(FILES["pku_saferlhf"])]
    assert sum(first) / len(first) == pytest.approx(0.5, abs=0.07)
    scores = [[c["fine-grained_score"] for c in row["completions"]] for row in read(FILES["ultrafeedback"])]
    best_first = [row.index(max(row)) == 0 for row in scores if len(row) == 4]
    assert sum(best_first) / len(best_first) < 0.45


@pytest.mark.parametrize(("utility", "score", "attributes"), [(-9, 1, 0), (-2, 1, 0), (2, 3, 2), (6, 5, 4), (9, 5, 4)])
def test_scales_of_the_scores(utility, score, attributes):
    assert fine_grained_score(utility) == score
    assert sum(helpfulness_and_correctness(utility)) / 2 == attributes


def test_same_seed_same_bytes(tmp_path):
    files = []
    for name, seed in (("one", 3), ("two", 3), ("other", 4)):
        folder = tmp_path / name
        generate_world.main(generate_world.Args(folder, world_section(**SMALL), seed))
        files.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert files[0] == files[1]
    assert all(files[0][name] != files[2][name] for name in files[0] if name != "defects.json")


def test_only_the_sources_asked_for(tmp_path):
    world = world_section(**{**SMALL, "pairs": {"helpsteer": 7, "nectar": 1}})
    generate_world.main(generate_world.Args(tmp_path, world))
    chat = (
        "alpaca_eval",
        "alpaca_eval_difficulty",
        "alpaca_eval_gamed",
        "arena_hard",
        "arena_hard_answers",
        "mt_bench",
    )
    benchmarks = {f"{name}.jsonl.gz" for name in (*academic.benchmarks(1, random.Random(0)), *chat)}
    assert sorted({path.name for path in tmp_path.iterdir()} - benchmarks) == [
        *("defects.json", "documents.jsonl.gz", "helpsteer.jsonl.gz", "instructions.jsonl.gz", "nectar.parquet"),
        *("prompts.jsonl.gz", "reward_bench.parquet"),
    ]
    evaluated = {recount.bare(row["prompt"]) for row in pq.read_table(tmp_path / "reward_bench.parquet").to_pylist()}
    with gzip.open(tmp_path / "helpsteer.jsonl.gz", "rt") as lines:
        assert recount.fates("helpsteer", [json.loads(line) for line in lines], 0.5, evaluated)["kept"] == 7


def test_unknown_sources_and_too_large_worlds_are_refused(tmp_path):
    with pytest.raises(StudyError, match=r"no source helpster; the world has hh_rlhf, ultrafeedback, helpsteer"):
        generate_world.main(generate_world.Args(tmp_path, world_section(pairs={"helpster": 3})))
    with pytest.raises(StudyError, match=r"ultrainteract needs 5000 more 'math' prompts; the world has 4608"):
        generate_world.main(generate_world.Args(tmp_path, world_section(pairs={"ultrainteract": 5000})))
    assert list(tmp_path.iterdir()) == []


def test_the_command(tmp_path):
    options = [
        *("--world.pretraining-documents", "8", "--world.instructions", "8", "--world.prompts", "8"),
        *("--world.reward-bench", "4", "--world.pairs", "hh_rlhf", "10", "ultrafeedback", "10"),
        *("--world.chat-questions", "alpaca_eval", "8", "mt_bench", "2", "arena_hard", "4"),
        *("--world.length-bias", "fact", "1.2", "list", "1.2", "math", "0.7", "safe", "0.7"),
        *("--world.label-noise", "0.06", "--world.optimisation.learning-rate", "2e-3"),
        *("--world.optimisation.global-batch", "16", "--world.optimisation.max-tokens", "256"),
    ]
    command = [sys.executable, "-m", "scripts.world.generate_world", "--seed", "1", "--output", str(tmp_path), *options]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "usable pairs  20" in done.stdout
    assert json.loads((tmp_path / "manifest.json").read_text())["arguments"]["world"]["pairs"]["hh_rlhf"] == 10
