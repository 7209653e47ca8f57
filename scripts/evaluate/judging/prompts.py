"""What judges are asked, from files in the formats in which the benchmarks publish their judge prompts.

The files in `prompts/` are this project's own wording in the spirit of the published ones. A study may name a local
copy of a benchmark's official file instead (`judges.{name}.prompt`); it is read by the same code.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.common.chat import Message
from scripts.common.errors import StudyError

OWN = {
    "alpaca_eval": Path(__file__).parent / "prompts" / "alpaca_eval.txt",
    "mt_bench": Path(__file__).parent / "prompts" / "mt_bench.jsonl",
    "arena_hard": Path(__file__).parent / "prompts" / "arena_hard.yaml",
}
FIELDS = {
    "alpaca_eval": ["instruction", "output_1", "output_2"],
    "single-v1": ["question", "answer"],
    "single-math-v1": ["question", "answer", "ref_answer_1"],
    "single-v1-multi-turn": ["question_1", "answer_1", "question_2", "answer_2"],
    "single-math-v1-multi-turn": ["question_1", "answer_1", "ref_answer_1", "question_2", "answer_2", "ref_answer_2"],
    "arena_hard": ["question_1", "answer_1", "answer_2"],
}
TURN = re.compile(r"<\|im_start\|>(system|user|assistant)\n(.*?)<\|im_end\|>", re.DOTALL)

Prompts = dict[str, list[Message]]
"""Messages with fields in braces, by the prompt's name: several for MT-Bench, else one, named like the benchmark."""


def read_prompts(benchmark: str, path: Path | None) -> Prompts:
    """The prompts of a benchmark.

    Raises:
        StudyError: the file has not the benchmark's format, or lacks a prompt or a field.
    """
    path = path or OWN[benchmark]
    try:
        prompts = {"alpaca_eval": _chatml, "mt_bench": _json_lines, "arena_hard": _yaml}[benchmark](path.read_text())
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StudyError(f"{path}: not a judge prompt file in the format of {benchmark} ({error}).") from None
    for name in [benchmark] if benchmark in FIELDS else [name for name in FIELDS if name.startswith("single")]:
        text = " ".join(message["content"] for message in prompts.get(name, []))
        if missing := [field for field in FIELDS[name] if f"{{{field}}}" not in text]:
            raise StudyError(f"{path}: the prompt '{name}' lacks {', '.join(f'{{{field}}}' for field in missing)}.")
    return prompts


def fill(messages: list[Message], fields: Mapping[str, str]) -> list[Message]:
    """The messages with all fields filled in; braces that name no field stay, in the prompt as in what is filled in."""
    pattern = re.compile("|".join(re.escape(f"{{{name}}}") for name in fields))
    return [
        {"role": message["role"], "content": pattern.sub(lambda found: fields[found[0][1:-1]], message["content"])}
        for message in messages
    ]


def _chatml(text: str) -> Prompts:
    return {"alpaca_eval": [{"role": role, "content": content.strip()} for role, content in TURN.findall(text)]}


def _json_lines(text: str) -> Prompts:
    rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    return {row["name"]: _messages(row["system_prompt"], row["prompt_template"]) for row in rows}


def _yaml(text: str) -> Prompts:
    import yaml

    content: dict[str, Any] = yaml.safe_load(text)
    return {"arena_hard": _messages(content["system_prompt"], content["prompt_template"][0])}


def _messages(system: str, user: str) -> list[Message]:
    return [{"role": "system", "content": system}, {"role": "user", "content": user}]
