"""Fine-tuning: a copy of the backbone is trained with all or some labels; the run's encoder does not change."""

import copy
import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Generator, Tensor, nn

from mixviz.data import Dataset
from mixviz.domains import clean
from mixviz.encoders import Embedder
from mixviz.errors import UserError
from mixviz.evaluate.base import Count, Positive, Protocol, Readout, ranked_of
from mixviz.evaluate.features import Inputs, extract
from mixviz.evaluate.fewshot import share_of_labels
from mixviz.evaluate.views import view_maker

HEAD_FACTOR = 10  # of the classifier's learning rate


@dataclass(frozen=True, kw_only=True)
class FineTuning(Protocol):
    """A linear classifier and a copy of the backbone, trained together on a share of the labels: 1, 0.1, 0.01.

    SGD with momentum 0.9 and a cosine schedule, the classifier, which is new, at ten times the rate of the backbone;
    images are shifted by up to an eighth and flipped. Nothing is chosen. Next to a random encoder (``--random``) it
    says how many labels pre-training saves.
    """

    name: ClassVar[str] = "fine-tuning"

    share: Annotated[float, Field(gt=0, le=1)] = 1.0  # of the labels of each class
    epochs: Count = 20  # passes over the labelled images
    least_steps: Count = 300  # at least this number of steps, if few are labelled
    lr: Positive = 0.03  # of the backbone
    batch_size: Annotated[int, Field(ge=2)] = 64

    def read(self, inputs: Inputs, labels: Tensor, seed: int = 0) -> Readout:
        if inputs.embedder is None or self.layer != "backbone":
            raise UserError("fine-tuning trains a backbone: leave out layer=head, and raw pixels or stored features")
        rows = share_of_labels(labels, self.share, seed)
        embedder = copy.deepcopy(inputs.embedder).requires_grad_(True)
        head = self._train(embedder, inputs.train.select(rows.numpy()), labels[rows], int(labels.max()) + 1, seed)
        logits = head.cpu()(extract(embedder, inputs.test))
        return logits.argmax(dim=1), ranked_of(logits) | {"labels": len(rows)}

    def _train(self, embedder: Embedder, images: Dataset, labels: Tensor, classes: int, seed: int) -> nn.Linear:
        """Train the embedder's backbone in place; returns the classifier."""
        device, generator = embedder.device, Generator(embedder.device).manual_seed(seed)
        view = view_maker("padded-crop", images.stored.shape[1]) if images.domain == "image" else None
        with torch.no_grad():
            width = embedder.eval().features(clean(images, slice(2), device)).shape[1]
        head = nn.Linear(width, classes, device=device)
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)
        backbone = [*embedder.backbone.parameters(), *embedder.branches.parameters()]
        groups = [{"params": backbone, "peak": self.lr}, {"params": head.parameters(), "peak": HEAD_FACTOR * self.lr}]
        optimizer = torch.optim.SGD(groups, self.lr, momentum=0.9)
        embedder.train()
        size = min(self.batch_size, len(images))
        steps = len(images) // size
        total = max(self.epochs * steps, self.least_steps)
        with torch.enable_grad():
            for step in range(total):
                if step % steps == 0:
                    order = torch.randperm(len(images), generator=generator, device=device).cpu()
                index = order[step % steps * size :][:size]
                inputs = clean(images, np.asarray(index), device)
                inputs = inputs if view is None else view(inputs, generator)
                loss = F.cross_entropy(head(embedder.features(inputs)), labels[index].to(device))
                for group in optimizer.param_groups:
                    group["lr"] = group["peak"] * 0.5 * (1 + math.cos(math.pi * step / total))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        embedder.eval().requires_grad_(False)
        return head.requires_grad_(False)
