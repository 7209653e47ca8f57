"""Instructions and prompts of the catalogue in their published schemas: the columns, and a row of each data set.

The preference sources' schemas are in reference.py; the miniature world writes files in them.
"""

import pyarrow as pa
import pyarrow.parquet as pq

TEXT, WHOLE, REAL = pa.string(), pa.int64(), pa.float64()


def listed(**fields):
    return pa.list_(pa.struct(list(fields.items())))


SHAREGPT = listed(**{"from": TEXT, "value": TEXT})
SAID = [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]
MESSAGES = [{"content": "q", "role": "user"}, {"content": "a", "role": "assistant"}]
ASKED = [("user", "q"), ("assistant", "a")]

INSTRUCTIONS = {  # entry -> published columns, a row of them, the conversation that SFT gets
    "sharegpt": ({"id": TEXT, "conversations": SHAREGPT}, ("i_0", SAID), ASKED),
    "evol_instruct": ({"idx": TEXT, "conversations": SHAREGPT}, ("x", SAID), ASKED),
    "slimorca": (
        {"conversations": listed(**{"from": TEXT, "value": TEXT, "weight": REAL})},
        ([{"from": "system", "value": "s", "weight": None}] + [turn | {"weight": 1.0} for turn in SAID],),
        [("system", "s"), *ASKED],
    ),
    "math_instruct": ({"source": TEXT, "output": TEXT, "instruction": TEXT}, ("data/CoT/gsm.json", "a", "q"), ASKED),
    "magicoder_evol_instruct": ({"instruction": TEXT, "response": TEXT}, ("q", "a"), ASKED),
    "gpt4_llm": (
        {"instruction": TEXT, "input": TEXT, "output": TEXT},
        ("q", "of x", "a"),
        [("user", "q\n\nof x"), ("assistant", "a")],
    ),
    "orca_math": ({"question": TEXT, "answer": TEXT}, ("q", "a"), ASKED),
    "gpteacher": ({"instruction": TEXT, "response": TEXT, "input": TEXT}, ("q", "a", ""), ASKED),
    "ultrainteract_sft": (
        dict.fromkeys(("task", "dataset", "instruction", "response", "id", "parent_id"), TEXT),
        ("Coding", "codecontest", "q", "a", "1", "0"),
        ASKED,
    ),
    "rlhflow_sft": ({"messages": listed(content=TEXT, role=TEXT)}, (MESSAGES,), ASKED),
}
PROMPTS = {  # entry -> published columns, a row of them, the prompt
    "ultrafeedback": (
        {"source": TEXT, "instruction": TEXT, "models": pa.list_(TEXT), "completions": listed(response=TEXT)},
        ("evol_instruct", "q", ["alpaca-7b"], [{"response": "a"}]),
        [("user", "q")],
    ),
    "helpsteer": (
        {"prompt": TEXT, "response": TEXT}
        | dict.fromkeys(("helpfulness", "correctness", "coherence", "complexity", "verbosity"), WHOLE),
        ("q", "a", 3, 3, 4, 1, 1),
        [("user", "q")],
    ),
    "openorca": (
        dict.fromkeys(("id", "system_prompt", "question", "response"), TEXT),
        ("niv.1", "s", "q", "a"),
        [("system", "s"), ("user", "q")],
    ),
    "ultrainteract": (
        {"task": TEXT, "dataset": TEXT, "trajectory": SHAREGPT}
        | dict.fromkeys(("chosen", "rejected", "id", "parent_id"), TEXT),
        ("Math_CoT", "gsm8k", [{"from": "user", "value": "q"}], "a", "b", "1", "0"),
        [("user", "q")],
    ),
    "capybara": (
        {"source": TEXT, "conversation": listed(input=TEXT, output=TEXT)},
        ("Airoboros", [{"input": "p", "output": "a"}, {"input": "q", "output": "b"}]),
        [("user", "p"), ("assistant", "a"), ("user", "q")],
    ),
    "dibt_10k": (
        {"prompt": TEXT, "quality": listed(user_id=TEXT, value=TEXT, status=TEXT), "metadata": TEXT}
        | {"avg_rating": REAL, "num_responses": WHOLE, "agreement_ratio": REAL, "raw_responses": pa.list_(WHOLE)}
        | dict.fromkeys(("kind", "cluster_description", "topic"), TEXT),
        ("q", [{"user_id": "u", "value": "4", "status": "submitted"}], "{}", 4.0, 1, 1.0, [4], "human", "d", "t"),
        [("user", "q")],
    ),
    **dict.fromkeys(
        ("rlhflow_iter1", "rlhflow_iter2", "rlhflow_iter3"),
        (
            {"context_messages": listed(content=TEXT, role=TEXT), "context": TEXT, "source": TEXT},
            ([{"content": "q", "role": "user"}], "q", "x"),
            [("user", "q")],
        ),
    ),
}


def written(path, columns, *rows, **options):
    arrays = {
        name: pa.array(values, kind)
        for (name, kind), values in zip(columns.items(), zip(*rows, strict=True), strict=True)
    }
    pq.write_table(pa.table(arrays), path, **options)
    return path
