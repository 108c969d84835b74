from __future__ import annotations

import torch

torch.set_num_threads(1)  # matrices of a few rows: a second thread only waits, and on a busy machine for long
