"""Settings so small that a run takes about a second."""

from claver.studies.study import Settings

SMALL: Settings = {
    "stills.steps": 2,
    "stills.warmup": 1,
    "stills.data.train": 64,
    "stills.data.test": 24,
    "stills.batch_size": 16,
    "stills.model.width": 64,
    "stills.model.text_width": 64,
    "stills.model.layers": 1,
    "stills.model.text_layers": 1,
    "stills.model.embedding": 32,
    "motion.steps": 2,
    "motion.warmup": 1,
    "motion.data.train": 48,
    "motion.data.test": 24,
    "motion.batch_size": 8,
    "motion.temporal.kind": "kmct",
    "motion.temporal.init": "random",
    "motion.temporal.layers": 1,
    "motion.temporal.frames": 4,
    "seed": 5,
}
