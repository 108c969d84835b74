"""What a search has left in Parameter Store, as an earlier week's would be there."""

STORED = {
    "model": "ranker",
    "parameters": {"learning_rate": 0.05, "num_leaves": 15},
    "metric": "ranking.auc",
    "today": 0.71,
    "tuned": 0.72,
    "interval": [0.004, 0.016],
    "training_job": "ranker-0a0b0c0d-0-0-003-1a2b3c4d",
    "release_id": "r-20261116-0a1b2c3d",
    "prepared_s3": "s3://understudy-artifactbucket-1/work/prepare_data/9999",
    "adopted_at": "2026-11-22T12:00:00Z",
}
