"""What SageMaker runs to see whether a release still meets the world it was made for: baselines, monitors, their files and reports."""
