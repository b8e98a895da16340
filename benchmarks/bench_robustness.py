"""What gain, noise, bandwidth, MP3 and rooms cost a fitted detector, and which sounds it takes for crying.

    python -m benchmarks.bench_robustness --data FOLDER [--without NAME ...] [--detector FILE.skcry]
                                          [--sound TABLE.csv ... [--heard TABLE.csv [--left-out FOLDER]]]
                                          [--conditions NAME ...] [--save FILE.csv]

FOLDER contains annotated recordings (``load_annotated``). Each is scored as it is, and again under each of the
conditions below; the script prints a markdown table of them. The detector is the pre-trained one, or that of a file.

- Average precision is that of seconds, and its change is against the same recordings as they are. F1 (of seconds) and
  false alarms per hour (of events) use the detector's own threshold. Intervals cover 90 % by bootstrap over groups.
- A gain is followed by a recorder of 16 bit that clips at full scale. "Clipped" is the share of timepoints there.
- The signal-to-noise ratio is the level of the crying seconds of a recording, with all that sounds in them, over the
  level of the noise: pink (from 50 Hz) or white. Without crying, it is over the whole recording.
- Recordings as they are may reach up to 8 kHz, since all are resampled to 16 kHz; the line above the table says how far
  they do. A band limit above that takes away the recorder's faint noise alone. The telephone passes 300 to 3400 Hz.
- MP3 has a constant rate of 48 kbit/s, which the size of the file confirms, and is read by ``read_audio``.
- The room has a reverberation time (RT60) of 0.8 s, and as much energy in its tail as in the direct sound.

All noise and the room are made by code, from fixed seeds. Where noise or room would clip, the recording is made softer.
``--without NAME`` adds the same without these recordings, such as one whose annotations are in doubt.

Each table of ``--sound`` lists files of one sound each: columns ``file``, ``kind`` or ``category``, and ``group`` or
``source`` (the voice or the original recording). Files that an earlier table lists are left out. Sounds of a kind are
joined, in an order from a fixed seed, with gaps of half a second of faint noise; nothing is repeated, and the second
table says how many minutes there are. False alarms are events per hour; the share of seconds above the threshold has an
interval over groups. Events last five seconds or more, as clips do, so for clips the share says more. Cries (kind cry
or ``label`` 1) come first: a detector that hears nothing in such files has no false alarms in them either.

A detector does better on sound that its network was trained on. ``--heard`` names the table of that sound, as
``benchmarks.pretraining`` takes it: sounds of its groups get a row of their own ("heard"), except the groups that
pre-training holds out. ``--left-out`` names the folder (clips, textgrid) whose groups were left out as well. FOLDER has
no such table: if it was mixed from sound that the network was trained on, use one that was trained apart from it.

Last numbers (2026-11-30, eight soundscapes of 5 minutes and the free sound, a detector and a network that had heard
neither the soundscapes nor any clip; the machine does not matter): average precision 0.82 [0.71, 0.91] as is; it
changes by -0.001 to 0.008 with gains from -30 to 20 dB, by 0.03, 0.06 and 0.04 with pink noise at 20, 10 and 0 dB
(which hides faint sounds), by 0.00 up to 4 kHz and through MP3, -0.01 by telephone and in the room. Of seconds of
crying clips, 97 % are above the threshold; of adult speech 0.1 %, music 0.2 %, laughter 22 %, cats and dogs 43 %,
other animals 32 %, sirens and alarms 9 %, other sounds 6 %.

The script asserts that the detector ranks seconds of the recordings as they are better than chance.
"""

import argparse
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.signal import welch

import skcry
from skcry.datasets import load_annotated, load_clips
from skcry.metrics import bootstrap_interval, event_metrics
from skcry.metrics.scorers import Evaluation, the_detector

from .bench_accuracy import SR, average_precision, gain
from .conditions import AS_IS, CONDITIONS, through_mp3, why_no_mp3
from .pretraining.sources import groups_of, is_held

GAP = 0.5  # seconds between clips
UNCHECKED = "cry upload"  # kind of files that hold crying, or not
CRYING = "crying, for comparison"
KINDS = {
    CRYING: ["cry"],
    "adult speech": ["speech"],
    "laughter": ["laugh", "laughing"],
    "cats and dogs": ["cat", "dog"],
    "music": ["music"],
    "sirens and alarms": ["siren", "clock_alarm", "car_horn"],
    "coughs, sneezes, snores, breath": ["coughing", "sneezing", "snoring", "breathing"],
    "other animals": [
        *("rooster", "hen", "crow", "chirping_birds", "sheep", "cow", "pig"),
        *("frog", "insects", "crickets"),
    ],
    "quiet homes": ["silence"],
    "other sounds": None,  # all kinds that are named nowhere else
}
COLUMNS = ["average precision", "change", "F1", "false alarms/h"]


# Scores


def evaluate(detector, recordings, annotations):
    """Score recordings with the rules of the detector."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of clipping and silence, which are on purpose
        rules = {"merge_gap": detector.merge_gap, "min_duration": detector.min_duration}
        return Evaluation(detector, recordings, annotations, **rules)


def f1(true, found, both):
    """Return the F1 of seconds from their numbers in each recording."""
    return 2 * both.sum() / max(1, true.sum() + found.sum())


def with_interval(metric, *rows, groups):
    """Return a score and the bounds of its interval; NaN for a single group."""
    low = high = np.nan
    if len(np.unique(groups)) > 1:
        low, high = bootstrap_interval(metric, *rows, groups=groups, n_resamples=400, random_state=0)
    return metric(*rows), low, high


def scores(found, as_is, groups, kept):
    """Score a condition on the recordings ``kept``, by name: value and bounds."""
    place = found.truth.index.get_level_values("recording").to_numpy()
    known = np.isin(place, kept) & found.truth.notna().to_numpy()
    truth, timeline, of_second = found.truth[known].astype(bool), found.timeline[known], groups[place[known]]
    rows = truth.to_numpy(), timeline["score"].to_numpy()
    cry = timeline["cry"]
    seconds = [one.groupby(level="recording").sum().loc[kept] for one in (truth, cry, truth & cry)]
    counts = found.counts[found.counts.index.isin(kept)]
    rate = event_metrics(counts)["false_alarms_per_hour"]
    return {
        "crying": (truth.mean(), np.nan, np.nan),
        "average precision": with_interval(average_precision, *rows, groups=of_second),
        "change": with_interval(gain, *rows, as_is.timeline["score"].to_numpy()[known], groups=of_second),
        "F1": with_interval(f1, *seconds, groups=groups[kept]),
        "false alarms/h": (rate, np.nan, np.nan),
    }


def score_conditions(detector, data, options, write):
    """Write a row per condition; return scores by condition, "" or "without", and name."""
    kept = {"": np.arange(len(data.names))}  # of the recordings, by number
    if options.without:
        left_out = np.isin([Path(name).stem for name in data.names], options.without)
        kept["without"] = np.flatnonzero(~left_out)
    columns = [f"{column}{' without' if part else ''}" for part in kept for column in COLUMNS]
    write(f"| {' | '.join(['condition', *columns, 'clipped'])} |\n{'|---' * (len(columns) + 2)}|")
    as_is = evaluate(detector, data.recordings, data.annotations)
    crying = as_is.truth.fillna(False).astype(bool).groupby(level="recording")
    crying = [crying.get_group(number).to_numpy() for number in range(len(data.names))]
    found = {}
    for name in dict.fromkeys([AS_IS, *options.conditions]):
        reason = why_no_mp3() if CONDITIONS[name] is through_mp3 else None
        if reason:
            write(f"| {name} | left out: {reason} |")
            continue
        sounds = [
            CONDITIONS[name](y, of_y, np.random.default_rng(number))
            for number, (y, of_y) in enumerate(zip(data.recordings, crying, strict=True))
        ]
        evaluation = as_is if name == AS_IS else evaluate(detector, sounds, data.annotations)
        found[name] = {part: scores(evaluation, as_is, data.groups, which) for part, which in kept.items()}
        cells = [cell(column, *part[column]) for part in found[name].values() for column in COLUMNS]
        clipped = np.mean([np.mean(np.abs(y) >= 1 - 2.0**-15) for y in sounds])
        write(f"| {' | '.join([name, *cells, f'{clipped:.2%}'])} |")
    return found


def cell(column, value, low, high):
    if np.isnan(value):
        return "-"
    form = {"change": "+.3f", "share": ".1%", "false alarms/h": ".1f"}.get(column, ".3f")
    return f"{value:{form}}" + (f" [{low:{form}}, {high:{form}}]" if np.isfinite(low) else "")


# Sounds by kind


def read_tables(paths):
    """Return the checked files of all tables: DataFrame with ``path``, ``kind`` and ``group``."""
    tables = []
    for path in map(Path, paths):
        table = pd.read_csv(path).rename(columns={"category": "kind", "source": "group"})
        missing = {"file", "kind", "group"} - set(table.columns)
        if missing:
            raise SystemExit(f"{path}: no columns {sorted(missing)}. It needs file, kind or category, group or source.")
        if "label" in table:
            table.loc[table["label"].astype(str) == "1", "kind"] = "cry"
        table["path"] = [str((path.parent / file).resolve()) for file in table["file"]]
        tables.append(table[["path", "kind", "group"]])
    table = pd.concat(tables, ignore_index=True).drop_duplicates("path")
    return table[table["kind"] != UNCHECKED].astype({"group": str})


def heard_groups(table, left_out):
    """Return the groups that a network was trained on."""
    groups = set(pd.read_csv(table)["group"].astype(str)) if table else set()
    return {group for group in groups if not is_held(group)} - (groups_of(left_out) if left_out else set())


def join(recordings, groups):
    """Join sounds in random order, with gaps of faint noise: sound, and the group in the middle of each second."""
    rng = np.random.default_rng(0)
    parts, starts, n_timepoints, order = [], [], 0, rng.permutation(len(recordings))
    for number in order:
        gap = 1e-4 * rng.standard_normal(round(GAP * SR)).astype(np.float32)
        starts.append(n_timepoints)
        parts += [recordings[number], gap]
        n_timepoints += len(recordings[number]) + len(gap)
    middle = (np.arange(-(-n_timepoints // SR)) + 0.5) * SR
    place = np.searchsorted(starts, middle, side="right") - 1
    return np.concatenate(parts), np.asarray(groups)[order[place]]


def score_sounds(detector, options, write):
    """Write a row per kind of sound; return scores by kind and name."""
    table, heard = read_tables(options.sound), heard_groups(options.heard, options.left_out)
    named = {kind: name for name, kinds in KINDS.items() for kind in kinds or ()}
    table["name"] = table["kind"].map(named).fillna("other sounds")
    table["heard"] = table["group"].isin(heard)
    heading = ["sound", "minutes", "groups", "false alarms/h", "seconds above the threshold"]
    write(f"\n| {' | '.join(heading)} |\n{'|---' * len(heading)}|")
    found = {}
    for (name, was_heard), rows in sorted(table.groupby(["name", "heard"]), key=lambda one: [*KINDS].index(one[0][0])):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # clips that are clipped
            data = load_clips(rows, SR, file="path", label="kind")
        y, groups = join(data.recordings, data.groups)
        evaluation = evaluate(detector, [y], [[]])
        cry = evaluation.timeline["cry"].to_numpy()
        rate = np.nan if name == CRYING else evaluation.events["false_alarms_per_hour"]
        title = name + (", heard" if was_heard else "")
        found[title] = {
            "minutes": len(y) / SR / 60,
            "groups": len(np.unique(groups)),
            "false alarms/h": (rate, np.nan, np.nan),
            "share": with_interval(np.mean, cry, groups=groups[: len(cry)]),
        }
        minutes, n_groups, rate, share = found[title].values()
        cells = [title, f"{minutes:.1f}", f"{n_groups}", cell("false alarms/h", *rate), cell("share", *share)]
        write(f"| {' | '.join(cells)} |")
    return found


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--detector", type=Path, help="file of a fitted detector; the pre-trained one if left out")
    parser.add_argument("--data", help="folder of annotated recordings")
    parser.add_argument("--without", nargs="+", default=[], metavar="NAME", help="recordings to leave out as well")
    parser.add_argument("--sound", nargs="+", metavar="TABLE", help="tables of files of one sound each")
    parser.add_argument("--heard", help="table of the sound that the network was trained on")
    parser.add_argument("--left-out", help="folder whose groups it was not trained on all the same")
    names = ", ".join(CONDITIONS)
    parser.add_argument("--conditions", nargs="+", choices=CONDITIONS, default=CONDITIONS, metavar="NAME", help=names)
    parser.add_argument("--save", type=Path, help="CSV file to write all numbers to")
    options = parser.parse_args(arguments)
    if not options.data and not options.sound:
        parser.error("name --data, --sound, or both")
    if options.left_out and not options.heard:
        parser.error("--left-out says what was left out of --heard TABLE. Name that table too.")
    if options.save and not options.save.parent.is_dir():
        parser.error(f"--save {options.save}: no such folder as {options.save.parent}. Make it first.")
    return options


def bandwidth(recordings):
    """Return the highest frequency in kHz whose power is less than 60 dB below the strongest one."""
    power = np.mean([welch(y, SR, nperseg=1024)[1] for y in recordings if len(y) >= 1024], axis=0)
    return np.flatnonzero(power > 1e-6 * power.max())[-1] * SR / 1024 / 1000


def as_rows(what, name, found):
    for measure, value in found.items():
        value, low, high = value if isinstance(value, tuple) else (value, np.nan, np.nan)
        yield what, name, measure, value, low, high


def main(arguments=None):
    options = parse(arguments)
    detector = the_detector(skcry.load(options.detector) if options.detector else skcry.load_pretrained())
    rows, tables = [], {}
    write = partial(print, flush=True)
    if options.data:
        data = load_annotated(options.data, SR, lazy=False)
        missing = set(options.without) - {Path(name).stem for name in data.names}
        if missing:
            raise SystemExit(f"--without {' '.join(sorted(missing))}: not in {options.data}. Leave out the extension.")
        known = set(detector.training_["recordings"]) & set(data.names)
        if known:
            write(f"The detector was trained on {len(known)} recordings of these names, such as {min(known)}.")
        minutes = sum(map(len, data.recordings)) / SR / 60
        write(f"{len(data.names)} recordings, {minutes:.0f} minutes, sound up to {bandwidth(data.recordings):.1f} kHz")
        write(f"without: {', '.join(options.without)}\n" if options.without else "")
        tables["conditions"] = score_conditions(detector, data, options, write)
        for name, parts in tables["conditions"].items():
            for part, found in parts.items():
                rows += as_rows(f"condition {part}".strip(), name, found)
    if options.sound:
        tables["sounds"] = score_sounds(detector, options, write)
        for name, found in tables["sounds"].items():
            rows += as_rows("sound", name, found)
    if options.save:
        columns = ["what", "name", "measure", "value", "low", "high"]
        pd.DataFrame(rows, columns=columns).to_csv(options.save, index=False)
    if options.data:
        value, chance = (tables["conditions"][AS_IS][""][name][0] for name in ("average precision", "crying"))
        assert value > chance, f"ranks seconds no better than chance: {value:.3f}, {chance:.3f} by chance"
    return tables


if __name__ == "__main__":
    main()
