"""Candidate beside champion on the same held-out time: metrics, the gate with its reasons, and the model card."""
