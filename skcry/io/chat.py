"""Annotations in CHAT transcripts (.cha) of TalkBank: utterances with their times, one tier per speaker."""

import re

from .text_files import choose, read_lines, refuse_lines

MARK = "\x15"  # around the times of an utterance: start and end in milliseconds
LINK = r'%?(?:snd|mov):"[^"]{0,300}"_'  # name of the file before the times, in older transcripts
BULLET = re.compile(rf"[{MARK}\u2022](?:{LINK})?(\d{{1,12}})_(\d{{1,12}})[{MARK}\u2022]", re.ASCII)
EVENT = re.compile(r"&=([\w:]+)|\[=! ([^\]]{1,200})\]")  # sounds that are no words: &=cries, or 0 [=! cries]
TERMINATORS = ' .!?+/"'  # at the end of an utterance: a stop, or one such as +/.


def _label(text):
    """Return the sound of an utterance that is no words, such as "cries", or its words."""
    text = " ".join(text.split()).rstrip(TERMINATORS)
    sounds = {next(filter(None, match)).strip() for match in EVENT.findall(text)}
    return sounds.pop() if len(sounds) == 1 and not EVENT.sub("", text).strip(" 0.,") else text


def _utterances(lines):
    """Join the lines of each utterance: dict from the number of its first line to speaker and text."""
    found, number = {}, None
    for line_number, line in lines.items():
        if line.startswith("*") and ":" in line:
            number = line_number
            speaker, text = line[1:].split(":", 1)
            found[number] = speaker, [text]
        elif line[0] in "\t " and number is not None:
            found[number][1].append(line.strip())
        else:
            number = None  # a header or a tier that depends on the utterance
    return {number: (speaker, " ".join(texts)) for number, (speaker, texts) in found.items()}


def read_chat(path, tier=None, **_):
    """Read the utterances of one speaker, with times; ``tier`` is the speaker."""
    lines = read_lines(path, "CHAT")
    if lines and not any(line.startswith(("@", "*")) for line in lines.values()):
        raise ValueError(f"{path.name} cannot be read as CHAT (no line starts with @ or *). Save it as CHAT in UTF-8.")
    rows, faulty = [], {}
    for number, (speaker, text) in _utterances(lines).items():
        bullets = BULLET.findall(text)
        if bullets:
            # An utterance in parts, each with its times, lasts from the first to the last one.
            onset, offset = int(bullets[0][0]), int(bullets[-1][1])
            rows.append((speaker.strip(), onset / 1000, offset / 1000, _label(BULLET.sub(" ", text))))
        if not bullets or MARK in BULLET.sub("", text):
            faulty[number] = repr(f"*{speaker}:{text}")
    refuse_lines(
        path.name,
        faulty,
        "An utterance ends with its start and end in milliseconds, \\x15100_900\\x15. Link it to the sound in CLAN, or "
        "drop it.",
    )
    speakers = list(dict.fromkeys(row[0] for row in rows))
    if not speakers and tier is None:
        return []
    chosen = choose(path.name, tier, speakers, "tier")
    return [row[1:] for row in rows if row[0] == chosen]
