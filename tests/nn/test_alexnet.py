import pytest
import torch

from skcry.nn import AlexNet, FrameCNN

# Layer by layer as published (Yao et al., 2022); weights trained with that code load by these names.
CONV = [(96, 1, 11, 11), (256, 96, 5, 5), (384, 256, 3, 3), (384, 384, 3, 3), (256, 384, 3, 3)]
FC = [(4096, 256), (4096, 4096), (1000, 4096)]
PUBLISHED = {"fc_final.weight": (2, 1000)}
for kind, norm, kernels in (("conv", "bn", CONV), ("fc", "fc_bn", FC)):
    for number, kernel in enumerate(kernels, 1):
        PUBLISHED |= {f"{kind}{number}.weight": kernel, f"{norm}{number}.weight": kernel[:1]}


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
    x = torch.randn(3, 1, 225, 225)
    torch.testing.assert_close(net.fc_final(net.embed(x)), net(x))
    assert (net.embed(x) >= 0).all()
    assert torch.equal(net(x), net(x))  # without dropout
    net.train()
    assert not torch.equal(net(x), net(x))


@pytest.mark.parametrize(
    ("net", "shape"), [(AlexNet(width=1 / 16), (225, 225)), (FrameCNN(width=0.5), (64, 198))], ids=["alexnet", "frames"]
)
def test_folded_batch_norms_change_nothing(net, shape):
    torch.manual_seed(0)
    net.train()
    for _ in range(3):
        net(5 + 3 * torch.randn(8, 1, *shape))  # batch norm learns
    net.eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    x = 5 + 3 * torch.randn(3, 1, *shape)
    folded = net.folded()
    assert not any("bn" in name or "running_mean" in name for name in folded.state_dict())
    torch.testing.assert_close(folded(x), net(x), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(folded.embed(x), net.embed(x), atol=1e-5, rtol=1e-4)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
