"""YAMNet as a teacher: one of its scores, such as baby cry, and its embedding, every half second of a sound."""

import numpy as np

WINDOW = 15600  # timepoints at 16 kHz that the model file takes
SPEECH, CRY = 0, 20  # AudioSet's "Speech" and "Baby cry, infant cry" among the 521 scores
EMBEDDING = 112  # number of the tensor that holds the embedding of 1024 values


class Teacher:
    """YAMNet (Google, Apache 2.0) from a file of TensorFlow Lite."""

    def __init__(self, path, n_threads=1, score=CRY):
        from ai_edge_litert.interpreter import Interpreter

        self.model = Interpreter(str(path), num_threads=n_threads, experimental_preserve_all_tensors=True)
        self.model.allocate_tensors()
        self.score = score
        self.place = self.model.get_input_details()[0]["index"]
        self.scores = self.model.get_output_details()[0]["index"]

    def __call__(self, y, hop):
        """Hear a sound (n_timepoints,) at 16 kHz in steps of ``hop`` timepoints.

        Returns the scores (n_steps,) and the embeddings (n_steps, 1024) of windows of 0.975 s, of which the
        first starts at 0. A short sound is padded with zeros.
        """
        y = np.pad(y, (0, max(0, WINDOW - len(y)))).astype(np.float32)
        starts = range(0, len(y) - WINDOW + 1, hop)
        scores, embeddings = np.empty(len(starts), np.float32), np.empty((len(starts), 1024), np.float32)
        for number, start in enumerate(starts):
            self.model.set_tensor(self.place, y[start : start + WINDOW])
            self.model.invoke()
            scores[number] = np.ravel(self.model.get_tensor(self.scores))[self.score]
            embeddings[number] = np.ravel(self.model.get_tensor(EMBEDDING))
        return scores, embeddings
