import torch

from skcry.nn import SpectrogramMask


def test_masks_lie_along_one_axis_and_are_not_wider_than_the_limit():
    torch.manual_seed(0)
    x = torch.ones(200, 1, 20, 50)
    time = SpectrogramMask(0.2, 0)(x) == 0
    assert (time == time[:, :, :1]).all()
    widths = time[:, 0, 0].sum(dim=1)
    assert widths.max() == 10
    assert widths.min() == 0
    steps = time[:, 0, 0].int().diff(dim=1).abs().sum(dim=1)
    assert steps.max() <= 2  # one stretch each
    frequency = SpectrogramMask(0, 0.5)(x) == 0
    assert (frequency == frequency[..., :1]).all()
    assert frequency[:, 0, :, 0].sum(dim=1).max() == 10


def test_zero_masks_nothing():
    x = torch.randn(4, 1, 20, 50)
    assert torch.equal(SpectrogramMask(0, 0)(x), x)
    assert torch.equal(SpectrogramMask(0.5, 0.5)(x[:, :, :1, :1]), x[:, :, :1, :1])
