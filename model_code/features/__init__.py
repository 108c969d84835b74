"""Features, declared once in `features.yaml`, and the job that computes them. Imported by jobs and containers alike."""
