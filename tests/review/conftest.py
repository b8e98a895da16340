"""What tests of review pages share."""

import base64
import io
import json
import re

import numpy as np
import pytest
import soundfile
from judged import judge, make_seconds

from skcry.review import select_clips


@pytest.fixture
def parts_of():
    """Function that returns what a page says of the clips, and the sound of each, in the order of the page."""

    def parts_of(page):
        text = page.read_text(encoding="utf-8")
        about = json.loads(re.search(r'<script type="application/json" id="about">(.*?)</script>', text, re.S)[1])
        sounds = re.findall(r'<script type="text/plain" id="sound-\d+">(.*?)</script>', text, re.S)
        return about, [soundfile.read(io.BytesIO(base64.b64decode(sound)), dtype="float32")[0] for sound in sounds]

    return parts_of


@pytest.fixture
def seconds():
    return make_seconds(np.random.default_rng(0))


@pytest.fixture
def review(seconds):
    return judge(select_clips(seconds, 60, "stratified", random_state=0), seconds)
