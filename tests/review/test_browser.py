"""The review page in a real browser: Debian's Chromium without a window, driven by Selenium."""

import os
import shutil
import time

import numpy as np
import pandas as pd
import pytest

from skcry.review import read_review, write_review

pytestmark = pytest.mark.slow
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
HOSTILE = "</script><img src=x onerror=\"document.title='taken'\">'&amp;.wav"
COLUMNS = ["recording", "onset", "offset"]
WAIT = 60  # seconds; a machine may have much else to do
# Luminances by WCAG 2.2, and the lowest contrast of texts to what is behind them.
CONTRAST = """
const channel = (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
const luminance = (colour) => {
  const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map(channel);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (node) => {
  for (; node; node = node.parentElement) {
    const colour = getComputedStyle(node).backgroundColor;
    if (!/, 0\\)$/.test(colour)) return colour;
  }
};
return [...document.querySelectorAll("body *")]
  .filter((node) => node.checkVisibility() && !node.closest(":disabled"))
  .filter((node) => [...node.childNodes].some((one) => one.nodeType === 3 && one.data.trim()))
  .map((node) => {
    const pair = [luminance(getComputedStyle(node).color), luminance(behind(node))].sort((a, b) => a - b);
    return [(pair[1] + 0.05) / (pair[0] + 0.05), node.textContent.trim().slice(0, 40)];
  });
"""


@pytest.fixture
def browse(tmp_path):
    """Function that opens a browser, whose profile is kept if it is opened again, and closes the one before."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs pip install 'skcry[test]'")
    if not CHROMIUM or not DRIVER:
        pytest.skip("needs Chromium and its driver: apt-get install chromium chromium-driver")
    opened: list = []

    def browse(page, width=1280, height=900, dark=False, script=None):
        close()
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        options.add_argument("--headless=new")
        options.add_argument("--disable-dev-shm-usage")
        options.add_argument(f"--user-data-dir={tmp_path / 'profile'}")
        if os.name == "posix" and os.getuid() == 0:
            options.add_argument("--no-sandbox")  # root has none
        options.add_experimental_option("prefs", {"download.default_directory": str(tmp_path / "saved")})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
        opened.append(driver)
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [theme]})
        if script:
            driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
        driver.get(page.as_uri())
        return Browser(driver, tmp_path / "saved")

    def close():
        while opened:
            opened.pop().quit()

    yield browse
    close()


class Browser:
    """What a person does, and sees."""

    def __init__(self, driver, saved):
        self.driver, self.saved = driver, saved

    def press(self, *keys):
        from selenium.webdriver.common.action_chains import ActionChains

        for key in keys:
            ActionChains(self.driver).send_keys(key).perform()

    def enter(self, name):
        from selenium.webdriver.common.keys import Keys

        self.driver.find_element("id", "name").send_keys(name, Keys.ENTER)

    def text(self, name):
        return self.driver.find_element("id", name).text

    def run(self, script):
        return self.driver.execute_script(script)

    def wait(self, condition):
        end = time.monotonic() + WAIT
        while not (found := condition()):
            assert time.monotonic() < end
            time.sleep(0.05)
        return found

    def read_saved(self, name):
        return self.wait(lambda: (path := self.saved / name).exists() and path)

    def messages(self):
        return [one["message"] for one in self.driver.get_log("browser")]


@pytest.fixture
def clips():
    rows = [(HOSTILE, 0, 5), *(("a.wav", onset, onset + 5) for onset in range(0, 55, 5))]
    clips = pd.DataFrame(rows, columns=COLUMNS)
    return clips.assign(
        score=np.linspace(0.01, 0.99, 12).round(6),
        stratum=np.repeat([0, 1], 6),
        probability=[1 / 3] * 6 + [0.02] * 6,
        stratum_size=np.repeat([18, 300], 6),
        stratum_drawn=6,
    )


@pytest.fixture
def page(clips, tmp_path, rng, sr):
    recordings = {name: 0.1 * rng.normal(size=60 * sr) for name in clips["recording"].unique()}
    return write_review(clips, tmp_path / "my review.html", recordings=recordings)


def test_ten_clips_are_judged_by_keys(browse, page, clips):
    browser = browse(page)
    browser.press("c")  # nothing yet
    browser.enter("  ")
    assert "Enter a name" in browser.text("fault")
    browser.enter("Zoë, B.")
    assert browser.text("place") == "Clip 1 of 12"
    assert "score" not in browser.text("where")
    browser.press(*"cnuccnnucC")
    assert browser.text("place") == "Clip 11 of 12"
    assert browser.text("count") == "10 of 12 judged, by Zoë, B."
    assert "Clip 10: cry, score 0." in browser.text("told")
    browser.press("r", " ")
    first = browser.run("return document.getElementById('progress').value")
    assert first == 10

    browser.driver.refresh()
    assert browser.text("place") == "Clip 11 of 12"
    browser.press("z", "z")  # also what was judged before the page was loaded
    assert browser.text("place") == "Clip 9 of 12"
    assert "clip 9 is not judged again" in browser.text("told")
    browser.press("n")
    browser.press("\ue012", "\ue012", "c")  # two to the left
    assert browser.text("place") == "Clip 10 of 12"
    assert browser.text("unsaved") == "14 not saved to a file yet"
    browser.press("s")
    path = browser.read_saved("my review-Zoë_B_.csv")
    with pytest.warns(UserWarning, match="3 of 12 clips are not judged"):
        review = read_review(path)
    order = browser.run("return JSON.parse(document.getElementById('about').textContent).clips.map((one) => one.onset)")
    recordings = browser.run(
        "return JSON.parse(document.getElementById('about').textContent).clips.map((one) => one.recording)"
    )
    wanted = dict(
        zip(zip(recordings, order, strict=True), ["cry", "not", "unsure", "cry", "cry", "not", "not"], strict=False)
    )
    wanted |= {(recordings[7], order[7]): "cry", (recordings[8], order[8]): "not"}
    found = dict(zip(zip(review["recording"], review["onset"], strict=True), review["judgement"], strict=True))
    assert found == wanted
    assert set(review["reviewer"]) == {"Zoë, B."}
    assert (review["at"] > pd.Timestamp("2024-01-01", tz="UTC")).all()
    same = review.merge(clips, on=COLUMNS, suffixes=("", "_drawn_before"))
    assert len(same) == 9
    for name in ("score", "probability", "stratum", "stratum_size"):
        np.testing.assert_allclose(same[name], same[f"{name}_drawn_before"], rtol=1e-6)
    assert browser.text("unsaved") == ""
    assert browser.messages() == []

    # Kept when the browser was closed as well.
    browser = browse(page)
    assert browser.text("count") == "9 of 12 judged, by Zoë, B."
    browser.press("u", "c", "n")
    assert "All 12 clips are judged. Save" in browser.text("told")


def test_clips_with_speech_are_saved_as_unsure(browse, clips, tmp_path, rng, sr, monkeypatch):
    monkeypatch.setattr("skcry.review.page.speech_score", lambda y: float(np.abs(y).max() > 0.9))
    y = 0.1 * rng.normal(size=60 * sr)
    y[28 * sr :] *= 9
    recordings = {"a.wav": y, HOSTILE: y[: 20 * sr]}
    with pytest.warns(UserWarning, match="6 of 12 clips score above"):
        page = write_review(clips, tmp_path / "review.html", recordings=recordings, max_speech=0.5)
    browser = browse(page)
    browser.enter("Zoë")
    assert browser.text("place") == "Clip 1 of 6"
    left_out = browser.run("return JSON.parse(document.getElementById('about').textContent).leftOut")
    browser.press("c", "n", "s")
    among = [clip["onset"] for clip in left_out if clip["after"] < 2]  # of those that came so far
    with pytest.warns(UserWarning, match=f"{10 - len(among)} of 12 clips are not judged"):
        review = read_review(browser.read_saved("review-Zoë.csv"))
    found = review.set_index("onset")["judgement"]
    assert 0 < len(among) < 6
    assert sorted(found.index[found == "unsure"]) == sorted(among)
    assert len(found) == 2 + len(among)
    browser.press("c", "c", "c", "c", "s")
    review = read_review(browser.read_saved("review-Zoë (1).csv"))
    assert review["judgement"].value_counts().to_dict() == {"unsure": 6, "cry": 5, "not": 1}
    assert sorted(review["onset"]) == sorted(clips["onset"])
    assert set(review["reviewer"]) == {"Zoë"}
    assert browser.messages() == []


def test_a_second_listener_begins_anew(browse, page):
    browser = browse(page)
    browser.enter("__proto__")
    browser.press("c", "c")
    browser.run("document.querySelector('details').open = true; document.getElementById('leave').click()")
    assert not browser.driver.find_element("id", "review").is_displayed()
    browser.enter("constructor")
    assert browser.text("count") == "0 of 12 judged, by constructor"
    browser.press("n", "s")
    browser.read_saved("my review-constructor.csv")
    browser.driver.refresh()
    assert browser.text("count") == "1 of 12 judged, by constructor"
    browser.run("document.querySelector('details').open = true; document.getElementById('leave').click()")
    browser.enter("__proto__")
    assert browser.text("count") == "2 of 12 judged, by __proto__"
    browser.press("s")
    paths = [browser.read_saved(f"my review-{name}.csv") for name in ("__proto__", "constructor")]
    with pytest.warns(UserWarning, match="21 of 24"):
        review = read_review(paths)
    assert review.groupby("reviewer")["judgement"].agg(list).to_dict() == {
        "__proto__": ["cry", "cry"],
        "constructor": ["not"],
    }


def test_names_do_nothing_but_show(browse, page, clips):
    browser = browse(page)
    browser.enter(HOSTILE)
    for _ in clips.index:
        browser.press("\ue014")  # to the right
        if HOSTILE in browser.text("where"):
            break
    else:
        while HOSTILE not in browser.text("where"):
            browser.press("\ue012")
    assert browser.driver.title == "Review of 12 clips"
    assert browser.run("return document.images.length") == 0
    assert HOSTILE in browser.text("count")
    # Even a script that got in could send nothing.
    browser.run("window.sent = null; fetch('https://example.org').catch((error) => { window.sent = String(error); })")
    assert "Failed to fetch" in browser.wait(lambda: browser.run("return window.sent"))
    assert any("Content Security Policy" in message for message in browser.messages())


def test_the_sound_is_decoded_in_time(browse, tmp_path, sr):
    y = np.zeros(20 * sr)
    y[7 * sr : 7 * sr + 160] = 0.5
    clips = pd.DataFrame([(0, 5, 10)], columns=COLUMNS).assign(score=0.25)
    browser = browse(write_review(clips, tmp_path / "review.html", recordings=[y], show_score=True))
    browser.enter("A")
    assert "score 0.25" in browser.text("where")
    browser.wait(
        lambda: browser.run("return document.getElementById('head').style.visibility") == "visible"
    )  # it plays
    browser.run("""
        const bytes = Uint8Array.from(atob(document.getElementById("sound-0").textContent), (one) => one.charCodeAt(0));
        new OfflineAudioContext(1, 1, 16000).decodeAudioData(bytes.buffer).then((buffer) => {
          const sound = buffer.getChannelData(0);
          window.found = [sound.findIndex((value) => Math.abs(value) > 0.2) / 16000, buffer.duration];
        });
    """)
    place, duration = browser.wait(lambda: browser.run("return window.found"))
    assert place == pytest.approx(4, abs=0.01)  # 7 s, of a sound from 3 s on
    assert duration == pytest.approx(9, abs=0.08)
    # And drawn there: the darkest column between the lines around the clip.
    column, width = browser.run("""
        const canvas = document.getElementById("picture");
        const { data, width } = canvas.getContext("2d").getImageData(0, 60, canvas.width, 1);
        const light = Array.from({ length: width }, (_, i) => data[4 * i] + data[4 * i + 1] + data[4 * i + 2]);
        const [first, last] = [2.2, 6.8].map((second) => Math.round(44 + (second / 9) * (width - 52)));
        return [light.indexOf(Math.min(...light.slice(first, last)), first), width];
    """)
    assert (column - 44) / (width - 52) * duration == pytest.approx(4, abs=0.1)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 390])
def test_everything_can_be_seen_and_reached_by_keyboard(browse, page, width, dark):
    browser = browse(page, width, 844, dark)
    contrasts = browser.run(CONTRAST)
    browser.enter("A")
    browser.press("c", "\ue012")
    browser.run("document.querySelector('details').open = true")
    contrasts += browser.run(CONTRAST)
    assert len(contrasts) > 20
    assert [one for one in contrasts if one[0] < 4.5] == []
    assert browser.run("return document.documentElement.scrollWidth") <= width
    ground = browser.run("return getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, ground[4:-1].split(","))) < 200) == dark
    reached = []
    for _ in range(20):
        browser.press("\ue004")  # Tab
        name, outline = browser.run(
            "const { tagName, id, dataset } = document.activeElement;"
            "return [dataset.judgement || id || tagName, getComputedStyle(document.activeElement).outlineStyle]"
        )
        assert outline == "solid" or name == "BODY"
        reached.append(name)
    wanted = [
        "cry",
        "not",
        "unsure",
        "replay",
        "forward",
        "undo",
        "save",
        "SUMMARY",
        "autoplay",
        "keys",
        "gain",
        "leave",
    ]
    assert [name for name in reached if name in wanted][: len(wanted)] == wanted
    names = browser.run("""
        return [...document.querySelectorAll("button, input, canvas, progress")]
          .filter((one) => one.checkVisibility())
          .map((one) => one.textContent || one.ariaLabel || one.getAttribute("aria-labelledby") || one.labels?.length);
    """)
    assert all(names)


def test_space_presses_what_has_the_focus(browse, page):
    browser = browse(page)
    browser.enter("A")
    button = browser.driver.find_element("css selector", "[data-judgement=cry]")
    button.click()
    browser.press(" ")  # replays, since a click of the mouse leaves no focus
    assert browser.text("count").startswith("1 of 12")
    browser.run("document.querySelector('[data-judgement=not]').focus()")
    browser.press(" ")
    assert browser.text("count").startswith("2 of 12")
    assert "not crying" in browser.text("told")
    browser.run("document.getElementById('keys').click(); document.activeElement.blur()")
    browser.press("c", "z")
    assert browser.text("count").startswith("2 of 12")


def test_a_browser_that_keeps_nothing_is_told(browse, page):
    script = "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no'); } });"
    browser = browse(page, script=script)
    browser.enter("A")
    browser.press("c", "s")
    assert "Save them before you close" in browser.text("trouble")
    with pytest.warns(UserWarning, match="11 of 12"):
        assert len(read_review(browser.read_saved("my review-A.csv"))) == 1


def test_of_many_clips_only_those_that_are_opened_are_decoded(browse, tmp_path, rng, sr):
    y = 0.1 * rng.normal(size=60 * sr)
    clips = pd.DataFrame([(0, place / 10, place / 10 + 5) for place in range(200)], columns=COLUMNS)
    script = """
        window.decoded = 0;
        const decode = OfflineAudioContext.prototype.decodeAudioData;
        OfflineAudioContext.prototype.decodeAudioData = function (...given) {
          window.decoded += 1;
          return decode.apply(this, given);
        };
    """
    browser = browse(write_review(clips, tmp_path / "review.html", recordings=[y]), script=script)
    assert browser.run("return window.decoded") == 0
    browser.enter("A")
    browser.press(*"cnu" * 10)
    assert browser.text("count").startswith("30 of 200")
    assert 0 < browser.run("return window.decoded") <= 32  # and the next one
