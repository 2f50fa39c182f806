// The newest grasps with their images and what people may say of them; each image is fetched once.
import { byId, make } from "/static/elements.js";
import { ask } from "/static/requests.js";

const VERDICTS = ["success", "failure", "discard"];
const JUDGED = ["before", "after_lift", "after_drop"];
const figures = new Map();
let judged = new Set();

function figureOf(grasp, say) {
  const path = `grasps/${encodeURIComponent(grasp.episode_id)}`;
  const picture = (place) => make("img", { src: `${path}/${place}.png`, alt: `${place} observation of ${grasp.episode_id}`, loading: "lazy" });
  const labels = VERDICTS.map((verdict) => {
    const button = make("button", { type: "button", "data-verdict": verdict }, verdict);
    button.addEventListener("click", async () => say(await ask(`${path}/label/${verdict}`)));
    return button;
  });
  const caption = make("figcaption");
  return make("figure", {}, make("div", { class: "pair" }, picture("first"), picture("last")), caption, make("div", { class: "labels" }, ...labels));
}

function describe(figure, grasp) {
  const verdict = grasp.label === "discard" ? "discarded" : grasp.success ? "✓ success" : "✕ failure";
  const said = grasp.label ? (grasp.corrected ? ", corrected" : ", looked at") : `, confidence ${grasp.confidence.toFixed(2)}`;
  const doubt = grasp.contradiction ? ", contradiction" : "";
  const caption = figure.querySelector("figcaption");
  caption.replaceChildren(make("b", { class: grasp.success ? "success" : "" }, verdict), `${said}${doubt}`, make("br"),
    `v${grasp.version}, ${grasp.mode}, ${grasp.end_reason}`, make("br"), grasp.episode_id);
  const now = grasp.label || (grasp.success ? "success" : "failure");
  for (const button of figure.querySelectorAll("button")) button.setAttribute("aria-pressed", String(button.dataset.verdict === now));
}

// The images that the judgement looked at: only of grasps that were made while the page was open.
function addJudged(episode, figure) {
  if (!judged.has(episode) || figure.querySelector(".triple")) return;
  const path = `grasps/${encodeURIComponent(episode)}`;
  const images = JUDGED.map((place) => make("img", { src: `${path}/${place}.jpg`, alt: `${place.replace("_", " ")} of ${episode}` }));
  figure.querySelector(".pair").after(make("div", { class: "triple" }, ...images));
}

export function showJudged(episodes) {
  judged = new Set(episodes);
  for (const [episode, figure] of figures) addJudged(episode, figure);
}

export function showGrasps(grasps, say) {
  const wanted = new Set(grasps.map((grasp) => grasp.episode_id));
  for (const name of figures.keys()) if (!wanted.has(name)) figures.delete(name);
  for (const grasp of grasps) {
    if (!figures.has(grasp.episode_id)) figures.set(grasp.episode_id, figureOf(grasp, say));
    describe(figures.get(grasp.episode_id), grasp);
    addJudged(grasp.episode_id, figures.get(grasp.episode_id));
  }
  byId("grasps").replaceChildren(...grasps.map((grasp) => figures.get(grasp.episode_id)));
  if (!grasps.length) byId("grasps").append(make("p", { class: "note" }, "none yet"));
}
