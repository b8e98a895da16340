"""What happens to training data alone."""

import torch


class SpectrogramMask:
    """Hide one band of time and one of frequency in each spectrogram (SpecAugment; Park et al., 2019).

    Positions and widths come from torch's random numbers.

    Parameters
    ----------
    time_mask, freq_mask : float
        Widest share of the frames, and of the bands, that is hidden; 0 hides none.

    Examples
    --------
    >>> import torch
    >>> from skcry.nn import SpectrogramMask
    >>> masked = SpectrogramMask(time_mask=0.5, freq_mask=0)(torch.ones(4, 1, 8, 20))
    >>> masked.shape, bool((masked == masked[:, :, :1]).all())
    (torch.Size([4, 1, 8, 20]), True)
    """

    def __init__(self, time_mask, freq_mask):
        self.time_mask = time_mask
        self.freq_mask = freq_mask

    def __call__(self, x):
        """Mask a batch.

        Parameters
        ----------
        x : Tensor of shape (n_windows, 1, n_mels, n_frames)
            Standardised spectrograms, so that zero is the mean.

        Returns
        -------
        Tensor of shape (n_windows, 1, n_mels, n_frames)
        """
        for axis, share in ((-2, self.freq_mask), (-1, self.time_mask)):
            size = x.shape[axis]
            widths = torch.randint(int(share * size) + 1, (len(x), 1))
            first = (torch.rand(len(x), 1) * (size - widths + 1)).long()
            place = torch.arange(size)
            hidden = (place >= first) & (place < first + widths)
            x = x.masked_fill(hidden[:, None, :, None] if axis == -2 else hidden[:, None, None, :], 0.0)
        return x
