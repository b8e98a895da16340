import numpy as np
import pandas as pd
import pytest
from helpers import make_timeline

from skcry.events import find_events
from skcry.io import read_its_clock
from skcry.summary import summarize

COLUMNS = [
    "hours",
    "usable_share",
    "cry_minutes",
    "cry_minutes_per_hour",
    "n_bouts",
    "mean_bout",
    "median_bout",
    "longest_bout",
    "n_gaps",
    "mean_gap",
    "longest_gap",
]


def crying(n_seconds, *stretches):
    cry = np.zeros(n_seconds, dtype=bool)
    for onset, offset in stretches:
        cry[onset:offset] = True
    return cry


def test_a_recording_counted_by_hand():
    # 10-20 and 24-40 merge over 4 s; 100-103 is too short; 7200 s in all, the last 1800 s of them silence.
    cry = crying(7200, (10, 20), (24, 40), (100, 103), (140, 150), (3590, 3640))
    usable = np.arange(7200) < 5400
    table = summarize(make_timeline({"a.wav": cry}, {"a.wav": usable}))
    assert list(table.columns) == COLUMNS
    assert table.index.name == "recording"
    # Bouts of 30, 10 and 50 s; gaps from 40 to 140 and from 150 to 3590.
    expected = [2, 0.75, 1.5, 1.0, 3, 30, 30, 50, 2, 1770, 3440]
    np.testing.assert_allclose(table.loc["a.wav"], expected)


def test_hours_of_the_recording_counted_by_hand():
    cry = crying(7300, (10, 40), (140, 150), (3590, 3640))
    table = summarize(make_timeline({7: cry}), by="hour")
    assert list(table.index) == [(7, 0), (7, 1), (7, 2)]
    assert list(table.index.names) == ["recording", "hour"]
    np.testing.assert_allclose(table.loc[(7, 0)], [1, 1, 50 / 60, 50 / 60, 3, 30, 30, 50, 2, 1770, 3440])
    # 40 s of the bout that began in the hour before; what is undefined is missing, not zero.
    none = np.nan
    np.testing.assert_allclose(table.loc[(7, 1)], [1, 1, 40 / 60, 40 / 60, 0, none, none, none, 0, none, none])
    # The last hour is there for 100 s only.
    np.testing.assert_allclose(table.loc[(7, 2)], [100 / 3600, 1, 0, 0, 0, none, none, none, 0, none, none])


def test_clock_hours_across_midnight():
    cry = crying(3600, (1190, 1210), (3595, 3600))
    table = summarize(make_timeline({"a": cry}), by="hour", start="2024-02-28 23:40")
    assert list(table.loc["a"].index) == [pd.Timestamp("2024-02-28 23:00"), pd.Timestamp("2024-02-29 00:00")]
    np.testing.assert_allclose(table["hours"], [1 / 3, 2 / 3])
    np.testing.assert_allclose(table["cry_minutes"], [10 / 60, 15 / 60])
    np.testing.assert_allclose(table["cry_minutes_per_hour"], [0.5, 0.375])
    assert table["n_bouts"].tolist() == [1, 1]
    assert table["mean_bout"].tolist() == [20, 5]


def test_a_gap_belongs_to_the_hour_in_which_it_begins():
    cry = crying(7200, (3000, 3590), (3610, 3620), (3700, 3710))
    table = summarize(make_timeline({0: cry}), by="hour")
    assert table["n_gaps"].tolist() == [1, 1]
    assert table["longest_gap"].tolist() == [20, 80]
    cry = crying(7200, (3000, 3600), (3620, 3640))  # a gap that begins with the hour
    assert summarize(make_timeline({0: cry}), by="hour")["n_gaps"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("start", "clocks"),
    [
        # At night the clocks of Vienna go from 3 to 2 in October, and from 2 to 3 in March.
        ("2024-10-27 01:30+02:00", ["01:00+0200", "02:00+0200", "02:00+0100", "03:00+0100"]),
        ("2024-03-31 01:30+01:00", ["01:00+0100", "03:00+0200", "04:00+0200", "05:00+0200"]),
    ],
)
def test_summer_time(start, clocks):
    start = pd.Timestamp(start).tz_convert("Europe/Vienna")
    table = summarize(make_timeline({"a": crying(3 * 3600, (1795, 1805))}), by="hour", start=[start])
    hours = table.loc["a"].index
    assert [hour.strftime("%H:%M%z") for hour in hours] == clocks
    assert str(hours.tz) == "Europe/Vienna"
    np.testing.assert_allclose(table["hours"], [0.5, 1, 1, 0.5])
    np.testing.assert_allclose(table["cry_minutes"], [5 / 60, 5 / 60, 0, 0])


@pytest.mark.parametrize("zone", ["Australia/Lord_Howe", "Asia/Kolkata"])
@pytest.mark.parametrize("day", ["2024-04-06", "2024-10-05"])
def test_zones_off_by_half_an_hour(zone, day):
    table = summarize(
        make_timeline({"a": np.ones(86400)}), by="hour", start=pd.Timestamp(day, tz=zone) + pd.Timedelta("9h")
    )
    assert table.index.is_unique
    assert table["hours"].sum() == pytest.approx(24)
    assert table["hours"].max() <= 1
    assert set(table.loc["a"].index.minute) <= {0, 30}


def test_fractions_of_a_second_and_a_slice():
    # The second that begins at 7:59:59.5 lies in the hour before.
    table = summarize(make_timeline({0: np.ones(20)}), by="hour", start=["2024-05-01 07:59:50.500"])
    np.testing.assert_allclose(table["cry_minutes"], [10 / 60, 10 / 60])
    # Part of a timeline keeps its seconds, and so its hours.
    part = make_timeline({0: crying(100, (0, 10))}, first=3550)
    assert list(summarize(part, by="hour").index) == [(0, 0), (0, 1)]
    table = summarize(part, by="hour", start={0: "2024-05-01 07:00"})
    assert [hour.hour for _, hour in table.index] == [7, 8]
    assert table["n_bouts"].tolist() == [1, 0]


@pytest.mark.parametrize(
    "start",
    [
        ["2024-05-01 07:30", "2024-05-02 08:00"],
        {"b": "2024-05-01 07:30", "a": pd.Timestamp("2024-05-02 08:00"), "c": None},
        pd.Series({"a": pd.Timestamp("2024-05-02 08:00"), "b": pd.Timestamp("2024-05-01 07:30")}),
        pd.to_datetime(["2024-05-01 07:30", "2024-05-02 08:00"]),
        np.array(["2024-05-01T07:30", "2024-05-02T08:00"], dtype="datetime64[s]"),
    ],
)
def test_start_in_all_its_forms(start):
    table = summarize(make_timeline({"b": np.zeros(60), "a": np.zeros(60)}), by="hour", start=start)
    hours = [("b", pd.Timestamp("2024-05-01 07:00")), ("a", pd.Timestamp("2024-05-02 08:00"))]
    assert list(table.index) == hours


@pytest.mark.parametrize("start", [None, pd.Timestamp("2024-10-27 00:12:34", tz="Europe/Vienna")])
def test_hours_sum_to_the_recording(rng, start):
    cries, usable = {}, {}
    for name in range(5):
        n_seconds = int(rng.integers(1, 30000))
        cries[name] = np.repeat(rng.random(n_seconds // 7 + 1) < 0.3, 7)[:n_seconds]
        usable[name] = np.repeat(rng.random(n_seconds // 999 + 1) < 0.8, 999)[:n_seconds]
    timeline = make_timeline(cries, usable)
    whole = summarize(timeline)
    times = None if start is None else [start + pd.Timedelta(hours=7 * i) for i in range(5)]
    parts = summarize(timeline, by="hour", start=times)
    summed = parts.assign(usable=parts["usable_share"] * parts["hours"]).groupby(level="recording").sum()
    for column in ("hours", "cry_minutes", "n_bouts", "n_gaps"):
        np.testing.assert_allclose(summed[column], whole[column])
    np.testing.assert_allclose(summed["usable"], whole["usable_share"] * whole["hours"])
    longest = parts.groupby(level="recording").max()
    np.testing.assert_array_equal(longest[["longest_bout", "longest_gap"]], whole[["longest_bout", "longest_gap"]])
    for name, cry in cries.items():
        events = find_events(cry)
        assert whole["n_bouts"][name] == len(events)
        assert whole["cry_minutes"][name] == pytest.approx(np.diff(events).sum() / 60)
        assert whole["n_gaps"][name] == max(len(events) - 1, 0)


def test_neighbouring_recordings_do_not_touch():
    timeline = make_timeline({0: crying(60, (50, 60)), 1: crying(60, (0, 10)), 2: np.zeros(60)})
    table = summarize(timeline)
    assert table["n_bouts"].tolist() == [1, 1, 0]
    assert table["n_gaps"].tolist() == [0, 0, 0]
    np.testing.assert_allclose(table["cry_minutes"], [10 / 60, 10 / 60, 0])
    assert table["mean_bout"].isna().tolist() == [False, False, True]


def test_merging_and_dropping_are_the_detectors():
    timeline = make_timeline({0: crying(60, (0, 2), (8, 10))})
    assert summarize(timeline)["n_bouts"][0] == 0
    assert summarize(timeline, merge_gap=0, min_duration=0)["n_bouts"][0] == 2
    assert summarize(timeline, merge_gap=6)["longest_bout"][0] == 10


def test_nothing_usable():
    cries = {0: np.ones(60), 1: np.ones(60)}
    timeline = make_timeline(cries, {0: np.zeros(60), 1: np.arange(60) < 30})
    table = summarize(timeline)
    assert np.isnan(table["cry_minutes_per_hour"][0])
    assert table["usable_share"].tolist() == [0, 0.5]
    # A rate over usable time cannot exceed it.
    assert table["cry_minutes_per_hour"][1] == 60
    assert summarize(timeline.drop(columns="usable"))["usable_share"].tolist() == [1, 1]


def test_an_empty_timeline():
    timeline = make_timeline({0: np.ones(60)}).iloc[:0]
    for table in (summarize(timeline), summarize(timeline, by="hour"), summarize(timeline, by="hour", start=[])):
        assert table.shape == (0, len(COLUMNS))


def test_a_timeline_from_a_file(tmp_path):
    timeline = make_timeline({"a.wav": crying(60, (3, 30)), "b.wav": crying(9, (3, 8))})
    timeline.to_csv(tmp_path / "timeline.csv")
    table = pd.read_csv(tmp_path / "timeline.csv")
    pd.testing.assert_frame_equal(
        summarize(table.set_index(["recording", "second"])), summarize(timeline), check_index_type=False
    )
    with pytest.raises(ValueError, match="Call timeline.set_index"):
        summarize(table)


def test_faulty_timelines():
    timeline = make_timeline({"a": np.zeros(10), "b": np.zeros(10)})
    with pytest.raises(ValueError, match=r"'cry' \(bool\) is needed; with more than two classes.*timeline\['label'\]"):
        summarize(timeline.rename(columns={"cry": "label"}))
    with pytest.raises(ValueError, match="second 3 follows second 3"):
        summarize(timeline.iloc[[0, 1, 2, 3, 3, 4]])
    with pytest.raises(ValueError, match="recording 'a' second 5 follows second 3"):
        summarize(timeline.drop(index=("a", 4)))
    with pytest.raises(ValueError, match="recording 7 second 5 follows second 3"):
        summarize(make_timeline({7: np.zeros(10)}).drop(index=(7, 4)))
    with pytest.raises(ValueError, match="sorted, none missing or twice"):
        summarize(timeline.iloc[::-1])
    with pytest.raises(ValueError, match="'a' do not stand together"):
        summarize(timeline.iloc[[0, 10, 1, 11]])
    with pytest.raises(ValueError, match="must be by \\['recording', 'second'\\]"):
        summarize(timeline.swaplevel())
    with pytest.raises(ValueError, match="must be whole numbers"):
        summarize(timeline.set_index(timeline.index.set_levels(np.arange(10.0), level="second")))
    with pytest.raises(ValueError, match="'cry' is None at recording 'a', second 2"):
        summarize(timeline.assign(cry=[False, True, None, *[True] * 17]))
    with pytest.raises(ValueError, match="'usable' is 'yes' at recording 'a', second 0"):
        summarize(timeline.assign(usable="yes"))
    with pytest.raises(ValueError, match="'by' parameter"):
        summarize(timeline, by="day")
    with pytest.raises(ValueError, match="'merge_gap' parameter"):
        summarize(timeline, merge_gap=-1)


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ({"a": "2024-05-01 07:30"}, r"no time for recording 'b' \(1 of 2"),
        (pd.Series({"a": pd.Timestamp("2024-05-01")}), "no time for recording 'b'"),
        (["2024-05-01 07:30", None], "start of recording 'b' is None"),
        ({"a": "2024-05-01 07:30", "b": pd.NaT}, "start of recording 'b' is NaT"),
        (["2024-05-01 07:30"], "1 times, but the timeline 2 recordings"),
        ("2024-05-01 07:30", "1 times, but the timeline 2 recordings"),
        (["07:30", "08:30"], "start of recording 'a' is '07:30', but must be a date and a time"),
        (["03/04/2024 07:30", "2024-05-01 07:30"], "must be a date and a time"),
        ([27000, 30000], "start of recording 'a' is 27000"),
        (["2024-05-01 07:30+02:00", "2024-05-01 07:30"], "different zones"),
        (pd.Series([1, 2], index=["a", "a"]), "'a' is there twice"),
    ],
)
def test_faulty_starts(start, message):
    timeline = make_timeline({"a": np.zeros(10), "b": np.zeros(10)})
    with pytest.raises(ValueError, match=message):
        summarize(timeline, by="hour", start=start)


def clock_of(*stretches):
    return pd.DataFrame(stretches, columns=["onset", "offset", "start"])


def test_a_recorder_that_was_paused(tmp_path):
    """Two hours of sound from 8:30; after a pause of 4 h 10 min at 9:00 the file goes on at 13:10."""
    (tmp_path / "a.its").write_text(
        """<ITS><ProcessingUnit>
        <Recording num="1" startClockTime="2024-05-01T08:30:00Z" startTime="PT0.00S" endTime="PT1800.40S"/>
        <Recording num="2" startClockTime="2024-05-01T13:10:00Z" startTime="PT1800.40S" endTime="PT7200.00S"/>
        </ProcessingUnit></ITS>"""
    )
    clock = read_its_clock(tmp_path / "a.its")
    timeline = make_timeline({"a": crying(7200, (1790, 1812), (5400, 5410))})
    table = summarize(timeline, by="hour", start={"a": clock}, min_duration=0)
    assert [hour.hour for _, hour in table.index] == [8, 13, 14]
    np.testing.assert_allclose(table["hours"] * 3600, [1800, 3001, 2399])  # 14:00 is at 4800.4 s
    # The bout does not extend over the pause, and the time in between is no gap.
    assert table["n_bouts"].tolist() == [1, 1, 1]
    assert table["longest_bout"].tolist() == [10, 12, 10]
    assert table["n_gaps"].tolist() == [0, 1, 0]
    for start in (clock, [clock], {"a": clock}):
        whole = summarize(timeline, start=start)
        assert whole[["n_bouts", "longest_bout", "n_gaps"]].iloc[0].tolist() == [3, 12, 1]
    assert summarize(timeline, start={})["n_bouts"].tolist() == [2]
    local = clock.assign(start=clock["start"].dt.tz_convert("America/Chicago"))
    assert [str(hour.tz) for _, hour in summarize(timeline, by="hour", start=local).index] == ["America/Chicago"] * 3
    # Stretches that follow each other without a pause are one.
    again = clock_of((0, 1800, "2024-05-01 08:30"), (1800, 7200, "2024-05-01 09:00:00.5"))
    assert summarize(timeline, start=again)["longest_bout"].tolist() == [22]
    assert summarize(timeline, by="hour", start=again)["hours"].sum() == pytest.approx(2)


def test_a_clock_that_is_set_back_a_little_stays_in_its_hour():
    clock = clock_of((0, 100, "2024-05-01 09:58:30"), (100, 300, "2024-05-01 09:59:50"))
    table = summarize(make_timeline({"a": np.zeros(300)}), by="hour", start=clock)
    assert [hour.hour for _, hour in table.index] == [9, 10]
    assert table["hours"].sum() * 3600 == pytest.approx(300)


@pytest.mark.parametrize(
    ("clock", "message"),
    [
        (clock_of((0, 60, "2024-05-01 09:00"), (60, 300, "2024-05-01 07:00")), "goes back by 7260 s at 60 s"),
        (clock_of((0, 60, "2024-05-01 09:00")), "clock of recording 'a' ends at 60 s, but the recording at 300 s"),
        (clock_of((100, 300, "2024-05-01 09:00")), "no stretch holds the time before 100 s"),
        (clock_of((0, 60, "2024-05-01 09:00"), (160, 300, "2024-05-01 10:00")), "no stretch .* before 160 s"),
        (clock_of((0, 60, "2024-05-01 09:00"), (0, 300, "2024-05-01 10:00")), "one after the other"),
        (clock_of((np.nan, 300, "2024-05-01 09:00")), "one after the other"),
        (clock_of(("x", 300, "2024-05-01 09:00")), "one after the other"),
        (clock_of((0, 300, "09:00")), "must be a date and a time"),
        (clock_of(), "a table of 0 rows"),
        (clock_of((0, 300, "2024-05-01 09:00")).rename(columns={"start": "clock"}), "row per stretch with 'onset'"),
    ],
)
def test_faulty_clocks(clock, message):
    with pytest.raises(ValueError, match=message):
        summarize(make_timeline({"a": np.zeros(300)}), by="hour", start=clock)


@pytest.mark.parametrize(
    ("name", "pattern", "hour"),
    [
        ("20240501_080000.WAV", "name", "2024-05-01 08:00"),
        ("20240501T080000Z.wav", "name", None),  # a zone is not dropped
        ("20240501T080000+0200.wav", "name", None),
        ("20240501T080000Z.wav", "%Y%m%dT%H%M%S%z", "2024-05-01 08:00+00:00"),
        ("ada/REC-2024-05-01T23-59-58.flac", "name", "2024-05-01 23:00"),
        ("20240501/ada 2024.05.02 07h30.wav", "name", "2024-05-02 07:00"),
        ("2024-05-01 0815/day.wav", "name", "2024-05-01 08:00"),
        ("ada_01-05-24 8pm.wav", "%d-%m-%y %Ip", None),
        ("ada_01-05-24 08PM_2.wav", "%d-%m-%y %I%p", "2024-05-01 20:00"),
        ("20240501/ada_0930.wav", "%Y%m%d/ada_%H%M", "2024-05-01 09:00"),
        ("20241301_080000.WAV", "name", None),
        ("1234567890_080000.WAV", "name", None),
        ("day.wav", "name", None),
        (3, "name", None),
        ("day.wav", "%Q", None),
    ],
)
def test_start_times_from_names(name, pattern, hour):
    timeline = make_timeline({name: np.zeros(60)})
    if hour is None:
        with pytest.raises(ValueError, match=r"holds no such time|are numbered|%Q is not known"):
            summarize(timeline, by="hour", start=pattern)
        return
    assert summarize(timeline, by="hour", start=pattern).index[0] == (name, pd.Timestamp(hour))


def several_classes():
    """A timeline of three classes: 20 s of crying, 10 s of fussing, 30 s of neither."""
    label = np.repeat(["cry", "fuss", "background"], [20, 10, 30])
    index = pd.MultiIndex.from_product([["a"], range(60)], names=["recording", "second"])
    columns = {name: 1.0 * (label == name) for name in ("background", "cry", "fuss")}
    return pd.DataFrame({**columns, "label": label, "usable": True}, index=index)


@pytest.mark.parametrize(("label", "seconds"), [("cry", 20), ("fuss", 10), (("cry", "fuss"), 30)])
def test_one_of_several_classes(label, seconds):
    assert summarize(several_classes(), label=label)["longest_bout"].tolist() == [seconds]
    with pytest.raises(ValueError, match="choose one: label='cry'"):
        summarize(several_classes())
    for wrong in ("laughing", ()):
        with pytest.raises(ValueError, match=r"classes of the timeline are \['background', 'cry', 'fuss'\]"):
            summarize(several_classes(), label=wrong)
    with pytest.raises(ValueError, match="label='cry' needs the timeline of more than two classes"):
        summarize(make_timeline({"a": np.zeros(60)}), label="cry")


def test_rules_that_the_timeline_knows():
    timeline = make_timeline({0: crying(60, (0, 2), (8, 10))})
    timeline.attrs.update(merge_gap=6, min_duration=0)
    assert summarize(timeline)["longest_bout"].tolist() == [10]
    assert summarize(timeline, merge_gap=0)["longest_bout"].tolist() == [2]
    assert summarize(timeline, min_duration=11)["n_bouts"].tolist() == [0]
