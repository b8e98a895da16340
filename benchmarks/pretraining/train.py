"""Train the network on scenes: to tell crying, and to give what the teacher gives."""

import logging
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.decomposition import PCA
from sklearn.metrics import average_precision_score
from torch import nn

from skcry.nn.base import multiplies_bfloat16
from skcry.nn.cry_cnn import FLOOR_DB, CryCNN

LOG = logging.getLogger("pretraining")
N_COMPONENTS = 64  # of the teacher's embedding
WINDOW, HOP = 11, 5  # outputs that the head sees at a time in training: windows of 5 s
BATCH = 24  # scenes
LR, WEIGHT_DECAY, AVERAGE = 2e-3, 0.02, 0.999
WEIGHTS = {"crying": 1.0, "score": 0.5, "embedding": 4.0}
SAVE_EVERY, REPORT_EVERY = 500, 250


class Student(nn.Module):
    """The network with outputs for the teacher's score and the components of its embedding."""

    def __init__(self):
        super().__init__()
        self.net = CryCNN()
        self.score = nn.Linear(self.net.decide.in_features, 1)
        self.embedding = nn.Linear(self.net.decide.in_features, N_COMPONENTS)

    def forward(self, x, first):
        """Return logits of crying and of the score, and components, of windows: (n, n_windows, WINDOW, ...)."""
        shared = self.net.share(x)[..., first:]
        windows = shared.unfold(2, WINDOW, HOP)  # n, channels, n_windows, WINDOW
        n, channels, n_windows, _ = windows.shape
        hidden = self.net.head(windows.transpose(1, 2).reshape(n * n_windows, channels, WINDOW)).transpose(1, 2)
        outputs = [layer(hidden).float() for layer in (self.net.decide, self.score, self.embedding)]
        return [one.reshape(n, n_windows, WINDOW, -1) for one in outputs]


class Scenes:
    """Scenes in memory: spectrograms in half precision, labels, scores and components of the embedding."""

    def __init__(self, paths, pca=None):
        parts: dict = {name: [] for name in ("mel", "label", "score", "embedding")}
        raw = []
        for path in paths:
            with np.load(path) as file:
                for name, values in parts.items():
                    value = file[name]
                    if name == "embedding":
                        value = value.astype(np.float32).reshape(-1, value.shape[-1])
                        if pca is None:
                            raw.append(value[::4])
                        value = value.reshape(len(file["mel"]), -1, value.shape[-1]).astype(np.float16)
                    values.append(value)
        if pca is None:
            chosen = np.random.default_rng(0).permutation(sum(map(len, raw)))[:60_000]
            pca = PCA(N_COMPONENTS, random_state=0).fit(np.concatenate(raw)[chosen])
        self.pca = pca
        spread = np.sqrt(pca.explained_variance_)
        self.embedding = np.concatenate(
            [
                ((value.reshape(-1, 1024) - pca.mean_) @ pca.components_.T / np.sqrt(spread * spread[0]))
                .reshape(*value.shape[:2], -1)
                .astype(np.float16)
                for value in parts["embedding"]
            ]
        )
        self.mel, self.label, self.score = (np.concatenate(parts[name]) for name in ("mel", "label", "score"))

    def __len__(self):
        return len(self.mel)

    def batch(self, rows):
        """Return tensors of scenes: spectrograms, labels, scores and components, the last two for each output."""
        n = self.label.shape[1]
        score, embedding = (np.repeat(one[rows], 2, axis=1)[:, :n] for one in (self.score, self.embedding))
        values = self.mel[rows], self.label[rows], score, embedding
        return [torch.from_numpy(one.astype(np.float32)) for one in values]


def augment(x, generator):
    """Change the gain, filter, pitch and bandwidth of spectrograms (n, n_mels, n_frames) at random."""

    def rand(*shape):
        return torch.rand(*shape, generator=generator)

    n, n_mels, _ = x.shape
    # Pitch: up to two bands up or down.
    place = (torch.arange(n_mels) + 4 * (rand(n, 1) - 0.5) * (rand(n, 1) < 0.5)).clamp(0, n_mels - 1)
    below = place.floor().long().clamp(max=n_mels - 2)
    share = (place - below)[:, :, None]
    index = below[:, :, None].expand_as(x)
    x = x.gather(1, index) * (1 - share) + x.gather(1, index + 1) * share
    knots = 4 * torch.randn(n, 1, 6, generator=generator)
    x = x + F.interpolate(knots, size=n_mels, mode="linear", align_corners=True)[:, 0, :, None]
    x = x - 35 * rand(n, 1, 1)
    band = torch.arange(n_mels)[None]
    above = band >= torch.where(rand(n, 1) < 0.15, 40 + 24 * rand(n, 1), 99.0)
    under = band < torch.where(rand(n, 1) < 0.15, 14 * rand(n, 1), 0.0)
    first = n_mels * rand(n, 1)
    stripe = (band >= first) & (band < first + 8 * rand(n, 1))
    x = torch.where((above | under)[:, :, None], x - 60, x)
    return torch.where(stripe[:, :, None], FLOOR_DB, x)


def losses(outputs, targets, first):
    """Return the losses by name; the middle of a window counts most."""
    label, score, embedding = (one[:, first:].unfold(1, WINDOW, HOP) for one in (targets[0], targets[1], targets[2]))
    weight = torch.full((WINDOW,), 0.4)
    weight[3:8] = 1.0
    known = (label < 2) * weight
    logit = outputs[0][..., 1] - outputs[0][..., 0]
    crying = F.binary_cross_entropy_with_logits(logit, label.clamp(max=1), reduction="none")
    heard = F.binary_cross_entropy_with_logits(outputs[1][..., 0], score.clamp(0, 1), reduction="none")
    distance = (outputs[2] - embedding.transpose(2, 3)).square().mean(dim=-1)
    return {
        "crying": (crying * known).sum() / known.sum(),
        "score": (heard * weight).mean() / weight.mean(),
        "embedding": (distance * weight).mean() / weight.mean(),
    }


def _moving_average(average, current, count):
    """Return an average that follows the network quickly at first."""
    share = min(AVERAGE, (1 + float(count)) / (10 + float(count)))
    return share * average + (1 - share) * current if average.is_floating_point() else current


def train(paths, held, folder, steps, seed, threads):
    """Train for some steps, go on from a saved state if there is one, and return the averaged network."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    mixed = multiplies_bfloat16(torch.device("cpu"))
    scenes = Scenes(paths)
    held = Scenes(held, scenes.pca)
    student = Student().to(memory_format=torch.channels_last)
    average = torch.optim.swa_utils.AveragedModel(student, avg_fn=_moving_average, use_buffers=True)
    optimizer = torch.optim.AdamW(student.parameters(), lr=LR, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LR, total_steps=steps, pct_start=0.1)
    parts = {"student": student, "average": average, "optimizer": optimizer, "schedule": schedule}
    saved, begin, spent = folder / "state.pt", 0, 0.0
    if saved.exists():
        state = torch.load(saved)
        for name, part in (
            ("student", student),
            ("average", average),
            ("optimizer", optimizer),
            ("schedule", schedule),
        ):
            part.load_state_dict(state[name])
        begin, spent = state["step"], state["spent"]
    LOG.info("%s: %d scenes, from step %d, bfloat16: %s", folder.name, len(scenes), begin, mixed)
    started, sums = time.monotonic() - spent, {}
    for step in range(begin, steps):
        # Every step has its own seed, so that a run that goes on is the run that was not interrupted.
        rng = np.random.default_rng([seed, step])
        torch.manual_seed(seed * 1_000_003 + step)
        generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
        x, *targets = scenes.batch(rng.choice(len(scenes), BATCH, replace=False))
        first = int(rng.integers(HOP))
        student.train()
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            outputs = student(augment(x, generator)[:, None].contiguous(memory_format=torch.channels_last), first)
        found = losses(outputs, targets, first)
        loss = sum(WEIGHTS[name] * value for name, value in found.items())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 2.0)
        optimizer.step()
        schedule.step()
        average.update_parameters(student)
        for name, value in found.items():
            sums[name] = sums.get(name, 0.0) + value.item() / REPORT_EVERY
        if (step + 1) % REPORT_EVERY == 0:
            about = ", ".join(f"{name} {value:.3f}" for name, value in sums.items())
            LOG.info("%s step %d, %.0f s: %s", folder.name, step + 1, time.monotonic() - started, about)
            sums = {}
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == steps:
            LOG.info("%s held-out scenes: average precision %.3f", folder.name, judge(average.module, held))
            state = {name: part.state_dict() for name, part in parts.items()}
            torch.save({**state, "step": step + 1, "spent": time.monotonic() - started}, folder / "state.part")
            (folder / "state.part").rename(saved)
            torch.save(average.module.net.state_dict(), folder / "net.pt")
    return average.module.net.eval()


@torch.inference_mode()
def judge(student, scenes, n=120):
    """Return the average precision on the middles of windows of some scenes."""
    student.eval()
    found = []
    for row in range(min(n, len(scenes))):
        x, label, *_ = scenes.batch([row])
        logit = student(x[:, None], 0)[0]
        middle = np.s_[..., 3:7]
        found.append((label.unfold(1, WINDOW, HOP)[middle], (logit[..., 1] - logit[..., 0])[middle]))
    label, logit = (torch.cat([one[part].ravel() for one in found]).numpy() for part in (0, 1))
    return average_precision_score(label[label < 2], logit[label < 2])
