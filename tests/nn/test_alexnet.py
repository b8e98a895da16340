import copy
import io
from collections import OrderedDict

import pytest
import torch

from skcry import AlexNet

# Layer by layer as published (Yao et al., 2022); weights trained with that code load by these names.
PUBLISHED = {
    "conv1.weight": (96, 1, 11, 11),
    "conv2.weight": (256, 96, 5, 5),
    "conv3.weight": (384, 256, 3, 3),
    "conv4.weight": (384, 384, 3, 3),
    "conv5.weight": (256, 384, 3, 3),
    "bn1.weight": (96,),
    "bn2.weight": (256,),
    "bn3.weight": (384,),
    "bn4.weight": (384,),
    "bn5.weight": (256,),
    "fc1.weight": (4096, 256),
    "fc2.weight": (4096, 4096),
    "fc3.weight": (1000, 4096),
    "fc_bn1.weight": (4096,),
    "fc_bn2.weight": (4096,),
    "fc_bn3.weight": (1000,),
    "fc_final.weight": (2, 1000),
}


def test_published_names_and_shapes():
    net = AlexNet()
    shapes = {name: tuple(p.shape) for name, p in net.named_parameters() if name.endswith("weight")}
    assert shapes == PUBLISHED
    assert sum(p.numel() for p in net.parameters()) == 25_678_090
    assert AlexNet(225, 224).fc1.in_features == 256
    AlexNet(225, 224).load_state_dict(net.state_dict())


@pytest.mark.parametrize("size", [(225, 225), (40, 50), (1, 1), (195, 195), (128, 400), (10, 320)])
def test_any_size_goes_in(size):
    net = AlexNet(*size, n_classes=3, width=1 / 32).eval()
    x = torch.randn(2, 1, *size)
    assert net(x).shape == (2, 3)
    assert net.embed(x).shape == (2, net.n_embedding)


def test_embedding_is_what_the_last_layer_sees():
    net = AlexNet(width=1 / 32).eval()
    x = torch.randn(2, 1, 225, 225)
    torch.testing.assert_close(net.fc_final(net.embed(x)), net(x))
    assert (net.embed(x) >= 0).all()


def test_dropout_in_training_only():
    net = AlexNet(40, 40, width=1 / 32).eval()
    x = torch.randn(3, 1, 40, 40)
    assert torch.equal(net(x), net(x))
    net.train()
    assert not torch.equal(net(x), net(x))


def test_folded_batch_norms_change_nothing():
    torch.manual_seed(0)
    net = AlexNet(width=1 / 16)
    for _ in range(3):
        net(5 + 3 * torch.randn(4, 1, 225, 225))
    net.eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    x = 5 + 3 * torch.randn(3, 1, 225, 225)
    folded = net.folded()
    assert not any(name.startswith("bn") for name in folded.state_dict())
    torch.testing.assert_close(folded(x), net(x), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(folded.embed(x), net.embed(x), atol=1e-5, rtol=1e-5)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


@pytest.mark.parametrize("size", [(195, 198), (224, 225), (225, 223), (225, 227)])
def test_weights_for_images_of_another_size_are_refused(size):
    published = AlexNet(width=1 / 32)
    net = AlexNet(*size, width=1 / 32)
    with pytest.raises(ValueError, match=rf"for images of 225 bands and 225 frames, but .* for {size[0]} and"):
        net.load_state_dict(published.state_dict())
    file = io.BytesIO()
    torch.save(published.state_dict(), file)
    file.seek(0)
    with pytest.raises(ValueError, match="for images of 225 bands"):
        copy.deepcopy(net).load_state_dict(torch.load(file, weights_only=True))


def test_weights_that_do_not_tell_their_size_are_the_published_ones():
    weights = AlexNet(width=1 / 32).state_dict()
    published = torch.nn.ModuleDict({name: torch.nn.Module() for name in ["x"]}).state_dict()  # knows its version only
    published.update(weights)
    assert isinstance(published, OrderedDict)
    assert AlexNet(225, 224, width=1 / 32).load_state_dict(published)
    net = AlexNet(195, 198, width=1 / 32)
    with pytest.raises(ValueError, match=r"\(as published, since they do not tell\), .*Build AlexNet\(225, 225\)"):
        net.load_state_dict(published)
    assert net.load_state_dict(dict(published)).missing_keys == []


def test_bands_and_frames_that_no_output_depends_on_are_left_out():
    torch.manual_seed(0)
    net = AlexNet(225, 230, width=1 / 32).eval()
    x = torch.randn(2, 1, 225, 230)
    other = x.clone()
    other[:, :, 195:] = other[..., 227:] = torch.nan
    assert torch.equal(net(other), net(x))
    assert AlexNet(225, 230).fc1.in_features == 256 * 2


@pytest.mark.parametrize("frames", [195, 198, 230])
@pytest.mark.parametrize("step", [1, 4, 6, 8, 20, 25, 32, 40, 64, 120])
def test_windows_of_a_stretch_are_described_as_each_alone(step, frames):
    torch.manual_seed(0)
    net = AlexNet(40, frames, width=1 / 16).eval().double()
    first = step * torch.tensor([0, 1, 2, 4])
    x = torch.randn(1, 1, 40, int(first[-1]) + frames, dtype=torch.float64)
    alone = net.embed(torch.cat([x[..., f : f + frames] for f in first]))
    assert alone.std(dim=0).max() > 1e-6
    for load in (1, step, 60.0):  # the more windows, the more layers they share
        split = net.split(step, load)
        if split is not None:
            columns = first[:, None] // split.stride + torch.as_tensor(split.columns)
            found = split.finish(split.share(x)[0][..., columns].movedim(-2, 0))
            torch.testing.assert_close(found, alone, rtol=1e-12, atol=1e-12)
    assert net.split(step, 1) is not None
    assert net.split(step, frames) is None or step > 4


def test_padded_windows_share_nothing():
    assert AlexNet(225, 194, width=1 / 32).split(40, 40) is None
    assert AlexNet(225, 195, width=1 / 32).split(40, 40) is not None
