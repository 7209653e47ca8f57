# RLHF Workflow: From Reward Modeling to Online RLHF, as files.
#
#   snakemake --cores all                                                      the demo's page of tables and figures
#   snakemake --cores all results/demo/runs/iterative/iter2/pairs.parquet      one artifact, and only what it needs
#   snakemake --profile slurm                                                  the paper's study on a cluster
#
# Every rule is a verb and a noun; `rule train_dpo` runs `python -m scripts.online.train_dpo`.

from snakemake.utils import min_version

min_version("9.27")

if "models" not in config:  # no study was named on the command line or by a profile

    configfile: f"{workflow.basedir}/config/demo.yaml"


include: "rules/common.smk"  # the validated configuration, names of paths, input functions
include: "rules/data.smk"  # raw -> standard pairs -> filtered -> mixes; instructions; prompts  (Appendix B.1)
include: "rules/sft.smk"  # base model -> pi_0                                                  (Section 3.1)
include: "rules/reward.smk"  # mixes -> Bradley-Terry reward models -> RewardBench              (Section 2)
include: "rules/online.smk"  # generate n responses -> score -> best/worst pairs -> DPO         (Algorithm 2)
include: "rules/evaluate.smk"  # reward, win rate, KL, length of every policy                   (Section 4)
include: "rules/report.smk"  # tables and figures beside the paper's, one page
include: "rules/theory.smk"  # Algorithm 1 in the linear case, a study of its own              (Section 3.2)


rule all:
    default_target: True
    input:
        report_targets(),


rule data:
    input:
        data_targets(),


rule reward_models:
    input:
        expand("results/{study}/models/reward/{reward}", study=STUDY.study, reward=STUDY.reward_models),


rule policies:
    input:
        [policy_folder(STUDY.study, policy) for policy in POLICIES],


rule theory:
    input:
        "results/theory/regret.md",
        "results/theory/regret.svg",
