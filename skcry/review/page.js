"use strict";
(() => {
  const about = JSON.parse(document.getElementById("about").textContent);
  const { clips } = about;
  const element = (id) => document.getElementById(id);
  const NAMES = { cry: about.said, not: about.saidNot, unsure: "unsure" };

  // Judgements of each listener: clip -> [judgement, time]; kept against closing under the digest of the clips.
  const KEY = `skcry review ${about.digest}`;
  let state = { listener: null, settings: {}, listeners: {} };
  let keeps = true;
  try {
    state = { ...state, ...JSON.parse(localStorage.getItem(KEY) || "{}") };
    localStorage.setItem(KEY, JSON.stringify(state));
  } catch (error) {
    keeps = false;
  }
  let mine = null; // of the present listener: judged, undo, place, unsaved

  function keep() {
    if (!keeps) return;
    try {
      localStorage.setItem(KEY, JSON.stringify(state));
    } catch (error) {
      keeps = false;
    }
    warnIfLost();
  }

  function warnIfLost() {
    if (!keeps) {
      element("trouble").textContent =
        "This browser does not let the page keep judgements. Save them before you close or reload it.";
    }
  }

  window.addEventListener("beforeunload", (event) => {
    if (!keeps && mine && mine.unsaved) event.preventDefault();
  });

  // Sound: decoded when it is needed, and the next clip meanwhile.
  const decoded = new Map();
  let output = null;
  let volume = null;
  let source = null;
  let began = 0;

  function decode(place) {
    if (!decoded.has(place)) {
      const text = atob(element(`sound-${place}`).textContent.trim());
      const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
      let context;
      try {
        context = new OfflineAudioContext(1, 1, about.rate);
      } catch (error) {
        context = new OfflineAudioContext(1, 1, 44100); // browsers that know the usual rates only
      }
      decoded.set(place, new Promise((done, failed) => context.decodeAudioData(bytes.buffer, done, failed)));
      for (const old of decoded.keys()) if (decoded.size > 4 && old !== place) decoded.delete(old);
    }
    return decoded.get(place);
  }

  function stop() {
    if (source) {
      source.onended = null;
      try {
        source.stop();
      } catch (error) {
        // not started yet
      }
      source = null;
    }
    element("head").style.visibility = "hidden";
  }

  async function play() {
    stop();
    const { place } = mine;
    if (!output) {
      output = new AudioContext();
      volume = output.createGain();
      // Keeps what is made louder below full scale.
      volume.connect(output.createDynamicsCompressor()).connect(output.destination);
    }
    setVolume();
    const [buffer] = await Promise.all([decode(place), output.resume()]);
    if (!mine || mine.place !== place) return;
    stop();
    source = output.createBufferSource();
    source.buffer = buffer;
    source.connect(volume);
    source.onended = stop;
    began = output.currentTime;
    source.start();
    requestAnimationFrame(moveHead);
  }

  function moveHead() {
    if (!source) return;
    const { left, width } = frame;
    const share = Math.min(1, Math.max(0, (output.currentTime - began) / source.buffer.duration));
    element("head").style.transform = `translateX(${left + share * width - 1.5}px)`;
    element("head").style.visibility = "visible";
    requestAnimationFrame(moveHead);
  }

  function setVolume() {
    const decibels = Number(element("gain").value);
    element("decibels").textContent = decibels;
    if (volume) volume.gain.value = 10 ** (decibels / 20);
  }

  // Spectrogram, drawn from the sound that is played.
  const frame = { left: 0, top: 0, width: 1, height: 1 };
  const LIGHT = [[253, 253, 252], [196, 216, 236], [104, 157, 206], [34, 92, 160], [8, 30, 74]];
  const DARK = [[20, 23, 27], [52, 40, 96], [148, 52, 120], [240, 116, 84], [252, 244, 190]];
  const RANGE = 65; // decibels that are shown

  function transform(re, im) {
    const n = re.length;
    for (let i = 1, j = 0; i < n; i++) {
      let bit = n >> 1;
      for (; j & bit; bit >>= 1) j ^= bit;
      j ^= bit;
      if (i < j) [re[i], re[j]] = [re[j], re[i]]; // the imaginary part is 0
    }
    for (let length = 2; length <= n; length *= 2) {
      const half = length / 2;
      for (let k = 0; k < half; k++) {
        const cos = Math.cos((-2 * Math.PI * k) / length);
        const sin = Math.sin((-2 * Math.PI * k) / length);
        for (let a = k; a < n; a += length) {
          const b = a + half;
          const x = re[b] * cos - im[b] * sin;
          const y = re[b] * sin + im[b] * cos;
          re[b] = re[a] - x;
          im[b] = im[a] - y;
          re[a] += x;
          im[a] += y;
        }
      }
    }
  }

  function spectrogram(buffer, nColumns) {
    const sound = buffer.getChannelData(0);
    const n = 2 ** Math.round(Math.log2(0.032 * buffer.sampleRate));
    const nRows = Math.max(1, Math.floor((about.top * n) / buffer.sampleRate));
    const values = new Float32Array(nColumns * nRows);
    const taper = Float32Array.from({ length: n }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / n));
    let highest = -200;
    for (let column = 0; column < nColumns; column++) {
      const first = Math.round((column / nColumns) * sound.length - n / 2);
      const re = new Float32Array(n);
      const im = new Float32Array(n);
      for (let i = 0; i < n; i++) re[i] = (sound[first + i] || 0) * taper[i];
      transform(re, im);
      for (let row = 0; row < nRows; row++) {
        const power = 10 * Math.log10(re[row] ** 2 + im[row] ** 2 + 1e-20);
        values[row * nColumns + column] = power;
        highest = Math.max(highest, power);
      }
    }
    return { values, nColumns, nRows, highest };
  }

  async function draw() {
    const { place } = mine;
    const canvas = element("picture");
    const buffer = await decode(place).catch(() => null);
    if (!mine || mine.place !== place) return;
    if (!buffer) {
      element("trouble").textContent = "This browser cannot decode the sound, which is MP3. Try another one.";
      return;
    }
    const scale = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width) return;
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    Object.assign(frame, { left: 44, top: 24, width: width - 52, height: height - 50 });
    Object.assign(element("head").style, { top: `${frame.top}px`, height: `${frame.height}px` });
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const colours = dark ? DARK : LIGHT;
    const { values, nColumns, nRows, highest } = spectrogram(buffer, Math.min(1200, Math.round(frame.width * scale)));
    const image = new ImageData(nColumns, nRows);
    for (let i = 0; i < values.length; i++) {
      const share = Math.max(0, 1 + (values[i] - highest) / RANGE) * (colours.length - 1);
      const below = Math.min(colours.length - 2, Math.floor(share));
      const target = 4 * ((nRows - 1 - Math.floor(i / nColumns)) * nColumns + (i % nColumns));
      for (let c = 0; c < 3; c++) {
        image.data[target + c] = colours[below][c] + (share - below) * (colours[below + 1][c] - colours[below][c]);
      }
      image.data[target + 3] = 255;
    }
    const small = document.createElement("canvas");
    small.width = nColumns;
    small.height = nRows;
    small.getContext("2d").putImageData(image, 0, 0);
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    pen.drawImage(small, frame.left, frame.top, frame.width, frame.height);
    annotate(pen, clips[place], buffer.duration);
  }

  function annotate(pen, clip, duration) {
    const style = getComputedStyle(document.body);
    const x = (second) => frame.left + (Math.min(second, duration) / duration) * frame.width;
    const { left, top, width, height } = frame;
    const [onset, offset] = [x(clip.lead), x(clip.lead + (clip.offset - clip.onset))];
    pen.font = '13px system-ui, "DejaVu Sans", sans-serif';
    pen.strokeStyle = style.getPropertyValue("--line");
    pen.strokeRect(left, top, width, height);
    // What is not to be judged is paler.
    pen.fillStyle = style.getPropertyValue("--ground");
    pen.globalAlpha = 0.5;
    pen.fillRect(left, top, onset - left, height);
    pen.fillRect(offset, top, left + width - offset, height);
    pen.globalAlpha = 1;
    pen.strokeStyle = pen.fillStyle = style.getPropertyValue("--accent");
    pen.lineWidth = 2;
    pen.strokeRect(onset, top, offset - onset, height);
    pen.fillRect(onset, top - 4, offset - onset, 4);
    pen.textAlign = "center";
    pen.fillText("judge this part", (onset + offset) / 2, top - 8);
    pen.fillStyle = style.getPropertyValue("--quiet");
    const step = about.top > 4000 ? 2 : about.top > 1500 ? 1 : 0.25;
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    for (let kilohertz = 0; kilohertz * 1000 <= about.top; kilohertz += step) {
      pen.fillText(kilohertz, left - 6, top + height * (1 - (kilohertz * 1000) / about.top));
    }
    pen.textAlign = "left";
    pen.textBaseline = "alphabetic";
    pen.fillText("kHz", 4, top - 8);
    pen.textAlign = "center";
    const every = duration > 20 ? 5 : 1;
    for (let second = 0; second <= clip.offset - clip.onset; second += every) {
      pen.fillText(`${second} s`, x(clip.lead + second), top + height + 18);
    }
  }

  function clock(second) {
    const part = (size) => Math.floor(second / size);
    const two = (number) => String(number).padStart(2, "0");
    return `${part(3600)}:${two(part(60) % 60)}:${two(second % 60)}`;
  }

  const count = () => Object.keys(mine.judged).length;

  function show() {
    const clip = clips[mine.place];
    const [judgement] = mine.judged[mine.place] || [];
    element("place").textContent = `Clip ${mine.place + 1} of ${clips.length}`;
    const known = clip.score !== "" && (about.showScore || judgement) ? `, score ${Number(clip.score).toFixed(2)}` : "";
    element("where").textContent = `${clip.recording}, ${clock(clip.onset)} to ${clock(clip.offset)}${known}`;
    element("picture").setAttribute(
      "aria-label",
      `Spectrogram of ${clip.length} s of sound; the part to judge is from ${clip.lead} s to ` +
        `${clip.lead + clip.offset - clip.onset} s`,
    );
    for (const button of document.querySelectorAll("[data-judgement]")) {
      button.setAttribute("aria-pressed", String(button.dataset.judgement === judgement));
    }
    element("count").textContent = `${count()} of ${clips.length} judged, by ${state.listener}`;
    element("progress").max = clips.length;
    element("progress").value = count();
    element("back").disabled = mine.place === 0;
    element("forward").disabled = mine.place === clips.length - 1;
    element("undo").disabled = mine.undo.length === 0;
    element("unsaved").textContent = mine.unsaved ? `${mine.unsaved} not saved to a file yet` : "";
    draw();
    const next = mine.place + 1; // the place may change before the timer ends
    if (next < clips.length) setTimeout(() => decode(next).catch(() => {}), 50);
  }

  function tell(text) {
    element("told").textContent = text;
  }

  function open(place) {
    stop();
    mine.place = Math.min(clips.length - 1, Math.max(0, place));
    keep();
    show();
    const touched = !navigator.userActivation || navigator.userActivation.hasBeenActive;
    if (element("autoplay").checked && touched) play().catch(() => {});
  }

  function judge(judgement) {
    const { place } = mine;
    mine.undo.push([place, mine.judged[place] || null]);
    mine.judged[place] = [judgement, new Date().toISOString()];
    mine.unsaved += 1;
    const { score } = clips[place];
    let text = `Clip ${place + 1}: ${NAMES[judgement]}${score === "" ? "" : `, score ${Number(score).toFixed(2)}`}.`;
    // The next one that is not judged, from here on and then from the start.
    const others = clips.map((_, i) => (place + 1 + i) % clips.length);
    const next = others.find((other) => !(other in mine.judged));
    if (next === undefined) text += ` All ${clips.length} clips are judged. Save your judgements (S).`;
    else text += ` Now clip ${next + 1}, ${count()} of ${clips.length} judged.`;
    tell(text);
    open(next === undefined ? place : next);
  }

  function undo() {
    if (!mine.undo.length) return;
    const [place, before] = mine.undo.pop();
    if (before) mine.judged[place] = before;
    else delete mine.judged[place];
    mine.unsaved += 1;
    tell(`Undone: clip ${place + 1} is ${before ? NAMES[before[0]] : "not judged"} again.`);
    open(place);
  }

  function move(step) {
    if (mine.place + step < 0 || mine.place + step >= clips.length) return;
    const [judgement] = mine.judged[mine.place + step] || [];
    tell(`Clip ${mine.place + step + 1} of ${clips.length}, ${judgement ? `judged ${NAMES[judgement]}` : "not judged"}.`);
    open(mine.place + step);
  }

  function save() {
    const quote = (value) => (/[",\r\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : String(value));
    const rows = clips.map((clip, place) => {
      const [judgement, at] = mine.judged[place] || ["", ""];
      return about.columns.map((name) => ({ ...clip, judgement, at, reviewer: state.listener })[name]);
    });
    // Clips that were left out are unsure from when the listener has come to their place.
    const heard = 1 + Math.max(-1, ...clips.map((_, place) => (mine.judged[place] ? place : -1)));
    for (const clip of about.leftOut) {
      const judgement = clip.after < heard || heard === clips.length ? "unsure" : "";
      rows.push(about.columns.map((name) => ({ ...clip, judgement, at: "", reviewer: state.listener })[name]));
    }
    const text = [about.columns, ...rows].map((row) => `${row.map(quote).join(",")}\r\n`).join("");
    const link = document.createElement("a");
    // With the mark, spreadsheets know that it is UTF-8.
    link.href = URL.createObjectURL(new Blob(["\ufeff", text], { type: "text/csv" }));
    link.download = `${about.file}-${state.listener.replace(/[^\p{L}\p{N}_-]+/gu, "_")}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    mine.unsaved = 0;
    keep();
    show();
    tell(`Saved ${count()} of ${clips.length} judgements as ${link.download}.`);
  }

  function start(name) {
    state.listener = name;
    // No prototype, since a listener may be called "constructor".
    state.listeners = Object.assign(Object.create(null), state.listeners);
    state.listeners[name] ??= { judged: {}, undo: [], place: 0, unsaved: 0 };
    mine = state.listeners[name];
    element("enter").hidden = true;
    element("review").hidden = element("judged").hidden = false;
    tell("");
    open(mine.place);
  }

  element("enter").addEventListener("submit", (event) => {
    event.preventDefault();
    const name = element("name").value.trim();
    element("fault").textContent = name ? "" : "Enter a name or initials first.";
    if (name) start(name);
    else element("name").focus();
  });
  element("leave").addEventListener("click", () => {
    stop();
    mine = null;
    state.listener = null;
    keep();
    element("review").hidden = element("judged").hidden = true;
    element("enter").hidden = false;
    element("name").value = "";
    element("name").focus();
  });

  const actions = {
    c: () => judge("cry"),
    n: () => judge("not"),
    u: () => judge("unsure"),
    r: () => play().catch(() => {}),
    " ": () => play().catch(() => {}),
    ArrowLeft: () => move(-1),
    ArrowRight: () => move(1),
    z: undo,
    s: save,
  };
  document.addEventListener("keydown", (event) => {
    if (!mine || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    const at = event.target;
    if (!element("keys").checked || (at.tagName === "INPUT" && at.type !== "checkbox")) return;
    if (event.key === " " && at !== document.body) return; // it presses what has the focus
    const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
  const onClick = (button, action) =>
    button.addEventListener("click", (event) => {
      action();
      if (event.detail) button.blur(); // of a mouse; else space would press it again
    });
  for (const button of document.querySelectorAll("[data-judgement]")) {
    onClick(button, () => judge(button.dataset.judgement));
  }
  onClick(element("back"), actions.ArrowLeft);
  onClick(element("forward"), actions.ArrowRight);
  onClick(element("replay"), actions.r);
  onClick(element("undo"), undo);
  onClick(element("save"), save);

  for (const name of ["autoplay", "keys", "gain"]) {
    const input = element(name);
    const property = input.type === "checkbox" ? "checked" : "value";
    if (name in state.settings) input[property] = state.settings[name];
    input.addEventListener("input", () => {
      state.settings[name] = input[property];
      setVolume();
      keep();
    });
  }
  setVolume();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => mine && draw());
  window.addEventListener("resize", () => mine && draw());

  warnIfLost();
  if (state.listener) start(state.listener);
})();
