// The dashboard: listens to /events and shows what is new. Whatever comes from the run (names,
// values, reasons) is shown as text; nothing of it is ever read as markup.
"use strict";

const SHOWN = { refreshes: 50, models: 20, alerts: 30, rows: 20, skipped: 20 };
/** What the report shows too: thresholds, titles, figures (model/display.json). */
const DISPLAY = JSON.parse(document.documentElement.dataset.display);
const { quiet: QUIET, stale: STALE } = DISPLAY.seconds; // without a new status: is it quiet, is it gone?
const ENDED = DISPLAY.ended;
const KEY = "correnteza-key";
const asksKey = document.documentElement.hasAttribute("data-key");
const $ = (id) => document.getElementById(id);

const run = { settings: null, status: null, model: null, models: [], since: 0, reports: new Map(), recent: [], pinned: null };
const link = { state: "wait", retry: 0, ahead: 0, moved: performance.now(), heard: 0 };

// --- Elements and figures

/** An element; what is in it is text, or elements. */
function el(tag, attributes, ...inside) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...inside.map((each) => each.nodeType ? each : String(each)));
  return made;
}

const count = (number) => number.toLocaleString("en");
const when = (iso) => iso.replace(/(\.\d+)?Z$/, "").replace("T", " ");

/** A figure of four significant digits; a dash for none. */
function figure(value) {
  if (value == null || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1e15 || (size && size < 1e-4)) return value.toExponential(2).replaceAll("-", "−");
  const digits = size >= 1000 ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 4 };
  return value.toLocaleString("en", digits).replace("-", "−");
}

/** A figure to three decimals, as drift is shown. */
const thousandths = (value) => value == null ? "–" : value.toFixed(3).replace("-", "−");

function size(bytes) {
  for (const [least, unit] of [[1e9, "GB"], [1e6, "MB"], [1e3, "kB"]]) {
    if (bytes >= least) return `${Number((bytes / least).toPrecision(3))} ${unit}`;
  }
  return `${bytes} B`;
}

function duration(seconds) {
  const whole = Math.max(0, seconds);
  if (whole < 10) return `${whole.toFixed(1)} s`;
  if (whole < 120) return `${Math.round(whole)} s`;
  if (whole < 7200) return `${Math.round(whole / 60)} min`;
  return whole < 172800 ? `${Math.round(whole / 3600)} h` : `${Math.round(whole / 86400)} days`;
}

/** A length in its largest unit, if it comes out even: 604800 is "7 days". */
function length(seconds) {
  for (const [unit, name] of [[86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]]) {
    if (seconds >= unit && seconds % unit === 0) return `${count(seconds / unit)} ${name}${seconds === unit ? "" : "s"}`;
  }
  return `${seconds} s`;
}

/** Seconds from a time until now, by the server's clock. */
const ago = (iso) => (Date.now() + link.ahead - Date.parse(iso)) / 1000;

function pairs(list, found) {
  list.replaceChildren(...found.map(([name, ...values]) => el("div", {}, el("dt", {}, name), el("dd", {}, ...values))));
}

/** A heading's definition from the page's glossary, as its tooltip. */
function definition(title) {
  const term = [...document.querySelectorAll("#glossary dt")].find((each) => each.dataset.titles?.split("|").includes(title));
  return term?.nextElementSibling.textContent ?? null;
}

/** A table that scrolls by itself. Columns: [title, is a number, is left out on phones]; rows: elements of <tr>. */
function table(label, columns, rows) {
  const head = columns.map(([title, number, wide]) => el("th",
    { scope: "col", class: [number && "n", wide && "wide"].filter(Boolean).join(" ") || null, title: definition(title) }, title));
  return el("div", { class: "scroll", role: "region", "aria-label": label, tabindex: 0 },
    el("table", {}, el("caption", { class: "hidden" }, label),
      el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...rows)));
}

const numbers = (values, wide = []) => values.map((value, place) => el("td", { class: wide[place] ? "n wide" : "n" }, value));
const note = (text) => el("p", { class: "note" }, text);
const bad = (text) => el("p", { class: "bad" }, text);

// --- Asking the server

/** The server's answer to a request, as JSON; an error has its `status` and `problem`. */
async function ask(path, options = {}) {
  const answer = await request(path, options);
  return answer.json();
}

async function request(path, options = {}) {
  const key = sessionStorage.getItem(KEY);
  if (asksKey && !key) await askKey("");
  const headers = { ...options.headers };
  if (asksKey) headers["X-API-Key"] = sessionStorage.getItem(KEY);
  const answer = await fetch(path, { ...options, headers, cache: "no-store" });
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => ({ detail: `${answer.status} ${answer.statusText}` }));
  if (answer.status === 401) {
    if (sessionStorage.getItem(KEY) === headers["X-API-Key"]) sessionStorage.removeItem(KEY);
    if (!sessionStorage.getItem(KEY)) await askKey("That is not the key.");
    return request(path, options);
  }
  throw Object.assign(new Error(problem.detail), { status: answer.status, problem });
}

/** Work that is done once at a time; if it is asked for meanwhile, it is done once more. */
function coalesced(work) {
  let doing = null, again = false;
  const all = async () => {
    try {
      do {
        again = false;
        await work();
      } while (again);
    } finally {
      doing = null;
    }
  };
  return () => {
    again = doing !== null;
    doing ??= all();
    return doing;
  };
}

/** Does several such, each whatever becomes of the others. */
const doAll = (...works) => works.forEach((work) => work().catch(complain));

let asking = null;

/** Asks the reader for the key, once for all requests that wait for it. */
function askKey(fault) {
  $("key-fault").textContent = fault;
  asking ??= new Promise((done) => {
    $("key-form").onsubmit = (event) => {
      event.preventDefault();
      const key = $("key-input").value.trim();
      if (!/^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(key)) {
        $("key-fault").textContent = "A key is made of printable ASCII signs.";
        return;
      }
      sessionStorage.setItem(KEY, key);
      $("key-input").value = "";
      $("key").close();
      asking = null;
      done();
    };
    $("key").oncancel = (event) => event.preventDefault();
    $("key").showModal();
  });
  return asking;
}

// --- What the job is doing now

/** Rows read a second, over the last ten seconds or so that the status covers. */
function rateNow() {
  const [first, last] = [run.recent[0], run.recent.at(-1)];
  return run.recent.length > 1 ? (last.rows - first.rows) / ((last.at - first.at) / 1000) : null;
}

function takeStatus(status) {
  const fresh = status?.updated && status.updated !== run.status?.updated;
  if (status?.updated) run.status = status;
  if (!fresh) return;
  // The first status may be old; by the second one the run is known to live, whatever its clock says.
  link.moved = performance.now() - (link.heard++ ? 0 : Math.max(0, ago(status.updated) * 1000));
  run.recent.push({ at: Date.parse(status.updated), rows: status.rows_read });
  while (run.recent.length > 2 && run.recent.at(-1).at - run.recent[1].at >= 10000) run.recent.shift();
}

/** How the run stands: a kind that decides the colour, and words. */
function standing() {
  if (link.state === "wait") return ["wait", "connecting"];
  if (link.state === "lost") return ["bad", `connection lost, again in ${Math.ceil((link.retry - performance.now()) / 1000)} s`];
  if (!run.status) return ["wait", "starting"];
  const state = run.status.state;
  if (ENDED.includes(state)) return [state === "failed" ? "bad" : "done", state];
  const quiet = (performance.now() - link.moved) / 1000;
  if (quiet > STALE) return ["bad", `no sign of life for ${duration(quiet)}`];
  if (quiet > QUIET) return ["wait", `quiet for ${duration(quiet)}`];
  return rateNow() === 0 ? ["wait", "idle: no rows come"] : ["live", state === "running" ? "live" : state];
}

const newest = () => [...run.reports.values()].at(-1);
/** The newest refresh that has figures. */
const scored = () => [...run.reports.values()].findLast((report) => (report.mae ?? report.log_loss) != null);

function showNow() {
  const [kind, text] = standing();
  if ($("pulse").dataset.kind !== kind) $("heard").textContent = `The run: ${text}`;
  if ($("pulse").textContent !== text) $("pulse").textContent = text;
  $("pulse").dataset.kind = kind;
  if (!run.settings) return;
  const running = isMoving();
  pairs($("facts"), [
    ["Rows read", count(run.status?.rows_read ?? 0)],
    ["Watermark", watermark() ? when(watermark()) : "–"],
    ...lag(running),
    ...topic(running),
    ["Status of (UTC)", run.status ? when(run.status.updated) : "–"],
    ["Model that serves", run.model ?? "none yet"],
    ["Learner, window", `${run.settings.learner}, ${length(run.settings.window)}`],
  ]);
  showFilling(running);
  showTiles(running);
}

/** Whether the run goes on, as far as anybody knows: it has not ended, and has been heard of lately. */
function isMoving() {
  const quiet = (performance.now() - link.moved) / 1000;
  return Boolean(run.status) && link.state === "live" && !ENDED.includes(run.status.state) && quiet <= QUIET;
}

/** How far event time has come: of a run that has ended well, to the end of its last refresh. */
function watermark() {
  const last = ["done", "drained"].includes(run.status?.state) ? newest()?.refresh_end ?? "" : "";
  const known = run.status?.watermark ?? "";
  return known > last ? known : last;
}

function lag(running) {
  if (!run.settings.live || !run.status?.watermark || ENDED.includes(run.status.state)) return [];
  const seconds = (Date.parse(run.status.updated) - Date.parse(run.status.watermark)) / 1000;
  const delays = Object.entries((running && run.status.delays) || {}).map(([name, delay]) => [`${name[0].toUpperCase()}${name.slice(1)}, p95`, duration(delay.p95)]);
  return [["Watermark is behind by", duration(seconds)], ...delays];
}

/** How far the topic has been read; nothing of a run on anything else. */
function topic(running) {
  const known = running && run.status.topic;
  if (!known) return [];
  const seconds = known.lag_seconds ? ` (${duration(known.lag_seconds)})` : "";
  const places = (chosen) => Object.entries(known.by_partition).filter(([, one]) => chosen(one)).map(([name]) => name);
  const shown = (names) => names.slice(0, 8).join(", ") + (names.length > 8 ? ", …" : "");
  return [
    ["Topic: rows to read", count(known.lag_rows) + seconds],
    ...(known.undecoded ? [["Records not decoded", `${count(known.undecoded)} (partition ${shown(places((one) => one.undecoded))})`]] : []),
    ...(known.idle ? [["Idle partitions", `${count(known.idle)} of ${count(known.partitions)} (${shown(places((one) => one.idle))})`]] : []),
  ];
}

/** How far event time has come in the refresh that is filling. */
function showFilling(running) {
  const watermark = Date.parse(run.status?.watermark ?? ""), every = run.settings.every * 1000;
  $("filling").hidden = !running || !Number.isFinite(watermark);
  if ($("filling").hidden) return;
  const start = Math.floor(watermark / every) * every;
  const [from, to] = [start, start + every].map((at) => when(new Date(at).toISOString()));
  $("filling-text").textContent = `The refresh ${from} to ${to.slice(11)} is filling`;
  $("filling-bar").value = (watermark - start) / every;
}

/** How old the model is that serves: live, since its window's end; else since it was taken up. */
function modelAge() {
  const ended = run.models.find((each) => each.name === run.model)?.manifest?.window_end;
  if (run.settings.live && ended) return ["Age of the model's window", duration(ago(ended))];
  return ["Model in service for", run.model ? duration((Date.now() + link.ahead) / 1000 - run.since) : "–"];
}

/** The figures of the run's task. */
const shownFigures = () => (run.settings.schema.task ? DISPLAY.class_figures : DISPLAY.figures);

/** What a model's card shows first. */
function shownFacts() {
  if (!run.settings.schema.task) return DISPLAY.model;
  const own = DISPLAY.model.filter(([, field]) => !field.startsWith("training."));
  return [...own.slice(0, -1), ...DISPLAY.class_fit, ...own.slice(-1)];
}

function showTiles(running) {
  const report = scored(), now = rateNow(), rate = running && now != null ? now : run.status?.rate;
  pairs($("tiles"), [
    [run.settings.schema.task ? "Log loss" : "Mean absolute error", figure(report?.mae ?? report?.log_loss)],
    ["Baseline's error", figure(report?.baseline_mae ?? report?.baseline_log_loss)],
    ["Skill", figure(report?.skill_best ?? report?.skill)],
    [running ? "Rows a second, now" : "Rows a second", rate == null ? "–" : count(Math.round(rate))],
    running ? modelAge() : run.settings.schema.task ? ["AUC", figure(report?.roc_auc)] : ["R²", figure(report?.r2)],
  ]);
}

function showLead() {
  const report = scored(), strong = (text, kind) => el("b", { class: kind }, text);
  const target = strong(run.settings.schema.target);
  if (!report) {
    const reason = run.reports.size ? "No row has been scored yet that has a target." : "No refresh has been reported yet.";
    $("lead").replaceChildren("Predicting ", target, ". ", reason);
    return;
  }
  if (run.settings.schema.task) {
    const model = report.model ? ["model ", strong(report.model)] : ["earlier models"];
    $("lead").replaceChildren("Predicting ", target, ", the log loss of ", ...model, " was ",
      strong(figure(report.log_loss), "good"), " in the refresh ", strong(when(report.refresh_start)),
      "; that of the class shares of its window was ", strong(figure(report.baseline_log_loss), "base"), ".");
    return;
  }
  // Labels may come in a refresh without a question: then no model serves it.
  const model = report.model ? ["model ", strong(report.model)] : ["earlier models"];
  $("lead").replaceChildren("Predicting ", target, ", ", ...model, " missed by ",
    strong(figure(report.mae), "good"), " on average in the refresh ", strong(when(report.refresh_start)),
    `; the mean of ${report.model ? "its window" : "their windows"} missed by `, strong(figure(report.baseline_mae), "base"), ".");
}

/** What became of the questions, where labels come later. */
async function showQuestions() {
  const later = run.settings?.schema.wait != null;
  $("asked").hidden = !later;
  if (!later) return;
  const asked = await ask("/questions");
  const counts = DISPLAY.labels.filter(([, field]) => asked.counts[field] || field === "answered" || field === "expired");
  const within = (share, seconds) => `${share} within ${duration(seconds)}`;
  pairs($("asked"), [
    ["Open", count(asked.open)],
    ...(asked.open ? [["Oldest open question", `${duration(asked.oldest_open_seconds)} at most`]] : []),
    ...counts.map(([title, field]) => [title, count(asked.counts[field] ?? 0)]),
    ...(asked.delay ? [["Delay of the newest labels", [within("50 %", asked.delay.p50), within("90 %", asked.delay.p90), within("all", asked.delay.max)].join(", ")]] : []),
  ]);
}

// --- Refreshes, drift, alerts

function takeReport(report) {
  run.reports.set(report.refresh_start, report);
  run.reports = new Map([...run.reports].sort(([a], [b]) => a < b ? -1 : 1).slice(-200));
}

function showReports(fresh) {
  const byLabel = [...run.reports.values()].some((r) => r.answered != null);
  const columns = [...DISPLAY.counts, ...shownFigures()].map(([title]) => [
    ["MAE", "Log loss"].includes(title) && byLabel ? `${title} by label` : title, true, !DISPLAY.on_phones.includes(title)]);
  const wide = columns.map(([, , left]) => left);
  const rows = [...run.reports.values()].slice(-SHOWN.refreshes).reverse().map((r) => el("tr",
    { "data-refresh": r.refresh_start, class: r.refresh_start === fresh && "new" },
    el("th", { scope: "row" }, when(r.refresh_start)), el("td", { class: "model" }, r.model ?? "–"),
    ...numbers([...DISPLAY.counts.map(([, field]) => count(r[field])),
      ...shownFigures().map(([, field]) => figure(r[field]))], wide)));
  if (rows.length) swap($("refreshes-table"), table("Refreshes, the newest first", [["Refresh (UTC)"], ["Model"], ...columns], rows));
  $("refreshes-table").querySelector("table")?.classList.add("narrow");
  showDrift();
}

/** Puts a table in the place of another, which may be scrolled or have the focus. */
function swap(place, made) {
  const old = place.querySelector(".scroll");
  const [top, left, focused] = [old?.scrollTop ?? 0, old?.scrollLeft ?? 0, old && old === document.activeElement];
  place.replaceChildren(made);
  Object.assign(made, { scrollTop: top, scrollLeft: left });
  if (focused) made.focus({ preventScroll: true });
}

/** A shift in words: what chance explains is steady. */
function verdict(shift) {
  if (shift.psi <= Math.max(DISPLAY.psi.moderate, shift.psi_by_chance)) return "steady";
  return shift.psi > DISPLAY.psi.large ? "large" : "moderate";
}

function showDrift() {
  const report = [...run.reports.values()].findLast((each) => each.drift);
  if (!report) return;
  const shifts = [...Object.entries(report.drift.features), ["the prediction", report.drift.prediction]];
  const rows = shifts.sort(([, a], [, b]) => b.psi - a.psi).map(([name, shift]) => el("tr", {},
    el("th", { scope: "row", class: "name" }, name), ...numbers([shift.psi, shift.mean_shift].map(thousandths)),
    el("td", { class: verdict(shift) }, verdict(shift))));
  const columns = [["Column"], ["PSI", true], ["Shift, SD", true], ["Drift"]];
  $("drift-t").textContent = `Drift of the refresh ${when(report.refresh_start)}`;
  swap($("drift"), table("Drift by column, the greatest first", columns, rows));
}

/** How many alerts there are, beside the link to them. */
function badge(alerts) {
  $("alerts-count").hidden = !alerts;
  $("alerts-count").textContent = alerts < SHOWN.alerts ? count(alerts) : `${count(alerts)}+`;
  $("alerts-count").title = `${count(alerts)} of the newest alerts are listed`;
}

/** The windows that made no model, if any did not. */
async function showSkipped() {
  const found = await ask(`/skipped?limit=${SHOWN.skipped}`);
  $("skipped").hidden = !found.length;
  if (!found.length) return;
  const rows = found.map((skip) => el("tr", {}, el("th", { scope: "row" }, when(skip.window_end)),
    ...numbers([count(skip.rows)], [true]), el("td", { class: "name" }, DISPLAY.skips[skip.kind] ?? skip.kind, el("small", {}, skip.reason))));
  swap($("skipped-table"), table("Windows without a model, the newest first", [["Window to (UTC)"], ["Labelled rows", true, true], ["Why"]], rows));
}

/** Files of the run that cannot be read, and why the folder is not looked at, if so. */
function showDamaged(found) {
  $("damaged").hidden = !found.length;
  const shown = found.slice(0, 5).map((each) => el("li", {}, el("code", {}, each.file), ` ${each.reason}`));
  const more = found.length > 5 ? [el("li", {}, `and ${count(found.length - 5)} more`)] : [];
  $("damaged-list").replaceChildren(...shown, ...more);
}

/** The newest rows with their predictions: the user's own key first, then what is kept. */
async function showRows() {
  if (!run.reports.size || run.settings.predictions === "none") return; // there is no sample
  const found = await ask(`/data?limit=${SHOWN.rows}`).catch((error) => {
    if (error.status !== 404) throw error;
    return null;
  });
  if (!found?.rows.length) return;
  const schema = run.settings.schema, first = found.rows[0];
  const has = (name) => name != null && Object.hasOwn(first, name);
  const keys = ["key", schema.id].filter(has).slice(0, 1);
  const kept = (schema.keep ?? []).filter((name) => has(name) && !keys.includes(name) && name !== schema.time && name !== schema.target);
  const names = [...(keys.length ? keys : ["id"]), ...kept, "time", schema.target, "prediction"].filter(has);
  const cell = (value) => value == null ? "–" : typeof value === "number" && !Number.isInteger(value) ? figure(value) : String(value);
  const isNumber = (name) => found.rows.some((row) => typeof row[name] === "number");
  const leading = [schema.target, "prediction"]; // beside the key, what a phone has room for
  const rows = found.rows.map((row) => el("tr", {}, ...names.map((name, place) => place === 0
    ? el("th", { scope: "row", class: "name" }, cell(row[name]))
    : el("td", { class: [isNumber(name) && "n", !leading.includes(name) && "wide"].filter(Boolean).join(" ") || null }, name === "time" ? when(String(row[name])) : cell(row[name])))));
  const columns = names.map((name, place) => [name, place > 0 && isNumber(name), place > 0 && !leading.includes(name)]);
  $("rows-t").hidden = false;
  $("rows-note").textContent = `Rows of the sample of the refresh ${found.refresh}, as they came.`;
  swap($("rows-table"), table("Newest predictions", columns, rows));
}

async function showAlerts() {
  const found = await ask(`/alerts?limit=${SHOWN.alerts}`).catch((error) => {
    if (!error.status) throw error;
    $("alerts-list").replaceChildren(bad(error.message));
    return [];
  });
  badge(found.length);
  const { damaged } = await ask("/status");
  const unread = damaged.filter((each) => each.file.startsWith("alerts/")).map((each) => bad(`${each.file}: ${each.reason}`));
  showDamaged(damaged);
  if (!found.length) {
    if (unread.length) $("alerts-list").replaceChildren(...unread);
    return;
  }
  const rows = found.map((alert) => el("tr", {},
    el("th", { scope: "row", class: "name" }, alert.predicted == null ? alert.column : `${alert.column} '${alert.predicted}'`, el("small", {}, when(alert.refresh_start) + (alert.state ? `, ${alert.state}` : ""))),
    ...numbers([`${DISPLAY.alerts[alert.what] ?? alert.what} ${thousandths(alert.value)}`, thousandths(alert.threshold)])));
  const columns = [["Column, refresh"], ["Drift", true], ["Allowed", true]];
  swap($("alerts-list"), table("Alerts, the newest first", columns, rows));
  $("alerts-list").append(...unread);
}

// --- Models

async function showPin() {
  const act = await ask("/promotions/pinned");
  run.pinned = act ? act.to : null;
  $("pinned").hidden = !run.pinned;
  $("pinned").textContent = run.pinned ? `${run.pinned} is pinned since ${when(act.since)}${act.why ? `: ${act.why}` : ""}. It serves until it is unpinned.` : "";
  $("pin-form").hidden = !asksKey;
  $("unpin").hidden = !run.pinned;
}

/** Pins a model, unpins it, or rolls back; the server writes it into the run's record. */
async function promote(what, model) {
  const asked = { what, why: $("pin-why").value, ...(model ? { model } : {}) };
  try {
    const headers = { "Content-Type": "application/json" };
    const done = await ask("/promotions", { method: "POST", headers, body: JSON.stringify(asked) });
    $("pin-answer").replaceChildren(note(done.message));
    $("pin-why").value = "";
    doAll(loadModels);
  } catch (error) {
    $("pin-answer").replaceChildren(bad(error.status ? error.message : "The server cannot be reached."));
  }
}

async function showModels() {
  await showPin();
  run.models = await ask(`/models?limit=${SHOWN.models}`);
  const old = new Map([...$("models-list").querySelectorAll("details")].map((each) => [each.dataset.model, each]));
  const shown = run.models.map((model) => {
    const kept = old.get(model.name);
    const made = kept?.dataset.damaged === String(model.damaged) ? kept : details(model);
    made.querySelector("summary").replaceChildren(...summary(model));
    return made;
  });
  const list = $("models-list");
  if (!shown.length) return list.replaceChildren(note("None is kept yet."));
  // What stays is not moved: it keeps the focus.
  for (const each of [...list.children]) if (!shown.includes(each)) each.remove();
  shown.forEach((each, place) => { if (list.children[place] !== each) list.insertBefore(each, list.children[place] ?? null); });
}

function summary(model) {
  const served = [...run.reports.values()].find((report) => report.model === model.name);
  const mae = served ? `${run.settings.schema.task ? "log loss" : "MAE"} ${figure(served.mae ?? served.log_loss)} in its first refresh` : "has not served yet";
  const m = model.manifest, parts = m ? [`${count(m.rows)} rows`, size(m.bytes), mae] : [];
  const serves = model.name === run.model ? [el("span", { class: "serving" }, "serves now")] : [];
  const damaged = m ? [] : [el("span", { class: "bad" }, "cannot be read")];
  const pinned = model.name === run.pinned ? [el("span", { class: "serving" }, "pinned")] : [];
  return [el("h3", {}, model.name), ...serves, ...pinned, ...parts.map((part) => el("span", {}, part)), ...damaged];
}

function details(model) {
  const made = el("details", { "data-model": model.name, "data-damaged": model.damaged ?? "null" }, el("summary"));
  if (!model.manifest) {
    made.append(bad(model.damaged));
    return made;
  }
  const m = model.manifest, facts = el("dl", { class: "facts" });
  const formats = { when, count, figure, text: String, length: (list) => count(list.length) };
  pairs(facts, shownFacts().map(([title, path, format]) =>
    [title, formats[format](path.split(".").reduce((found, name) => found?.[name], m))]));
  const codes = (found) => Object.entries(found).map(([key, value]) => el("code", {}, `${key}=${value}`));
  const other = m.into_other ? [["Falls into other", ...m.into_other.map((line) => el("div", {}, line))]] : [];
  const parts = [["Parameters", ...codes(m.parameters)], ...other, ["Versions", ...codes(m.versions)],
    ["Data", el("code", { class: "hash" }, m.fingerprint)], ["SHA-256", el("code", { class: "hash" }, m.sha256)]];
  const rows = parts.map(([name, ...inside]) => el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, ...inside)));
  const place = el("div", {}, note("…"));
  if (asksKey) {
    const pin = el("button", { type: "button", class: "pin" }, `Pin ${model.name}`);
    pin.addEventListener("click", () => promote("pin", model.name));
    made.append(pin);
  }
  made.addEventListener("toggle", () => { if (made.open) loadStatistics(model.name, place).catch(complain); }, { once: true });
  made.append(facts, el("h4", {}, "Statistics of its window"), place,
    el("h4", {}, "How it was made"), el("div", { class: "scroll", role: "region", "aria-label": `How ${model.name} was made`, tabindex: 0 },
      el("table", { class: "pairs" }, el("tbody", {}, ...rows))));
  return made;
}

/** Shows the statistics of a model's window; they are asked for when they are wanted, since they may be long. */
async function loadStatistics(name, place) {
  const manifest = await ask(`/models/${name}`).catch((error) => {
    place.replaceChildren(bad(error.message));
    throw error;
  });
  place.replaceChildren(statistics(manifest));
}

function statistics(manifest) {
  const rows = Object.entries(manifest.statistics).map(([name, s]) => {
    const numeric = [s.mean, s.variance == null ? null : Math.sqrt(s.variance), s.min, s.max].map(figure);
    return el("tr", {}, el("th", { scope: "row" }, name), ...numbers([count(s.count), count(s.nulls), ...numeric]),
      el("td", { class: "long" }, s.values ? common(s) : ""));
  });
  const columns = DISPLAY.statistics.map((title) => [title, true]);
  return table("Statistics of its window", [["Column"], ...columns, ["Commonest values"]], rows);
}

function common(column) {
  const ranked = Object.entries(column.values).sort(([, a], [, b]) => b - a);
  const shares = ranked.slice(0, DISPLAY.common_values).map(([value, rows]) => `${value} ${(100 * rows / column.count).toFixed(1)} %`);
  return shares.join(", ") + (ranked.length > DISPLAY.common_values ? `, ${count(ranked.length - DISPLAY.common_values)} more` : "");
}

// --- Pictures

/** Shows a group of pictures, and again if they were older than what the page knows by then. */
async function loadPictures(group, load) {
  const found = await ask(`/pictures/${group}`);
  showPictures(group, found);
  if ((found.refresh ?? "") < stamp(newest()?.refresh_start ?? "")) setTimeout(() => load().catch(complain), 250);
}

/** A time as the run's folder names its files, to the second. */
const stamp = (iso) => iso.replace(/[-:]|\.\d+/g, "");

function showPictures(group, found) {
  const place = document.querySelector(`[data-pictures="${group}"]`);
  if (found.trouble) place.replaceChildren(bad(`Cannot be drawn: ${found.trouble}`));
  else if (found.pictures.length) place.replaceChildren(...found.pictures.map(drawn));
}

/** A picture; its markup is the server's own, and is read as XML in which no script runs. */
function drawn(picture) {
  const read = new DOMParser().parseFromString(picture.svg, "image/svg+xml").documentElement;
  const svg = document.importNode(read, true);
  for (const each of [svg, ...svg.querySelectorAll("[data-style]")]) {
    if (each.dataset.style) each.style.cssText = each.dataset.style;
    each.removeAttribute("data-style");
  }
  return el("figure", {}, el("figcaption", {}, el("h3", {}, picture.title), el("p", {}, picture.note)), svg);
}

const GROUPS = ["over-time", "drift", "predictions", "features", "models"];
const pictures = Object.fromEntries(GROUPS.map((group) => {
  const load = coalesced(() => loadPictures(group, load));
  return [group, load];
}));

// --- A prediction

const NUMBER = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i;
const form = { fields: [], answered: null };
const LIKELY = 5; // classes whose probabilities are shown

/** Makes the form, or, for another model, renews what it knows; what was typed stays. */
async function showForm() {
  const latest = await ask("/form");
  const typed = new Map(form.fields.filter((field) => field.touched).map((field) => [field.name, field.input.value]));
  form.target = latest.target;
  if (form.fields.length === latest.fields.length) form.fields.forEach((field, place) => renew(field, latest.fields[place]));
  else {
    form.fields = latest.fields.map((field, place) => entry(field, place));
    $("fields").replaceChildren(...form.fields.map((field) => field.element));
  }
  if (form.answered && form.answered !== latest.model) {
    $("answer").querySelector(".hint").textContent = `By model ${form.answered}; ${latest.model} serves now: predict again.`;
  }
}

function entry(described, place) {
  const id = `field-${place}`, numeric = described.kind === "numeric";
  const input = el("input", { id, name: id, autocomplete: "off", spellcheck: "false", list: numeric ? null : `${id}-known`,
    inputmode: numeric ? "decimal" : null, "aria-describedby": `${id}-hint ${id}-fault` });
  const field = { input, touched: false, hint: el("p", { class: "hint", id: `${id}-hint` }),
    error: el("p", { class: "fault", id: `${id}-fault` }), known: el("datalist", { id: `${id}-known` }) };
  input.addEventListener("input", () => { field.touched = true; });
  field.element = el("div", { class: "field" }, el("label", { for: id }, described.name), input, field.known, field.hint, field.error);
  renew(field, described);
  return field;
}

function renew(field, described) {
  Object.assign(field, { name: described.name, kind: described.kind, begins: described.fault, values: described.known });
  if (!field.touched) field.input.value = described.value ?? "";
  field.known.replaceChildren(...described.known.map((value) => el("option", { value })));
  const range = described.least == null ? "A number" : `Seen: ${figure(described.least)} to ${figure(described.greatest)}`;
  const many = described.known.length === 1 ? "1 value is known" : `${count(described.known.length)} values are known`;
  const hint = { numeric: range, categorical: many, time: "A time, as 2026-01-31T12:00" }[described.kind];
  field.hint.textContent = `${hint}; empty is null`;
}

/** What a field holds: null if it is empty; what is not a number is sent as it is, and refused. */
function value(field) {
  const text = field.input.value;
  if (field.kind !== "numeric") return text === "" ? null : text;
  const number = Number(text);
  if (!text.trim()) return null;
  return NUMBER.test(text.trim()) && Number.isFinite(number) ? number : text;
}

async function predict(event) {
  event.preventDefault();
  const row = Object.fromEntries(form.fields.map((field) => [field.name, value(field)]));
  form.fields.forEach((field) => mark(field, ""));
  try {
    const headers = { "Content-Type": "application/json" };
    showAnswer(await ask("/predict", { method: "POST", headers, body: JSON.stringify(row) }), row);
  } catch (error) {
    form.answered = null;
    showFaults(error);
  }
}

function mark(field, fault) {
  field.error.textContent = fault;
  if (fault) field.input.setAttribute("aria-invalid", "true");
  else field.input.removeAttribute("aria-invalid");
}

function showAnswer(answer, row) {
  const [number] = answer.predictions;
  const text = number == null ? "no finite number" : number.toLocaleString("en", { maximumSignificantDigits: 6 });
  const unseen = form.fields.filter((f) => answer.unknown?.[f.name]);
  form.answered = answer.model;
  $("answer").replaceChildren(
    el("p", {}, `${form.target}: `, el("data", { value: number ?? "" }, text)),
    ...probabilities(answer.probabilities?.[0]),
    el("p", { class: "hint" }, `By model ${answer.model}.`),
    ...unseen.map((f) => el("p", { class: "hint" }, `“${row[f.name]}” has no column of its own in ${f.name}: it counts as other.`)));
}

/** Of a class the most probable ones, with their probabilities. */
function probabilities(found) {
  if (!found) return [];
  const most = Object.entries(found).sort(([, a], [, b]) => b - a).slice(0, LIKELY);
  const shown = most.map(([name, share]) => `${name} ${share.toLocaleString("en", { style: "percent", maximumSignificantDigits: 3 })}`);
  return [el("p", {}, shown.join(", "))];
}

function showFaults(error) {
  const faults = error.problem?.errors ?? [];
  const found = form.fields.filter((field) => {
    const fault = faults.find((each) => each.message.startsWith(field.begins));
    if (fault) mark(field, fault.message.slice(field.begins.length).replace(/^: /, ""));
    return fault;
  });
  found[0]?.input.focus();
  const message = error.status ? error.message : "The server cannot be reached.";
  $("answer").replaceChildren(found.length ? bad("Not predicted: see the field that is marked.") : bad(message));
}

// --- Listening

const [loadModels, loadAlerts, loadForm, loadSkipped, loadRows, loadQuestions] = [showModels, showAlerts, showForm, showSkipped, showRows, showQuestions].map(coalesced);
const complain = (error) => { if (link.state === "live" && error.status) console.warn(error.message); };

/** All that the page shows, asked for anew. */
async function refresh() {
  const answer = await request("/status");
  const status = await answer.json();
  link.ahead = Date.parse(answer.headers.get("Date") ?? "") - Date.now() || 0;
  Object.assign(run, { settings: status.settings, model: status.model, since: status.since });
  showDamaged(status.damaged);
  takeStatus(status.run);
  run.reports = new Map();
  (await ask("/refreshes?limit=200")).forEach(takeReport);
  document.title = `${run.settings.schema.name} · Correnteza`;
  $("name").textContent = run.settings.schema.name;
  showLead();
  showNow();
  showReports(null);
  doAll(loadModels, loadAlerts, loadForm, loadSkipped, loadRows, loadQuestions, ...Object.values(pictures));
}

const on = {
  status(status) {
    takeStatus(status);
    showNow();
  },
  model({ model }) {
    Object.assign(run, { model, since: (Date.now() + link.ahead) / 1000 });
    showNow();
    doAll(loadModels, loadForm, pictures.features, pictures.models);
  },
  refresh(report) {
    takeReport(report);
    showLead();
    showNow();
    showReports(report.refresh_start);
    const error = report.mae ?? report.log_loss, name = run.settings.schema.task ? "log loss" : "mean absolute error";
    const figures = error == null ? "not scored" : `${name} ${figure(error)}, skill ${figure(report.skill)}`;
    $("news").textContent = `New refresh ${when(report.refresh_start)}: ${count(report.rows)} rows, ${figures}.`;
    doAll(loadModels, loadAlerts, loadSkipped, loadRows, loadQuestions, ...Object.values(pictures));
  },
};

/** Takes events until the stream ends, or nothing has come for so long that it must be dead. */
async function listen(opened) {
  const over = new AbortController();
  const answer = await request("/events", { signal: over.signal });
  await opened();
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = ""; ;) {
    const dead = setTimeout(() => over.abort(), 45000);
    const { done, value: more } = await reader.read().finally(() => clearTimeout(dead));
    if (done) return;
    text += more;
    const events = text.split("\n\n");
    text = events.pop();
    events.forEach(take);
  }
}

function take(event) {
  const [, kind, data] = /^event: (\w+)\ndata: (.*)$/s.exec(event) ?? [];
  if (kind && Object.hasOwn(on, kind)) on[kind](JSON.parse(data));
}

const sleep = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

/** Listens; when the connection is lost, again after a while that doubles up to 15 seconds. */
async function live() {
  for (let wait = 500; ; wait = Math.min(15000, wait * 2)) {
    try {
      await listen(async () => {
        await refresh();
        link.state = "live";
        wait = 500;
        showNow();
      });
    } catch (error) {
      if (error.status === 503) await refresh().catch(() => {}); // too many listen: look now and then
    }
    Object.assign(link, { state: "lost", retry: performance.now() + wait });
    showNow();
    await sleep(wait);
  }
}

$("form").addEventListener("submit", predict);
$("pin-form").addEventListener("submit", (event) => {
  event.preventDefault();
  promote(event.submitter?.dataset.act ?? "rollback");
});
setInterval(showNow, 1000);
live();
