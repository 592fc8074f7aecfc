"""Small tensors everywhere: a second thread per worker only waits."""

from __future__ import annotations

import torch

torch.set_num_threads(1)
