"""Titles and captions of the paper's tables and figures as a study makes them: for the page, Markdown and drawings.

In braces stand facts of the study: test_prompts, judged_by, not_run.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Caption:
    title: str
    text: str


CAPTIONS = {  # name of the exhibit's file -> title, caption
    "table2_policies": (
        "Table 2. Policies on the test prompts",
        "Every policy answers each of the {test_prompts} test prompts once; none of these prompts was trained on or "
        "used to choose an iteration. ★ marks the iteration that the validation prompts chose. Wins are against the "
        "SFT policy's answers, decided by {judged_by}, ties count half. KL is the mean log-ratio to the SFT policy "
        "over a policy's own answers. Small print: 95% interval, percentile bootstrap by prompt, 2,000 resamples. The "
        "last column, in italics, is the paper's LC AlpacaEval-2 win rate of its 8B models against GPT-4, a scale of "
        "its own.",
    ),
    "table2_chat": (
        "Table 2. Chat benchmarks, beside the paper's",
        "LC and plain AlpacaEval-2: win rate in % over the baseline's answers. MT-Bench: mean rating of both turns, 1 "
        "to 10. Chat-Arena-Hard: win rate in % over the baseline in two games with swapped answers. In italics the "
        "paper's numbers; the world of a demo has questions, judges and baselines of its own, so compare the order and "
        "not the level. Small print: 95% interval, bootstrap by question; beneath it what had no verdict, if anything. "
        "Rows and cells that this study did not run say so.",
    ),
    "table3_academic": (
        "Table 3. Academic benchmarks, %",
        "By lm-evaluation-harness, with greedy answers; ★ marks the iteration that the validation prompts chose. Small "
        "print: 95% interval, bootstrap by question, and the number of questions. In italics: the paper's model of the "
        "same kind, on the full benchmarks.{not_run}",
    ),
    "table4_length_penalty": (
        "Table 4. What the length penalty changes",
        "The chosen policy of each online run on the {test_prompts} test prompts. The penalty is reward per character "
        "(Equation 9). Lines in italics are differences to the first run on the same prompts, with paired 95% "
        "bootstrap intervals: a difference whose interval leaves out 0 is more than noise of the prompts. Last column: "
        "the paper's LC AlpacaEval-2 win rates without and with its penalty of 0.001.",
    ),
    "table4_academic": (
        "Table 4, academic columns, %",
        "The results of the online runs. Lines in italics are differences to the first run on the same questions, with "
        "paired 95% bootstrap intervals, or the paper's numbers.",
    ),
    "table4_chat": (
        "Table 4. The same on the chat benchmarks",
        "The chosen policy of each online run; lines in italics are differences to the first run on the same "
        "questions, with paired 95% bootstrap intervals. Characters: mean length of the answers to Chat-Arena-Hard. "
        "The line “paper” has what is printed for the run with the same reward model and length penalty.",
    ),
    "table6_benchmarks": (
        "Table 6. How benchmarks are run",
        "Shots are the examples in a prompt. The paper gives metric and, in italics, shots; filter and prompt are "
        "the harness's own (“default”) or a template over a row of the benchmark.",
    ),
    "figure5_prompts": (
        "Figure 5. The prompts",
        "Prompts of the pool, near each other where their vectors are: on the left by the collection they come from, "
        "on the right by topic. t-SNE lays them out, so that directions and distances between far groups mean nothing; "
        "topics are clusters (k-means), named by the words that they have more of than the rest.",
    ),
    "figure6_7_training": (
        "Figures 6 and 7. Training records",
        "Every logged step (faint) and a running mean over 5% of the steps (bold). Accuracy is over the pairs of a "
        "step; of a preference model, over the tokens of its answers.",
    ),
    "figure8_iterations": (
        "Figure 8. What the iterations change",
        "Each run starts from the SFT policy (iteration 0, dotted level); offline DPO has no iterations and is a "
        "dashed level. Bands are the 95% intervals of Table 2, by prompt.",
    ),
    "figure9_evaluation": (
        "Figure 9. All nine benchmarks",
        "Filled bars with 95% intervals: this study's chosen policies on the benchmarks it ran. Hollow bars: the "
        "paper's models; in the table that goes with the figure, its numbers are in italics.",
    ),
}


def captions(judge: str, test_prompts: int | None, not_run: Sequence[str] = ()) -> dict[str, Caption]:
    """Caption of each exhibit, with the facts of a study.

    Args:
        judge: whose scores decide wins, gold or reward.
        test_prompts: how many test prompts there are; None in a study without policies.
        not_run: academic benchmarks of the study that were not run, with the reason.
    """
    facts = {
        "judged_by": "the gold reward" if judge == "gold" else "the reward model of the evaluation",
        "test_prompts": "" if test_prompts is None else f"{test_prompts:,}",
        "not_run": f" Not run: {'; '.join(not_run)}." if not_run else "",
    }
    return {name: Caption(title, text.format(**facts)) for name, (title, text) in CAPTIONS.items()}
