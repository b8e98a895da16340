"""What listening to a few clips gains, by the strategy that chose them, and how often intervals of estimates hold.

    python -m benchmarks.bench_review --data FOLDER [--seeds 2] [--out FILE.md]
    python -m benchmarks.bench_review --data FOLDER --detector FILE [--network FOLDER] [--seeds 30] [--out FILE.md]
    python -m benchmarks.bench_review --simulate 100 [--out FILE.md]

FOLDER contains annotated recordings (``load_annotated``; groups are infants from its groups.csv, else recordings). Two
groups at a time are left out, and a detector is fitted on the others. Of each minute of the recordings left out, clips
of 5 s are chosen from the first 40 s by each strategy, and judged by the annotations; the detector is then fitted again
with these clips added (``review_annotations``), or calibrated with them. F1 is that of the last 20 s of each minute,
the same seconds for every strategy: on all that was not judged, "uncertain" would win by removing what is difficult.
Intervals of the difference to "random" cover 90 %, by bootstrap over recordings, all seeds together.

With ``--detector`` nothing is fitted: what a user does who has only that detector, such as the one that ships. Clips
are drawn at random, over all recordings ("together"), or so many of each recording for a level of its own ("each
home"), and the detector is calibrated with them. F1 is that of the seconds that are neither judged nor within 5 s of a
judged clip, before and after, all draws together; intervals of the gain cover 90 %, by bootstrap over recordings.
``--network`` is a folder with other weights of the network, such as one that has heard none of this sound (``apart``
of ``benchmarks/pretraining``).

``--simulate`` draws timelines and judgements, and counts how often intervals of ``estimate_crying`` of 90 % hold the
truth: for shares of crying of 2, 10 and 25 %, detectors of three qualities, and 50, 100 and 200 clips of ten hours.

Last numbers, of November 2026 on two cores of a server (4 CPU minutes for ``--data`` with two seeds, one for
``--simulate 20``). The eight soundscapes, F1 with the default detector, whose network has heard some of these infants:

| | 0 min | random, 1, 2, 4 min | stratified | uncertain | diverse |
|---|---|---|---|---|---|
| refit | 0.81 | 0.81, 0.81, 0.81 | 0.81, 0.81, 0.80 | 0.81, 0.81, 0.81 | 0.81, 0.80, 0.81 |
| calibrate | 0.81 | 0.81, 0.81, 0.81 | 0.82, 0.82, 0.81 | 0.82, 0.81, 0.81 | 0.81, 0.82, 0.81 |

No strategy was better than random: all differences are from -0.01 to 0.01, and no interval is above 0 (that of
"stratified", refit with 4 minutes, is below it: -0.02 to 0.00). Nor did listening gain anything by more than 0.01.

A detector that was fitted on six of these soundscapes has its level already. The one that ships has not. Its like on
the network ``apart``, fitted on scenes that are not from this sound, and 30 draws (``--seeds 30``, 5 CPU minutes):

| drawn | clips | F1 before | after | gain | worst draw |
|---|---|---|---|---|---|
| together | 25 | 0.73 | 0.76 | 0.03 [0.01, 0.04] | -0.01 |
| together | 50 | 0.73 | 0.77 | 0.04 [0.02, 0.06] | 0.01 |
| together | 100 | 0.73 | 0.78 | 0.04 [0.02, 0.07] | 0.01 |
| together | 200 | 0.73 | 0.79 | 0.05 [0.03, 0.08] | 0.01 |
| each home | 6 | 0.72 | 0.74 | 0.02 [0.01, 0.02] | 0.00 |
| each home | 12 | 0.72 | 0.75 | 0.03 [0.01, 0.04] | 0.01 |
| each home | 24 | 0.72 | 0.76 | 0.04 [0.02, 0.06] | 0.00 |

The threshold of best F1, chosen with all labels, gives 0.78. The width of the prior of the level was chosen on these
soundscapes, with other detectors, so the gain is slightly optimistic. If all clips share a level, the ranking of
seconds does not change.

In simulation the intervals of 90 %, where there are any, held the truth in the following shares of 20 samples of each
of 27 settings. Each five samples are of one population, so that single settings say little. With excellent detectors
the intervals are too wide (they hold in 97 to 99 %):

| | minutes of crying | precision | recall | width (10 % crying, good detector, n=50, 100, 200) |
|---|---|---|---|---|
| random | 0.96 | 0.95 | 0.93 | minutes 1.19, 0.70, 0.45 of their value; precision 0.38, 0.31, 0.26 |
| stratified | 0.96 | 0.92 | 0.95 | minutes 1.54, 0.88, 0.51 of their value; precision 0.22, 0.14, 0.10 |

Stratified clips halve the interval of precision, but widen that of minutes, because half of them are above the
threshold. With 2 % of crying it is several times the value either way, and "random" hears too few detected clips for
precision and recall.
"""

import argparse
import contextlib
import copy
import itertools
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from skcry import CryDetector, load, metrics
from skcry.datasets import load_annotated
from skcry.review import estimate_crying, review_annotations, select_clips
from skcry.review.correction import level_annotations

try:
    from .bench_accuracy import group_splits
except ImportError:  # as a script
    from bench_accuracy import group_splits

SR, DURATION = 16000, 5
STRATEGIES = ("random", "stratified", "uncertain", "diverse")
MINUTES = (1, 2, 4)
WAYS = ("refit", "calibrate")
DRAWS, APART = {"together": (25, 50, 100, 200), "each home": (6, 12, 24)}, 5
SHARES, QUALITIES, SIZES = (0.02, 0.1, 0.25), {"poor": 1.5, "good": 3.0, "excellent": 6.0}, (50, 100, 200)
TRIED = ["cry_minutes", "precision", "recall"]


def judge(clips, truth):
    """Judge clips by the truth of their seconds: cry if at least half of them are."""
    rows = [truth[row.recording].iloc[row.onset : row.offset] for row in clips.itertuples()]
    return clips.assign(judgement=["cry" if one.mean() >= 0.5 else "not" for one in rows])


def tested(timeline):
    """Tell which seconds are scored: the last 20 of each minute."""
    return timeline.index.get_level_values("second").to_numpy() % 60 >= 40


def counts(timeline, truth):
    """Count true positives, false positives and false negatives of each recording among the tested seconds."""
    rows = tested(timeline)
    cry, true = timeline["cry"].to_numpy()[rows], np.asarray(truth, dtype=bool)[rows]
    table = pd.DataFrame({"tp": cry & true, "fp": cry & ~true, "fn": ~cry & true}, index=timeline.index[rows])
    return table.groupby(level="recording", sort=False).sum()


def f1(table):
    tp, fp, fn = np.asarray(table, dtype=float).reshape(-1, 3).sum(axis=0)
    return 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else np.nan


def listen(data, seeds):
    """Return counts, indexed by way, strategy, minutes, seed and recording."""
    found, began = {}, time.process_time()
    for number, (train, test) in enumerate(group_splits(data.groups)):
        sounds, tables = ([values[i] for i in train] for values in (data.recordings, data.annotations))
        homes, groups = [data.recordings[i] for i in test], list(data.groups[train])
        bases = {
            "refit": CryDetector(threshold=0.5, random_state=0).fit(sounds, tables, groups=groups),
            "calibrate": CryDetector(random_state=0).fit(sounds, tables, groups=groups),
        }
        lengths = [len(home) / SR for home in homes]
        for way, base in bases.items():
            timeline = base.timeline(homes)
            truth = metrics.second_truth([data.annotations[i] for i in test], timeline, durations=lengths)
            known = {place: truth.loc[place] for place in range(len(homes))}
            offered = timeline.assign(usable=~tested(timeline))
            before = counts(timeline, truth)
            for seed, strategy in itertools.product(range(seeds), STRATEGIES):
                found[way, strategy, 0, seed, number] = before
                for minutes in MINUTES:
                    n = minutes * 60 // DURATION
                    about = {"random_state": seed, "recordings": homes, "detector": base}
                    clips = judge(select_clips(offered, n, strategy, **about), known)
                    heard = list(review_annotations(clips, lengths).values())
                    if way == "refit":
                        names = [*groups, *data.groups[test]]
                        fitted = CryDetector(threshold=0.5, random_state=0)
                        fitted.fit(sounds + homes, tables + heard, groups=names)
                    else:
                        fitted = base.calibrate(homes, heard)
                    found[way, strategy, minutes, seed, number] = counts(fitted.timeline(homes), truth)
        print(f"fold {number + 1}, {time.process_time() - began:.0f} s", file=sys.stderr, flush=True)
    for key in found:
        found[key] = found[key].rename(index=lambda place, fold=key[-1]: f"{fold}-{place}")
    return pd.concat(found, names=["way", "strategy", "minutes", "seed", "fold", "recording"])


def compare(table):
    """Return F1 of each way, strategy and minutes, and its difference to random, with an interval."""
    rows = []
    of_recording = table.groupby(["way", "minutes", "strategy", "recording"]).sum()
    for way, minutes, strategy in itertools.product(WAYS, (0, *MINUTES), STRATEGIES):
        ours, random = (of_recording.loc[(way, minutes, name)] for name in (strategy, "random"))
        both = (ours.to_numpy(), random.to_numpy())

        def gain(ours, random):
            return f1(ours) - f1(random)

        interval = metrics.bootstrap_interval(gain, *both, groups=ours.index, random_state=0)
        rows.append((way, strategy, minutes, f1(ours), gain(*both), *interval))
    return pd.DataFrame(rows, columns=["way", "strategy", "minutes", "F1", "gain", "low", "high"])


def unheard(index, clips):
    """Tell which seconds (n_seconds,) are neither judged nor within 5 s of a judged clip."""
    names, second = index.get_level_values("recording"), index.get_level_values("second")
    far = np.ones(len(index), dtype=bool)
    for clip in clips.itertuples():
        far &= (names != clip.recording) | (second < clip.onset - APART) | (second >= clip.offset + APART)
    return far


def correct(detector, data, seeds):
    """Return counts before and after calibration, indexed by way of drawing, clips, seed and recording."""
    timeline = detector.timeline(data.recordings)
    lengths = list(data.durations)
    truth = metrics.second_truth(data.annotations, timeline, durations=lengths)
    known = {place: truth.loc[place] for place in range(len(lengths))}
    tables, began = {}, time.process_time()
    for seed, (way, sizes) in itertools.product(range(seeds), DRAWS.items()):
        for n in sizes:
            shares = [timeline] if way == "together" else [timeline.loc[[place]] for place in known]
            for part in shares:
                clips = judge(select_clips(part, n, random_state=seed), known)
                places = clips["recording"].unique().tolist()
                heard = level_annotations(clips, lengths, "cry")
                corrected = copy.deepcopy(detector)
                corrected.calibrate([data.recordings[i] for i in places], [heard[i] for i in places])
                # The level is added to the log-odds, so nothing needs to be scored again.
                odds = logit(np.clip(part["score"], 1e-12, 1 - 1e-12)) + corrected.level_ - detector.level_
                true = truth.loc[part.index].to_numpy(dtype=bool)
                table = pd.DataFrame(index=part.index)
                for name, cry in (("before", part["cry"]), ("after", expit(odds) >= detector.threshold_)):
                    table[f"tp {name}"], table[f"fp {name}"], table[f"fn {name}"] = cry & true, cry & ~true, ~cry & true
                table = table[unheard(part.index, clips)].groupby(level="recording").sum()
                tables.setdefault((way, n, seed), []).append(table)
        print(f"draw {seed + 1}, {way}, {time.process_time() - began:.0f} s", file=sys.stderr, flush=True)
    return pd.concat({key: pd.concat(one) for key, one in tables.items()}, names=["drawn", "clips", "seed"])


def summarize_gain(table):
    """Return F1 before and after for each way and number of clips, the gain with an interval, and the worst draw."""
    rows = []
    of_recording = table.groupby(["drawn", "clips", "recording"]).sum()
    of_draw = table.groupby(["drawn", "clips", "seed"]).sum()
    for way, sizes in DRAWS.items():
        for n in sizes:
            ours, draws = of_recording.loc[way, n].to_numpy(), of_draw.loc[way, n].to_numpy()

            def gain(values):
                return f1(values[:, 3:]) - f1(values[:, :3])

            interval = metrics.bootstrap_interval(gain, ours, groups=np.arange(len(ours)), random_state=0)
            worst = min(gain(draw[None]) for draw in draws)
            rows.append((way, n, f1(ours[:, :3]), f1(ours[:, 3:]), gain(ours), *interval, worst))
    return pd.DataFrame(rows, columns=["drawn", "clips", "before", "after", "gain", "low", "high", "worst draw"])


def draw_population(rng, share, quality, hours=10, bout=40.0):
    """Draw a timeline of one recording, and the truth of its seconds: bouts, and a detector with slow errors."""
    n, truth, place = int(hours * 3600), np.zeros(int(hours * 3600), dtype=bool), 0.0
    while place < n:
        place += rng.exponential(bout * (1 - share) / share)
        length = max(2.0, rng.exponential(bout))
        truth[int(place) : int(place + length)] = True
        place += length
    slow = np.repeat(rng.normal(size=n // DURATION + 1), DURATION)[:n]
    evidence = quality * truth + 0.9 * slow + 0.4 * rng.normal(size=n)
    score = expit(quality * (evidence - quality / 2) + logit(share))
    threshold = np.quantile(score, 1 - share)  # detects as much as there is
    index = pd.MultiIndex.from_product([["day.wav"], range(n)], names=["recording", "second"])
    return pd.DataFrame({"score": score, "cry": score >= threshold}, index=index), pd.Series(truth, index=index)


def simulate(repeats, shares=SHARES, qualities=QUALITIES, sizes=SIZES, strategies=STRATEGIES[:2], hours=10):
    """Return, for each setting, the share of intervals that hold the truth, and their mean widths."""
    rng, rows = np.random.default_rng(0), []
    for share, (quality, distance) in itertools.product(shares, qualities.items()):
        held = {}
        for repeat in range(repeats):
            if repeat % 5 == 0:  # a population, of which five samples are drawn
                seconds, truth = draw_population(rng, share, distance, hours)
                true, cry = (
                    one.to_numpy().reshape(-1, DURATION).mean(axis=1) >= 0.5 for one in (truth, seconds["cry"])
                )
                right = [truth.sum() / 60, true[cry].mean(), cry[true].mean()]
                known = {"day.wav": truth.loc["day.wav"]}
            for strategy, n in itertools.product(strategies, sizes):
                clips = select_clips(seconds, n, strategy, random_state=int(rng.integers(2**31)))
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", UserWarning)
                    found = estimate_crying(seconds, judge(clips, known)).loc[TRIED]
                low, high = found["low"].to_numpy(), found["high"].to_numpy()
                told = np.isfinite(low)
                inside = np.where(told, (low <= right) & (right <= high), np.nan)
                scale = np.array([right[0], 1, 1])
                held.setdefault((strategy, n), []).append([*inside, *((high - low) / scale)])
        for (strategy, n), values in held.items():
            means = pd.DataFrame(values).mean()  # of those with an interval
            rows.append((strategy, share, quality, n, *means))
            print(*rows[-1][:4], *means.round(2), file=sys.stderr, flush=True)
    columns = [*TRIED, *(f"width of {name}" for name in TRIED)]
    return pd.DataFrame(rows, columns=["strategy", "share", "detector", "n", *columns])


def markdown(table):
    """Return a markdown table with two decimals."""
    cells = [[f"{one:.2f}" if isinstance(one, float) else str(one) for one in row] for row in table.to_numpy(object)]
    lines = [list(map(str, table.columns)), ["---"] * table.shape[1], *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", help="folder of annotated recordings")
    parser.add_argument("--detector", help="file of a detector that is only calibrated, such as the one that ships")
    parser.add_argument("--network", help="folder with the weights of its network, if these are not those that ship")
    parser.add_argument("--seeds", type=int, help="draws of clips for each strategy and fold (2), or --detector (30)")
    parser.add_argument("--simulate", type=int, metavar="REPEATS", help="samples for each setting, a multiple of 5")
    parser.add_argument("--out", type=Path, help="markdown file to write the tables to")
    options = parser.parse_args(arguments)
    if not options.data and not options.simulate:
        parser.error("name --data, --simulate, or both")
    if options.detector and not options.data:
        parser.error("--detector needs recordings to correct it on: name their folder with --data")
    if options.network and not options.detector:
        parser.error("--network is that of a detector: name its file with --detector")
    if options.out and not options.out.parent.is_dir():
        parser.error(f"--out {options.out}: no such folder as {options.out.parent}. Make it first.")
    return options


def main(arguments=None):
    options, tables = parse(arguments), {}
    if options.detector:
        from benchmarks.pretraining.measure import weights_of

        with weights_of(options.network) if options.network else contextlib.nullcontext():
            found = correct(load(options.detector), load_annotated(options.data, SR), options.seeds or 30)
        tables["corrected"] = summarize_gain(found)
    elif options.data:
        tables["strategies"] = compare(listen(load_annotated(options.data, SR), options.seeds or 2))
    if options.simulate:
        tables["coverage"] = simulate(options.simulate)
    text = "\n\n".join(markdown(table) for table in tables.values())
    print(text)
    if options.out:
        options.out.write_text(text + "\n")
    return tables


if __name__ == "__main__":
    main()
