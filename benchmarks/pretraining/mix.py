"""Make scenes in advance, with the judgement of the teacher on each, in files of ten minutes."""

from pathlib import Path

import numpy as np
from joblib import Parallel, delayed

from .scenes import N_OUTPUTS, TEACHER_HOP, TEACHER_START, labels_of, make_scene, spectrogram
from .teacher import Teacher

SCENES_PER_FILE = 20


def write_scenes(cast, teacher, folder, hours, seed, n_jobs):
    """Write ``hours`` of scenes to files in a folder; files that are there are kept. Return their paths, in order."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:04d}.npz" for number in range(round(hours * 3600 / 30 / SCENES_PER_FILE))]
    missing = [number for number, path in enumerate(paths) if not path.exists()]
    Parallel(n_jobs)(
        delayed(_write)(cast, teacher, paths[number], np.random.default_rng([seed, number])) for number in missing
    )
    return paths


def _write(cast, teacher, path, rng):
    teacher, mel = Teacher(teacher), spectrogram()
    found: dict = {name: [] for name in ("mel", "label", "score", "embedding")}
    for _ in range(SCENES_PER_FILE):
        y, crying, _ = make_scene(cast, rng)
        scores, embeddings = teacher(y[TEACHER_START:], TEACHER_HOP)
        n = -(-N_OUTPUTS // 2)
        found["mel"].append(mel.fit_transform(y[None])[0].astype(np.float16))
        found["label"].append(labels_of(crying))
        found["score"].append(scores[:n])
        found["embedding"].append(embeddings[:n].astype(np.float16))
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez(file, **{name: np.stack(values) for name, values in found.items()})
    part.rename(path)
