"""Synthetic: schematic faces drawn from action units, with exact truth; what the package runs on out of the box.

Paper: none. Licence: CC0, drawn by `facevlm.tiny.faces`. Get it: nothing to get, the pictures are drawn while reading.
Tree: <root>/images/<subject>/<number>.jpg. Labels: 18 AUs 0-5 (synthetic-18, present from 2), 8 emotions, valence and
arousal, 68 landmarks, skin tone, age group, glasses, occluder. Known faults: emotions follow the codebooks, so a score
here says nothing about people.

One face: subject 17 shows disgust, drawn AU9 = 4, AU10 = 3, AU17 = 1, wearing sunglasses (eyes hidden)
    -> FaceRecord(id="s000017-003", emotion="disgust", aus={1: 0, …, 9: 4, 10: 3, 17: 1}); AU5, AU7 and AU43 are not in
       `aus`: under the glasses they cannot be coded; AU17 is labelled, and below the threshold.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from data_builders.source import Source
from facevlm.record import FaceRecord
from facevlm.tiny.faces import look
from facevlm.tiny.population import EMOTIONS, SOURCE_SUBJECTS, THRESHOLD, VALENCE_AROUSAL, Sample, draw, emotional_aus


def read(root: Path, *, subjects: int = 200, per_subject: int = 10, first_subject: int = 0, seed: int = 0,
         size: int = 112, occluded: float = 0.1, quality: int = 92) -> Iterator[FaceRecord]:  # fmt: skip
    """Draw `subjects` x `per_subject` faces into `root` and yield their records; a seed gives the same bytes anywhere.

    Args:
        first_subject: number of the first subject; other numbers are other people.
        size: side of the pictures in pixels.
        occluded: share (0-1) of faces with something in front of them.
        quality: of the JPEG files, 1-95.

    Raises:
        ValueError: subjects outside the source's own range, which would meet those the embedded model was trained on.
    """
    chosen = range(first_subject, first_subject + subjects)
    if not chosen or chosen[0] not in SOURCE_SUBJECTS or chosen[-1] not in SOURCE_SUBJECTS:
        raise ValueError(f"subjects {chosen} are not within {SOURCE_SUBJECTS}")
    for subject in chosen:
        folder = root / "images" / f"{subject:06d}"
        folder.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng((seed, subject))
        for number in range(per_subject):
            emotion = EMOTIONS[int(rng.integers(len(EMOTIONS)))]
            sample = draw(subject, emotional_aus(emotion, rng), rng, size, occluded, emotion)
            path = folder / f"{number:03d}.jpg"
            sample.face.image.save(path, quality=quality, subsampling=0)
            yield _record(sample, emotion, f"s{subject:06d}-{number:03d}", path.relative_to(root).as_posix())


def _record(sample: Sample, emotion: str, name: str, media: str) -> FaceRecord:
    who = look(sample.subject)
    strength = max(sample.aus.values(), default=0) / 5
    valence, arousal = (round(v * strength, 3) for v in VALENCE_AROUSAL[emotion])
    return FaceRecord(
        id=name, source="synthetic", media=media, subject=f"s{sample.subject:06d}", emotion=emotion,
        label_set="basic8", landmarks=tuple((round(x, 1), round(y, 1)) for x, y in sample.face.landmarks.tolist()),
        valence=valence, arousal=arousal, aus=sample.aus, au_threshold=THRESHOLD,
        attributes={"skin_tone": str(who.skin), "age_group": who.age, "glasses": "yes" if who.glasses else "no",
                    "facial_hair": "yes" if who.beard else "no", "occluder": sample.view.occluder},
        licence="CC0-1.0",
    )  # fmt: skip


SOURCE = Source(
    name="synthetic",
    title="Drawn faces",
    read=read,
    tasks=("emotion", "va", "au", "au intensity"),
    licence="CC0-1.0",
    needs="nothing: root is null, the pictures are drawn into the set's own folder",
    share=True,
    layout="real",
)
