"""Random probabilities with labels, of many shapes."""

import numpy as np
import torch

CLASSES = ("Basophil", "Eosinophil", "Lymphocyte", "Monocyte", "Neutrophil")


def table(seed: int, images: int = 200, classes: int = 5, absent: tuple[int, ...] = (), decimals: int = 9):
    """Random probabilities leaning towards the label; whole-number logits make ties."""
    rng = np.random.default_rng(seed)
    present = [index for index in range(classes) if index not in absent]
    labels = rng.choice(present, images)
    logits = rng.normal(size=(images, classes))
    logits[np.arange(images), labels] += 1.2
    logits = logits.round(decimals)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return torch.from_numpy(probabilities), torch.from_numpy(labels)


TABLES = {
    "plain": table(0),
    "few images": table(1, images=10),
    "two classes": table(2, classes=2),
    "twelve classes": table(3, images=600, classes=12),
    "absent but predicted": table(4, absent=(0, 1, 3)),
    "ties": table(5, decimals=0),
    "large": table(6, images=20_000),
}
