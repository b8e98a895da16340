"""A table of annotations whose columns have names: recording, tier, labels and times of its rows."""

import pandas as pd

from ..events import UNKNOWN
from . import columns
from .text_files import choose, list_names, refuse_lines

# OpenSoundscape's tables of labels or scores: one column per class.
CLASS_COLUMNS = ["file", "start_time", "end_time"]


def _holds(column, mark):
    return column.str.contains(mark, regex=False)


class NamedTable:
    """Fields (DataFrame of str, indexed by line number) whose columns have names, and what they mean."""

    def __init__(self, path, fields, names, sep):
        self.path, self.fields, self.names, self.sep, self.comma = path, fields, names, sep, sep != ","
        self.roles = [columns.role_of(name) for name in names]
        self.is_elan = columns.is_elan(names)
        self.tier = None

    def places(self, role):
        """List the places of the columns with a role; for None, those that have a name and no role."""
        return [i for i, (known, _) in enumerate(self.roles) if known == role and self.names[i]]

    def refuse(self, faulty, remedy):
        """Raise ValueError that quotes the faulty lines, if any."""
        lines = self.fields.index[faulty]
        refuse_lines(
            self.path.name, lines, remedy, lambda line: repr(self.sep.join(self.fields.loc[line]).rstrip(self.sep))
        )

    def leave_out_comments(self):
        """Leave out the lines that start with # and hold no time; other lines with # are rows."""
        hashed = self.fields.index[self.fields[0].str.startswith("#")]
        times = self.fields.loc[hashed, self.places("onset")[0]].map(lambda text: columns.is_time(text, self.comma))
        self.fields = self.fields.drop(index=hashed[~times.astype(bool)])

    def choose_recording(self, recording):
        """Keep the rows of one recording, if a column names recordings; a row with its name alone is none."""
        named = [place for place in self.places("recording") if self.fields[place].ne("").any()]
        if not named and len(self.fields):
            named = [i for i in self.places(None) if all(map(columns.SOUND_FILE.fullmatch, self.fields[i]))]
            for place in named:
                self.roles[place] = "recording", None
        if not named:
            return
        n_recordings = len(self.fields[named].drop_duplicates())
        column = next((place for place in named if self.fields[place].nunique() == n_recordings), None)
        if column is None:
            raise ValueError(
                f"{self.path.name} names recordings in the columns {list_names(self.names[i] for i in named)}, which "
                "differ in how many they name. Drop all but one."
            )
        self.refuse(self.fields[column].eq(""), f"{self.names[column]!r} names no recording. Fill it in.")
        chosen = choose(self.path.name, recording, list(self.fields[column].unique()), "recording")
        rest = [i for i in range(len(self.names)) if i not in named]
        self.fields = self.fields[self.fields[column].eq(chosen) & self.fields[rest].ne("").any(axis=1)]

    def find_labels(self, tier):
        """Return the place of the column of labels (None if there is none), and keep the rows of one tier."""
        labels, others = self.places("label") or self.places("text"), self.places(None)
        tiers = self.places("tier") or self.places("participant")
        if self.is_elan:
            labels, others = sorted([*self.places("label"), *self.places("text"), *others]), []
        if tiers and len(self.fields):
            values = self.fields[tiers[0]]
            self.tier = choose(self.path.name, tier, list(values.unique()), "tier")
            self.fields = self.fields[values == self.tier]
        elif tier in [self.names[i] for i in (*labels, *others, *self.places("text"))]:
            self._keep_tier_of_column(labels, tier)
            labels = [self.names.index(tier)]
        elif len(labels) > 1 and self.is_elan:
            choose(self.path.name, tier, [self.names[i] for i in labels], "tier")
        if len(labels) > 1:
            remedy = "Drop the others." if tiers else "Name it with tier=."
            raise ValueError(
                f"{self.path.name}: which column holds the labels, of [{list_names(self.names[i] for i in labels)}]? "
                + remedy
            )
        if not labels and others:
            raise ValueError(
                f"{self.path.name}: no column is called 'label', but there are others: "
                f"[{list_names(self.names[i] for i in others)}]. Name the one that holds the labels with tier=, or "
                "drop them if every row means crying."
            )
        return labels[0] if labels else None

    def _keep_tier_of_column(self, labels, tier):
        """Keep the rows of one tier of ELAN, if there is a column per tier: those with text there."""
        if not self.is_elan or len(labels) < 2:
            return
        here = self.fields[self.names.index(tier)].ne("")
        if len(here) and not here.any():
            raise ValueError(
                f"{self.path.name}: the tier {tier!r} has no text, so that its rows cannot be told from those of other "
                "tiers. Export it alone."
            )
        self.fields = self.fields[here]

    def read_times(self, label=None):
        """Return onsets and offsets in seconds; refuse lines with faulty times, or without label."""
        times = {role: self._read_role(role) for role in ("onset", "offset", "duration")}
        onset, offset = times["onset"], times["offset"]
        if offset is None:
            offset = (onset + times["duration"]).round(9)
        texts = self.fields[[i for i, (role, _) in enumerate(self.roles) if role in columns.TIMES]]
        no_nan = ~texts.apply(lambda column: column.str.lower().eq("nan")).any(axis=1)
        faulty = (onset.isna() | offset.isna()) & no_nan
        if label is not None:
            faulty |= self.fields[label].eq("")
        remedy = "A line holds start and end, in seconds or hh:mm:ss, and a label. Correct it"
        one = self.fields.iloc[:, 1:].eq("").all(axis=None)
        self.refuse(faulty, remedy + (', or pass format="seconds" for a value per second.' if one else "."))
        if self.comma:
            points, commas = (texts.apply(_holds, args=(mark,)).any(axis=1) for mark in ".,")
            if points.any():
                self.refuse(commas, "Other times have decimal points. Write all with a point.")
        self._ask_about_milliseconds(onset, offset, label)
        return onset, offset

    def _read_role(self, role):
        """Return the times with a role, in seconds, or None; all columns that give them must agree."""
        found: dict = {}
        for place in self.places(role):
            unit = self.roles[place][1]
            if unit in found:
                both = list_names([self.names[found[unit]], self.names[place]])
                raise ValueError(f"{self.path.name}: which column holds the {role}, of {both}? Drop the other.")
            found[unit] = place
        values = [
            self.fields[place].map(lambda text, unit=unit: columns.to_seconds(text, unit, self.comma)).astype(float)
            for unit, place in sorted(found.items(), key=lambda item: str(item[0]))
        ]
        for other in values[1:]:
            names = list_names(self.names[place] for place in found.values())
            self.refuse((values[0] - other).abs() > columns.AGREEMENT, f"{names} differ. Correct one of them.")
        return values[0] if values else None

    def _ask_about_milliseconds(self, onset, offset, label):
        """Refuse times that look like milliseconds where no name of a column tells the unit."""
        units = {self.roles[i][1] for role in ("onset", "offset", "duration") for i in self.places(role)}
        known = slice(None) if label is None else self.fields[label] != UNKNOWN
        clock = any(self.fields[i].str.contains(":", regex=False).any() for i in self.places("onset"))
        if units == {None} and not clock:
            columns.refuse_milliseconds(self.path.name, onset[known], offset[known])

    def read_classes(self, tier):
        """Read one column of 0 and 1 per class, as OpenSoundscape writes them."""
        classes = {self.names[i]: i for i in self.places(None)}
        if tier is not None:
            classes = {tier: classes[choose(self.path.name, tier, list(classes), "tier")]}
        values = self.fields[list(classes.values())].apply(lambda column: column.str.lower())
        if not values.isin(["0", "1", "0.0", "1.0", "false", "true"]).all(axis=None):
            raise ValueError(
                f"{self.path.name} holds scores of the classes {list_names(classes)}, not labels. Keep the rows above "
                "a threshold of your choice, and write start,end,label."
            )
        onset, offset = self.read_times()
        rows = [
            pd.DataFrame({"onset": onset, "offset": offset, "label": name})[values[i].isin(["1", "1.0", "true"])]
            for name, i in classes.items()
        ]
        return pd.concat(rows) if rows else []
