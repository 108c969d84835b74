"""Stage two: gradient-boosted trees put the candidates in order. `train.py` is the job, `inference.py` the container's code."""
