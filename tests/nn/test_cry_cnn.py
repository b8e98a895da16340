"""CryCNN and the file of its weights: what an output depends on, gain, any length, damage."""

import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from skcry import MelSpectrogram, pretrained
from skcry.nn import CryCNN
from skcry.nn.cry_cnn import SPECTROGRAM, pretrained_net, stretches


@pytest.fixture
def net():
    torch.manual_seed(0)
    net = CryCNN().train()
    with torch.no_grad():
        for _ in range(3):  # batch norms learn something
            net(10 * torch.randn(8, 1, 64, 158) - 60)
    return net.eval()


def noise(n_frames, n_windows=1):
    return 10 * torch.randn(n_windows, 1, 64, n_frames, generator=torch.Generator().manual_seed(1)) - 60


@torch.inference_mode()
def test_output_depends_on_77_frames_and_nothing_else(net):
    x = noise(400)
    shared = net.share(x)
    assert shared.shape == (1, net.n_shared, 1 + (400 - 77) // 8)
    for number in (0, 7, 40):
        alone = net.share(x[..., 8 * number : 8 * number + 77])
        assert_close(alone[..., 0], shared[..., number], rtol=1e-4, atol=1e-5)
    assert_close(net.share(x[..., 80:238]), shared[..., 10:21], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("n_frames", [1, 76, 77, 84, 85, 158, 400])
def test_stretches_are_the_middles_of_what_outputs_depend_on(net, n_frames):
    x = noise(n_frames).requires_grad_()
    shared = net.share(x)
    centres = stretches(n_frames)
    assert len(centres) == shared.shape[-1]
    if n_frames >= 77:
        shared[..., -1].sum().backward()
        touched = np.flatnonzero(x.grad.abs().sum(dim=(0, 1, 2)))
        assert touched.tolist() == list(range(centres[-1] - 38, centres[-1] + 39))


@torch.inference_mode()
def test_gain_changes_nothing_above_the_floor(net):
    x = noise(158).clamp(min=-90)
    assert_close(net.embed(x + 20), net.embed(x), rtol=1e-3, atol=1e-4)
    silence = net.embed(torch.full((1, 1, 64, 158), -180.0))
    assert silence.isfinite().all()
    assert_close(net.embed(torch.full((1, 1, 64, 158), -120.0)), silence)


@pytest.mark.parametrize(
    ("n_frames", "middle", "count"), [(158, 0.2, 3), (158, 1.0, 11), (158, 0.01, 1), (20, 1.0, 1), (90, 1.0, 2)]
)
@torch.inference_mode()
def test_embedding_is_the_mean_over_the_middle_and_the_maximum(net, n_frames, middle, count):
    net.middle = middle
    x = noise(n_frames, 3)
    outputs = net.head(net.share(x))
    first = (outputs.shape[-1] - count) // 2
    embedding, mean = net.embed(x), outputs[..., first : first + count].mean(dim=-1)
    assert_close(embedding, torch.cat([mean, outputs.amax(dim=-1)], dim=1))
    assert_close(net.classify(embedding), net.decide(mean))  # the maximum is not for the network's own decision
    assert (outputs.shape[-1] - count) % 2 == 0  # as many before it as after


@torch.inference_mode()
def test_folded_network_computes_the_same(net):
    x = noise(158, 4)
    assert_close(net.folded()(x), net(x), rtol=1e-4, atol=1e-4)
    assert not any("running_mean" in name for name in net.folded().state_dict())


def test_weights_are_small_and_their_checksum_is_known():
    path = pretrained.FOLDER / pretrained.WEIGHTS
    assert path.stat().st_size < 2e6
    assert hashlib.sha256(path.read_bytes()).hexdigest() == pretrained.SHA256
    assert sum(value.numel() for value in CryCNN().parameters()) < 1e6


def test_written_weights_are_read_rounded_once(net, tmp_path, monkeypatch):
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path)
    monkeypatch.setattr(pretrained, "SHA256", pretrained.write_weights(net, tmp_path))
    read = pretrained.read_weights.__wrapped__()
    for name, value in net.state_dict().items():
        assert read[name].dtype == value.dtype
        assert_close(read[name], value, rtol=1e-3, atol=1e-5)
    again = CryCNN()
    again.load_state_dict(read)
    assert pretrained.write_weights(again, tmp_path) == pretrained.SHA256


@pytest.mark.parametrize("content", [None, b"other"])
def test_missing_and_damaged_weights_say_what_to_do(tmp_path, monkeypatch, content):
    if content is not None:
        (tmp_path / pretrained.WEIGHTS).write_bytes(content)
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path)
    with pytest.raises(OSError, match="Install skcry again"):
        pretrained.read_weights.__wrapped__()


def test_all_threads_share_one_network_for_prediction():
    pretrained_net.cache_clear()
    with ThreadPoolExecutor(4) as pool:
        nets = list(pool.map(lambda _: pretrained_net(), range(8)))
    assert not any(value.requires_grad for net in nets for value in net.parameters())
    x = noise(158)
    with torch.inference_mode():
        assert all(torch.equal(net(x), nets[0](x)) for net in nets)
    assert pretrained_net() is pretrained_net()


def test_random_numbers_stay():
    pretrained_net.cache_clear()
    before = torch.random.get_rng_state()
    pretrained_net()
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.slow
def test_loading_needs_no_other_package_and_no_connection():
    code = (
        "import socket, sys\n"
        "socket.socket.connect = None\n"
        "from skcry.nn.cry_cnn import pretrained_net\n"
        "pretrained_net()\n"
        "print([name for name in ('librosa', 'transformers') if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_spectrogram_of_five_seconds_has_the_default_size(sr):
    X = MelSpectrogram(**SPECTROGRAM).fit_transform(np.zeros((1, 5 * sr), dtype=np.float32))
    assert X.shape[1:] == CryCNN().image_size
