// The page of one session: what the server tells is shown, what is pressed is asked for.
import { lineChart, successChart } from "/static/charts.js";
import { showGrasps, showJudged } from "/static/grasps.js";
import { banner, byId, fill, make, pairs, table, text } from "/static/elements.js";
import { ask } from "/static/requests.js";

const LATE = 6; // seconds without a sign of life after which the page says so
const SYMBOLS = { ok: "●", warn: "▲", error: "■", stale: "▲", silent: "▲" };

const shown = { snapshot: null, live: null, losses: [] };
let heard = Date.now();
let loading = 0; // number of the image that is being loaded

const number = (value, digits = 0) => (value === null || value === undefined ? "–" : value.toFixed(digits));
const seconds = (value) => `${value < 10 ? value.toFixed(1) : Math.round(value)} s`;
const word = (value) => String(value ?? "").replaceAll("_", " ");

// --- the folder

function showSnapshot(snapshot) {
  document.title = `${snapshot.name}: ${snapshot.problem ? "cannot be read" : snapshot.headline}`;
  text("identity", snapshot.identity || snapshot.name);
  if (snapshot.problem) return;
  text("headline", snapshot.headline);
  text("verdict", snapshot.verdict);
  fill("notes", ...[...snapshot.notes, snapshot.change[0]].filter(Boolean).map((line) => make("p", { class: "note" }, line)));
  fill("phases", ...Object.entries(snapshot.phases).map(([name, share]) =>
    make("div", { class: name }, name, make("b", {}, share.text), make("span", { class: "note" },
      `${share.successes} of ${share.episodes} grasps` + (share.target > share.episodes ? `, ${share.target} are planned` : "")))));
  const { before, after } = snapshot.phases;
  successChart(byId("curve"), snapshot.curve, before, after);
  text("curve_note", `Success of the last ${snapshot.curve.window} grasps with its 95 % interval. Dashed: a version is promoted. ` +
    "Ticks above: successes, below: failures. At the sides: held-out grasps without exploration.");
  showTrial(snapshot.trial);
  fill("versions", table(["version", "parent", "state", "grasps", "success", "sha256", "last decision"],
    snapshot.versions.map((row) => [row.version, row.parent, word(row.state), row.episodes, row.success, row.sha256.slice(0, 12), row.reason || "–"]), 6));
  showGrasps(snapshot.grasps, say);
  text("timing_note", snapshot.running ? "Most of it is written down when the session ends." : "");
  pairs("timing", snapshot.timing);
  fill("failures", table(["how the failed grasp ended", "before", "finetune", "after"], snapshot.failures));
  fill("troubles", ...(snapshot.troubles.length ? snapshot.troubles : ["none"]).map((line) => make("li", {}, line)));
}

function showTrial(trial) {
  byId("trial").hidden = !trial.decisions.length;
  if (!trial.decisions.length) return;
  lineChart(byId("likely"), trial.at, trial.probability, {
    label: "judged grasps; likely better [%]", y: [0, 1], show: (value) => Math.round(100 * value),
    swaps: trial.decisions.map(([grasp]) => grasp + 0.5),
  });
  fill("decisions", table(["after grasps", "decision", "on trial", "the other", "likely better", "why"],
    trial.decisions.map(([grasp, what, why, one, other, likely]) => [grasp, what, one || "–", other || "–", likely || "–", why]), 5));
}

function showLosses() {
  const known = [...(shown.snapshot?.losses ?? []), ...shown.losses];
  const points = known.filter(([update], i) => i === 0 || update > known[i - 1][0]);
  lineChart(byId("losses"), points.map(([update]) => update), points.map(([, loss]) => loss),
    { label: "loss over gradient steps", show: (value) => value.toPrecision(2) });
}

// --- the graph

function showLive(live) {
  const { policy, trainer, trial } = live;
  const finished = Boolean(live.why) && !shown.snapshot?.running;
  const state = live.emergency ? "emergency stop" : policy.state || (finished ? "not running" : "no graph");
  for (const id of ["seen", "health"]) byId(id).hidden = finished;
  text("state", state);
  byId("state").className = `pill ${policy.state ?? ""}`;
  text("doing", live.why ? "" : policy.message || doing(policy));
  showButtons(live);
  showVariations(live.variations, policy.variation);
  pairs("policy", !policy.state ? [] : [
    ["version", policy.version], ["mode", policy.mode || "–"], ["variation", policy.variation || "–"],
    ["grasp", `${policy.episode}, ${word(policy.phase)}, ${policy.steps} steps`], ["last decision", `${number(policy.decision_ms, 1)} ms`],
    ["discarded", policy.discarded],
  ]);
  pairs("trainer", !trainer.state ? [] : [
    ["trainer", word(trainer.state) + (trainer.message ? `: ${trainer.message}` : "")], ["newest version", trainer.version],
    ["learned from", `${trainer.grasps} grasps`], ["gradient steps", `${trainer.updates} (${number(trainer.updates_per_second, 1)} a second)`],
    ["loss", number(trainer.loss, 3)],
  ]);
  text("on_trial", trialLine(trial));
  if (trial.candidate) byId("trial").hidden = false;
  showImage(live);
  showQ(live.q);
  showNodes(live);
  showJudged(live.judged);
}

function doing(policy) {
  return policy.state === "running" ? `grasp ${policy.episode}, ${word(policy.phase)}` : "";
}

function trialLine(trial) {
  if (!trial.incumbent) return "";
  const side = (name) => `${trial[`${name}_successes`]} of ${trial[`${name}_grasps`]}`;
  const waits = trial.waiting ? `; version ${trial.waiting} waits` : "";
  if (!trial.candidate) return `Version ${trial.incumbent} is promoted${trial.state === "watch" ? " and watched" : ""}${waits}.`;
  return `Version ${trial.candidate} is on trial: ${side("candidate")} grasps, against ${side("incumbent")} of version ${trial.incumbent}; ` +
    `likely better: ${Math.round(100 * trial.probability)} %${waits}.`;
}

function showButtons(live) {
  const reasons = new Map();
  for (const [name, reason] of Object.entries(live.buttons)) {
    const button = byId(name);
    button.disabled = Boolean(reason);
    button.title = reason;
    if (reason) reasons.set(reason, [...(reasons.get(reason) ?? []), word(name)]);
  }
  for (const mode of ["explore", "evaluate"]) byId(mode).setAttribute("aria-pressed", String(live.policy.mode === mode));
  const lines = live.why ? [`Off: ${live.why}.`] : [...reasons].map(([reason, names]) => `${names.join(", ")}: ${reason}`);
  text("reasons", lines.join(" · "));
}

function showImage(live) {
  const image = byId("image");
  text("seen_title", live.overlay ? "Camera, with the chosen action" : "Camera");
  image.hidden = !live.image;
  text("no_image", live.image ? "" : live.why ? `No image: ${live.why}.` : "No image has come yet.");
  if (!live.image || live.image === loading || (loading && !image.complete)) return;
  loading = live.image;
  image.src = `image.jpg?${live.image}`;
}

function showQ(values) {
  byId("q").hidden = !values.some((value) => value !== null);
  if (byId("q").hidden) return;
  lineChart(byId("q"), values.map((_, i) => i + 1), values, { label: "Q along the grasp, over its decisions", y: [0, 1], show: (value) => value.toFixed(1) });
}

function showVariations(names, now) {
  const choice = byId("variations");
  if (choice.dataset.names !== names.join()) {
    choice.dataset.names = names.join();
    choice.replaceChildren(...names.map((name) => make("option", { value: name }, word(name))));
  }
  if (choice.dataset.now === now || !names.includes(now)) return; // else what somebody is about to choose would jump
  choice.dataset.now = choice.value = now;
}

function showNodes(live) {
  const open = new Set([...document.querySelectorAll(".node[open]")].map((element) => element.dataset.name));
  const rows = live.nodes.map((node) => {
    const level = node.age > LATE ? "silent" : node.level;
    const late = node.age > LATE ? `, nothing for ${seconds(node.age)}` : "";
    const head = make("summary", {}, make("span", { class: `level ${level}` }, `${SYMBOLS[level]} ${level} `), `${node.name}: ${node.message}${late}`);
    const values = Object.entries(node.values).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]);
    const element = make("details", { class: "node", "data-name": node.name }, head, make("dl", {}, ...values));
    element.open = open.has(node.name);
    return element;
  });
  fill("nodes", ...(rows.length ? rows : [make("p", { class: "note" }, live.why ? `None: ${live.why}.` : "No diagnostics have come yet.")]));
}

// --- what is wrong

function showTroubles() {
  const { snapshot, live } = shown;
  const silence = (Date.now() - heard) / 1000;
  if (silence > LATE) {
    banner(`No connection to the page's server for ${seconds(silence)}: what is shown is old, and this page cannot stop the arm. ` +
      "If the session has ended, `robot-finetune dashboard DIR` shows it again.");
    for (const button of document.querySelectorAll("button")) button.disabled = true;
  } else if (snapshot?.problem) banner(snapshot.problem);
  else if (live && !live.why && live.age > LATE) banner(`Nothing was heard from the graph for ${seconds(live.age)}: its nodes may be dead.`);
  else if (snapshot?.running && live?.why) banner(`A session runs in this folder, but ${live.why}.`);
  else banner("");
}

// --- what is pressed

function say(line) {
  text("said", line);
}

for (const button of document.querySelectorAll(".buttons button, .emergency")) {
  button.addEventListener("click", async () => {
    if (button.dataset.ask && !confirm(button.dataset.ask)) return;
    say(`${word(button.id)} …`);
    const value = button.id === "variation" ? `?value=${encodeURIComponent(byId("variations").value)}` : "";
    say(`${word(button.id)}: ${await ask(`do/${button.id}${value}`)}`);
  });
}

const events = new EventSource("events");
const show = { snapshot: showSnapshot, live: showLive, losses: showLosses };
for (const [name, draw] of Object.entries(show)) {
  events.addEventListener(name, (event) => {
    shown[name] = JSON.parse(event.data);
    draw(shown[name]);
    if (name === "snapshot") showLosses();
    if (name === "snapshot" && shown.live) showLive(shown.live); // which says otherwise whether a session runs
  });
}
events.addEventListener("alive", () => {
  if (Date.now() - heard > LATE * 1000 && shown.live) showLive(shown.live); // the buttons are back
  heard = Date.now();
  showTroubles();
});
setInterval(showTroubles, 1000);
