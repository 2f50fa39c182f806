// The sessions of a folder, looked at again every few seconds.
import { banner, fill, make, table } from "/static/elements.js";

const EVERY = 5000;
const NAMES = ["session", "started", "variation", "robot", "grasps", "before", "after", "versions", "state"];

function row(line) {
  const link = make("a", { href: `/session/${encodeURIComponent(line.name)}/` }, line.name);
  if (line.problem) return [link, "", "", "", "", "", "", "", `cannot be read: ${line.problem}`];
  const figures = [line.started, line.variation, line.robot, line.grasps, line.before || "–", line.after || "–"];
  return [link, ...figures, line.versions || "–", line.state || "–"];
}

async function look() {
  try {
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
