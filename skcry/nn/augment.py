"""Augmentation of spectrograms in training."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

N_KNOTS = 5  # of a random filter over the bands


class SpectrogramMask:
    """Mask one stretch of frames and one of bands in each spectrogram (SpecAugment; Park et al., 2019).

    Positions and widths are drawn with torch's random numbers.

    Parameters
    ----------
    time_mask, freq_mask : float
        Largest share of the frames, and of the bands, that is masked; 0 masks none.

    See Also
    --------
    SpectrogramMix : Shifts, mixes with background, and filters.

    Examples
    --------
    >>> import torch
    >>> from skcry.nn import SpectrogramMask
    >>> masked = SpectrogramMask(time_mask=0.5, freq_mask=0)(torch.ones(4, 1, 8, 20))
    >>> masked.shape, bool((masked == masked[:, :, :1]).all())
    (torch.Size([4, 1, 8, 20]), True)
    """

    def __init__(self, time_mask: float, freq_mask: float) -> None:
        self.time_mask = time_mask
        self.freq_mask = freq_mask

    def __call__(self, x: Tensor) -> Tensor:
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


class SpectrogramMix:
    """Shift spectrograms in frequency, mix them with background, and filter them.

    Spectrograms in decibels are mixed by adding their powers. Each keeps its maximum, so that a spectrogram relative to
    its loudest frame remains so. Levels, shifts and filters are drawn with torch's random numbers.

    Parameters
    ----------
    share : float
        Share of the spectrograms that are mixed.
    snr_db : tuple of float
        Range of the level above the background, in dB. It is the level of the stretches with another label than
        background, or of the whole spectrogram if there are none.
    frequency_shift : float
        Largest shift, in bands.
    filter_db : float
        Standard deviation of the filter in dB.
    background : int
        Class number of the background.

    See Also
    --------
    SpectrogramMask : Masks stretches of frames and bands.

    Examples
    --------
    >>> import torch
    >>> from skcry.nn.augment import SpectrogramMix
    >>> mix = SpectrogramMix(1.0, (0, 10), frequency_shift=2, filter_db=2, background=0)
    >>> x, y = mix(torch.zeros(4, 1, 8, 20), torch.ones(4, 5, dtype=int), torch.zeros(4, 1, 8, 20))
    >>> x.shape, float(x.max())
    (torch.Size([4, 1, 8, 20]), 0.0)
    """

    def __init__(
        self, share: float, snr_db: tuple[float, float], *, frequency_shift: float, filter_db: float, background: int
    ) -> None:
        self.share = share
        self.snr_db = snr_db
        self.frequency_shift = frequency_shift
        self.filter_db = filter_db
        self.background = background

    def __call__(self, x: Tensor, y: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Augment a batch.

        Parameters
        ----------
        x : Tensor of shape (n_windows, 1, n_mels, n_frames)
            Decibels.
        y : Tensor of int of shape (n_windows, n_stretches)
            Class of each stretch of frames, -1 if unknown.
        noise : Tensor of shape (n_windows, 1, n_mels, n_frames) or None, default=None
            Background in decibels. None mixes nothing.

        Returns
        -------
        x, y : Tensor
            The augmented spectrograms, and ``y`` unchanged; shapes as before.
        """
        highest, lowest = x.amax(dim=(1, 2, 3), keepdim=True), x.amin(dim=(1, 2, 3), keepdim=True)
        mixed = self._shift(x)
        if noise is not None and self.share:
            power, other = (_power(one - highest) for one in (mixed, self._shift(noise)))
            active = F.interpolate(((y != self.background) & (y >= 0)).float()[:, None], size=x.shape[-1])[:, :, None]
            active = torch.where(active.sum(dim=-1, keepdim=True) > 0, active, 1.0)
            level = (power * active).mean(dim=(1, 2, 3)) / active.mean(dim=(1, 2, 3))
            least, most = self.snr_db
            snr = least + (most - least) * torch.rand(len(x))
            gain = level / other.mean(dim=(1, 2, 3)).clamp(min=1e-30) * 10 ** (-snr / 10)
            gain = gain * (torch.rand(len(x)) < self.share)
            mixed = 10 * torch.log10((power + gain[:, None, None, None] * other).clamp(min=1e-30))
        if self.filter_db:
            knots = self.filter_db * torch.randn(len(x), 1, N_KNOTS)
            curve = F.interpolate(knots, size=x.shape[2], mode="linear", align_corners=True)
            mixed = mixed + curve[..., None]
        mixed = mixed - mixed.amax(dim=(1, 2, 3), keepdim=True) + highest
        # Levels clipped by `top_db` remain clipped.
        return torch.maximum(mixed, lowest), y

    def _shift(self, x):
        """Shift each spectrogram by a random number of bands, interpolating linearly and repeating the edge."""
        if not self.frequency_shift:
            return x
        place = torch.arange(x.shape[2]) + self.frequency_shift * (2 * torch.rand(len(x), 1) - 1)
        place = place.clamp(0, x.shape[2] - 1)
        below = place.floor().long().clamp(max=max(0, x.shape[2] - 2))
        above = (below + 1).clamp(max=x.shape[2] - 1)
        share = (place - below)[:, None, :, None]
        index = [one[:, None, :, None].expand(-1, 1, -1, x.shape[3]) for one in (below, above)]
        return x.gather(2, index[0]) * (1 - share) + x.gather(2, index[1]) * share


def _power(decibels):
    """Return the power of a level in decibels."""
    return 10 ** (decibels.clamp(-300, 300) / 10)
