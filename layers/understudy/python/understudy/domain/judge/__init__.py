"""Is the candidate fit for the next stage? Pure functions of counts; the verdict carries its evidence.

shapes    counts in, verdict out            policy   what is tolerated, the budget and its split
evalues   bets on counts, any time          clusters users are independent, requests are not
metrics   a finding a guardrail, by clicks, latency, sample_ratio, item_coverage
verdict   pass, fail or inconclusive        bake     what follows, by the clock of a stage
schema    JSON Schema of the verdict
"""

from understudy.domain.judge.policy import JudgePolicy
from understudy.domain.judge.shapes import ArmOutcomes, BucketOutcome, StageEvidence, StageWindow, Verdict
from understudy.domain.judge.verdict import judge

__all__ = ["ArmOutcomes", "BucketOutcome", "JudgePolicy", "StageEvidence", "StageWindow", "Verdict", "judge"]
