// The sessions of a folder, looked at again every few seconds.
import { banner, byId, fill, make, table } from "/static/elements.js";

const EVERY = 5000;
const NAMES = ["session", "started", "variation", "robot", "grasps", "before", "after", "versions", "state"];

function row(line) {
  const link = make("a", { href: `/session/${encodeURIComponent(line.name)}/` }, line.name);
  if (line.problem) return [link, "", "", "", "", "", "", "", `cannot be read: ${line.problem}`];
  const figures = [line.started, line.variation, line.robot, line.grasps, line.before || "–", line.after || "–"];
  return [link, ...figures, line.versions || "–", line.state || "–"];
}

// A heat map: one row a step of the lineage.
function matrix(kept) {
  if (kept.problem) return make("p", { class: "note" }, `${kept.name} cannot be read: ${kept.problem}`);
  const word = (task) => task.replaceAll("_", " ");
  const head = make("tr", {}, make("th", {}, kept.name), ...kept.tasks.map((task) => make("th", { scope: "col" }, word(task))));
  const rows = kept.matrix.map((row, i) => make("tr", {}, make("th", { scope: "row" }, `after ${word(kept.tasks[i + 1])}`),
    ...row.map((rate) => (rate === null ? make("td", {}, "–") : heat(rate)))));
  return make("div", { class: "scroll" }, make("table", { class: "heat" }, make("thead", {}, head), make("tbody", {}, ...rows)));
}

function heat(rate) {
  const cell = make("td", {}, make("b", {}, Math.round(100 * rate)));
  cell.style.setProperty("--rate", `${Math.round(70 * rate)}%`);
  return cell;
}

async function lookAtLineages() {
  const kept = await (await fetch("/retention.json")).json();
  byId("lineages").hidden = !kept.length;
  fill("matrices", ...kept.map(matrix));
}

async function look() {
  try {
    await lookAtLineages();
    const answer = await fetch("/sessions.json");
    if (!answer.ok) throw new Error(await answer.text());
    fill("sessions", table(NAMES, (await answer.json()).map(row), NAMES.length - 1));
    banner("");
  } catch (error) {
    banner(`The page's server does not answer (${error.message}). Start it again: robot-finetune dashboard DIR`);
  }
  setTimeout(look, EVERY);
}

look();
