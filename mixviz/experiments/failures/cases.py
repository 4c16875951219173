"""The cases: what is broken, where it happens in practice, and the signature that exposes it.

The controls are settings with which a run of a few minutes on glyphs learns something; each case differs from its
control in exactly one setting.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mixviz.analysis.invariance import diagonal_margin
from mixviz.config import RunConfig
from mixviz.errors import unknown
from mixviz.experiments.arms import GLYPHS, IMIX, LOOC, MOCO, NPAIR
from mixviz.experiments.failures.evidence import RunEvidence, Signature
from mixviz.experiments.failures.faults import WrongPartners, views_of_one_crop, views_that_share_the_rest

UNFROZEN = "unfrozen probe"  # a protocol, as results call it

SHARED: dict[str, Any] = {**GLYPHS, "epochs": 3, "knn_every": 1}
# With a plain head: BatchNorm at its end removes what the keys of one step have in common, and with it half of the
# faults below.
PLAIN_HEAD: dict[str, Any] = {**MOCO, "epochs": 6, "lr": 0.03, "warmup_epochs": 1, "projector": "mlp"}
CONTROLS: dict[str, dict[str, Any]] = {
    "n-pair": NPAIR,
    "n-pair + imix": {**NPAIR, **IMIX},
    "n-pair + looc": {**NPAIR, **LOOC, "rotation": 0.5},
    "moco-v2": PLAIN_HEAD,
}


@dataclass(frozen=True, kw_only=True)
class FailureCase:
    """One run that is broken on purpose; it differs from its control only in ``settings`` or ``breaks``."""

    name: str
    title: str
    broken: str  # what is broken
    in_practice: str  # where it happens in practice
    explanation: str  # why the signature follows
    signature: Signature
    control: str  # of CONTROLS
    curves: tuple[str, ...] = ()  # that show the fault and its cost over the epochs; see ``RunEvidence.curve``
    settings: Mapping[str, Any] = field(default_factory=dict)
    breaks: Mapping[str, Any] = field(default_factory=dict)  # arguments of ``train``: views or mixings
    trains: bool = True  # False: it is an evaluation of the control

    def config(self, **changes: Any) -> RunConfig:
        """The settings of the broken run. changes: to both runs, such as fewer epochs."""
        return RunConfig.of(**{**SHARED, **CONTROLS[self.control], **self.settings, **changes})

    def control_config(self, **changes: Any) -> RunConfig:
        """The settings of the healthy run."""
        return RunConfig.of(**{**SHARED, **CONTROLS[self.control], **changes})


def _knn(evidence: RunEvidence) -> float:
    return evidence.accuracy(protocol="knn")


def _gain(evidence: RunEvidence) -> float:
    return evidence.accuracy() - evidence.accuracy("random")


def _leak(evidence: RunEvidence) -> float:
    return evidence.last("proxy_accuracy_clean") - evidence.last("proxy_accuracy")


def _excess(evidence: RunEvidence) -> float:
    return evidence.last("loss_mixed")


def _stale(evidence: RunEvidence) -> float:
    epochs, gaps = evidence.curve("queue_gap")
    return float(gaps[epochs > 1].max())  # in the first epoch the queue holds its random start


def _diagonal(evidence: RunEvidence) -> float:
    return float(diagonal_margin(evidence.invariance)["margin"].mean())


CASES: tuple[FailureCase, ...] = (
    FailureCase(
        name="cold-temperature",
        title="Temperature too small",
        broken="The temperature τ is 0.01 where it should be 0.2.",
        in_practice="Temperatures do not carry over: 0.05 to 0.5 are used by methods that look alike, and a value that "
        "was chosen for one loss, head or data set is used for another.",
        explanation="The gradient grows with 1/τ, so that the same learning rate takes steps twenty times as long, "
        "along the one or two hardest negatives of each query. An untrained network maps all images to "
        "nearly one point, and they never come apart.",
        signature=Signature(
            quantity="uniformity of the embeddings (0: all alike), held-out images",
            sign=1,
            margin=0.5,
            measure=lambda evidence: evidence.last("uniformity/all"),
            share=False,
        ),
        control="n-pair",
        curves=("uniformity/all", "knn_accuracy"),
        settings={"temperature": 0.01},
    ),
    FailureCase(
        name="no-momentum",
        title="Momentum encoder without momentum",
        broken="The momentum is 0: the key encoder is a copy of the query encoder after every step.",
        in_practice="MoCo's authors report that training fails at 0; swapping the two arguments of the moving average "
        "comes close to it.",
        explanation="Keys in the queue come from as many different encoders as there were steps since, and change as "
        "fast as the network. The similarity of a query to them says little about the images, and the network "
        "learns little from it: the loss stays near that of a uniform guess.",
        signature=Signature(quantity="kNN accuracy of shape, test", sign=-1, margin=0.05, measure=_knn),
        control="moco-v2",
        curves=("proxy_accuracy_clean", "knn_accuracy"),
        settings={"momentum": 0.0},
    ),
    FailureCase(
        name="batchnorm-leak",
        title="BatchNorm gives the answer away",
        broken="One BatchNorm over the whole batch, of the queries and of their keys: the batch is neither split nor "
        "shuffled.",
        in_practice="MoCo on one GPU: shuffling a batch that is not split changes nothing, since its statistics are "
        "the same in any order. Several public codes skip both there.",
        explanation="A query and its key were normalised by statistics of the same images, a key of the queue by "
        "those of others: a cue by which training mode can find the key, and which is gone in evaluation "
        "mode. A network as small as this one does not find it in runs as short as these, nor where "
        "groups of four are not shuffled and the cue is strongest: one group of 128 trains as well as two of 64.",
        signature=Signature(
            quantity="queries whose key ranks first, in training minus in evaluation mode",
            sign=1,
            margin=0.1,
            measure=_leak,
        ),
        control="moco-v2",
        curves=("proxy_accuracy_clean", "knn_accuracy"),
        settings={"bn_splits": 1},
    ),
    FailureCase(
        name="wrong-partners",
        title="Blends with the wrong labels",
        broken="i-Mix blends the inputs by a permutation and the labels by its inverse.",
        in_practice="Code that mixes keys instead of queries must label by the inverse permutation; a public i-Mix "
        "does not.",
        explanation="The larger share of each label is still right, so training continues and nothing crashes. The "
        "smaller share asks for an image that is not in the blend: its loss cannot be lowered by looking. "
        "After three epochs accuracy is the same; only the loss reveals it.",
        signature=Signature(
            quantity="loss of the blends, nats, last epoch", sign=1, margin=0.1, measure=_excess, share=False
        ),
        control="n-pair + imix",
        curves=("loss_mixed", "knn_accuracy"),
        breaks={"mixings": [WrongPartners()]},
    ),
    FailureCase(
        name="unfrozen-probe",
        title="A linear probe that is not linear",
        broken="The backbone is trained along with the probe, for three epochs with labels.",
        in_practice="`encoder.requires_grad = False` gives a module an attribute and freezes nothing; "
        "`requires_grad_(False)` was meant. The numbers of a much used repository were three to four points too "
        "high for years.",
        explanation="This measures supervised training. Any encoder looks good, even a random one, so the "
        "gain of training over a random encoder vanishes.",
        signature=Signature(
            quantity="accuracy of the trained minus a random encoder, linear", sign=-1, margin=0.05, measure=_gain
        ),
        control="n-pair",
        trains=False,
    ),
    FailureCase(
        name="imagenet-stem",
        title="ImageNet's stem on small images",
        broken="The first layer is 7x7 with stride 2, followed by a max-pool with stride 2, on images of 32 px.",
        in_practice="A ResNet from a model zoo is taken as it is for CIFAR: accuracies fall short of the published "
        "ones by ten points or more, with the same code for everything else.",
        explanation="After the stem 8x8 places are left of 32x32, and strokes of two or three pixels are gone. The "
        "task is still learned, but less well; kNN hardly shows it.",
        signature=Signature(
            quantity="linear accuracy of shape, test", sign=-1, margin=0.02, measure=RunEvidence.accuracy
        ),
        control="n-pair",
        curves=("proxy_accuracy_clean", "knn_accuracy"),
        settings={"backbone": "mixviz.experiments.failures.faults:imagenet_stem"},
    ),
    FailureCase(
        name="same-crop",
        title="Both views from one crop",
        broken="The key view is cut out at the query's own place.",
        in_practice="It happens when the random numbers of the crop are drawn once for both views, or when the image "
        "is cropped before the views are made.",
        explanation="Both views show the same strokes at the same places, so comparing pixels is enough: training "
        "looks better than ever. On independent crops the network finds its keys less often.",
        signature=Signature(
            quantity="queries whose key ranks first, in training minus on honest views",
            sign=1,
            margin=0.1,
            measure=_leak,
        ),
        control="n-pair",
        curves=("proxy_accuracy_clean", "proxy_accuracy"),
        breaks={"views": views_of_one_crop},
    ),
    FailureCase(
        name="inverted-views",
        title="LooC's views the wrong way round",
        broken="The key view of an augmentation shares everything with the query except that augmentation.",
        in_practice="A public LooC draws its views like this. The paper shares the left-out augmentation and draws "
        "everything else independently.",
        explanation="The space that should keep the augmentation is taught to ignore it: its positive differs from "
        "the query in nothing else.",
        signature=Signature(
            quantity="how much further hue and rotation move their own head than the others, 1: another image",
            sign=-1,
            margin=0.1,
            measure=_diagonal,
            share=False,
        ),
        control="n-pair + looc",
        breaks={"views": views_that_share_the_rest},
    ),
    FailureCase(
        name="stale-queue",
        title="The stale queue",
        broken="The queue holds the keys of 32 steps, not of 2, while the momentum stays 0.99.",
        in_practice="The queue of a long training in large batches is kept for a short one in small batches. It was so "
        "in an earlier version of this project: on photographs the loss rose again before its end, and mixings looked "
        "worse than they are.",
        explanation="The oldest keys come from an encoder that has since changed. New keys are nearer to a query "
        "than old ones, so the loss falls when the network tells new keys from old, and it need not "
        "distinguish images. Late in training, when the network hardly changes, the cue fades: the loss rises, and "
        "keys rank first less often than at the beginning.",
        signature=Signature(
            quantity="cosine of queries to new keys of other images minus to the queue, highest after the first epoch",
            sign=1,
            margin=0.05,
            measure=_stale,
            share=False,
        ),
        control="moco-v2",
        curves=("queue_gap", "proxy_accuracy_clean"),
        settings={"queue_length": 4096},
    ),
)


def failure_case(name: str) -> FailureCase:
    """A failure case by name. Raises UserError."""
    for found in CASES:
        if found.name == name:
            return found
    raise unknown("failure case", name, [found.name for found in CASES])
