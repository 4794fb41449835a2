// Chooses, begins drawings, shows their events, and keeps the gallery. No library, nothing to build.
import { Hole } from "/fill.js";

const $ = id => document.getElementById(id);
const KEPT = "pictures-out-of-noise";
const UNDER_WAY = KEPT + "-drawing";
const LOST = "The connection to the server is lost. Trying again …";
const MOST_KEPT = 200;
const PATIENCE = 5000; // milliseconds from one try to the next
let offer = { models: [], samplers: [] };
let frames = []; // {step, steps, image}
let events = null; // of the drawing under way
let drawing = null; // its name, once the server has taken it
let isLost = false; // whether its events are
let stopping = false; // Stop was pressed
let shown = null; // the picture of the gallery on the stage
let gallery = [];
const hole = new Hole($("hole"), say, loseShown);

function say(text) {
  $("spoken").textContent = text;
}

function fail(text) {
  $("error").textContent = text;
}

/** What this tab has kept; a browser may keep nothing, or not say so. */
function recall(name, otherwise) {
  try {
    return JSON.parse(sessionStorage.getItem(name)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

function remember(name, value) {
  try {
    sessionStorage.setItem(name, JSON.stringify(value));
  } catch {
    // without it, all lasts as long as the page
  }
}

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("The server does not answer. Is it still running?");
  }
  if (!answer.ok) {
    const told = await answer.json().catch(() => ({}));
    const text = told.error ? told.error[0].toUpperCase() + told.error.slice(1) + "." : "The server answered " + answer.status + ".";
    throw Object.assign(new Error(text), { status: answer.status });
  }
  return answer;
}

function option(select, value, label) {
  const one = document.createElement("option");
  one.value = value;
  one.textContent = label;
  select.append(one);
}

function model() {
  return offer.models.find(one => one.name === $("model").value);
}

/** A field for a text, a list for each attribute, or one of classes, or nothing. */
function showChoices() {
  const of = model();
  const groups = of.attributes.length
    ? of.attributes
    : of.classes.length ? [{ name: "", values: of.classes }] : [];
  $("text-field").hidden = !of.text;
  $("what").replaceChildren(...groups.map((group, i) => {
    const label = document.createElement("label");
    const name = group.name || "What";
    label.className = "field";
    label.htmlFor = "choice" + i;
    label.append(name[0].toUpperCase() + name.slice(1) + " ");
    const select = document.createElement("select");
    select.id = "choice" + i;
    select.dataset.attribute = group.name;
    option(select, "", group.name ? "any" : "anything");
    group.values.forEach(value => option(select, value, value));
    select.addEventListener("change", showGuidance);
    label.append(select);
    return label;
  }));
  $("steps").max = of.mostSteps;
  $("guidance").max = of.mostGuidance;
  $("guidance").value = of.guidance;
  showNumbers();
  showGuidance();
}

function prompt() {
  if (model().text) {
    return $("text").value.trim();
  }
  return [...document.querySelectorAll("#what select")]
    .filter(select => select.value !== "")
    .map(select => select.dataset.attribute ? select.dataset.attribute + "=" + select.value : select.value)
    .join(", ");
}

/** Guidance leads towards a choice, so it needs one. */
function showGuidance() {
  const byText = model().text;
  const can = byText || document.querySelectorAll("#what select").length > 0;
  $("guidance-field").hidden = $("guidance-help").hidden = !can;
  $("guidance").disabled = prompt() === "";
  $("guidance-help").textContent = prompt() === ""
    ? "Leads towards " + (byText ? "your words, once there are any." : "your choice, once you make one.")
    : "How strongly it keeps to your " + (byText ? "words" : "choice") + "; 1 is not at all.";
}

function showNumbers() {
  $("steps-told").textContent = $("steps").value;
  $("guidance-told").textContent = $("guidance").value;
}

function newSeed() {
  $("seed").value = crypto.getRandomValues(new Uint32Array(1))[0];
}

async function draw(fill) {
  fail("");
  if (!fill && !$("form").reportValidity()) {
    return;
  }
  if ($("fresh").checked) {
    newSeed();
  }
  const words = fill ? fill.prompt : prompt();
  const of = fill ? offer.models.find(one => one.name === fill.model) : model();
  const guidance = of === model() ? Number($("guidance").value) : of.guidance; // the form's is for its own
  const body = {
    model: of.name,
    prompt: words,
    sampler: $("sampler").value,
    steps: Math.min(Number($("steps").value), of.mostSteps),
    guidance: words === "" ? 1 : guidance,
    seed: Number($("seed").value),
    count: fill ? 1 : Number($("count").value),
  };
  if (fill) {
    body.fill = { drawing: fill.drawing, picture: fill.picture, mask: fill.mask };
  }
  busy(true);
  try {
    const answer = await ask("/api/drawings", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    follow((await answer.json()).id, body);
    if (stopping) {
      stop();
    }
  } catch (e) {
    end();
    fail(e.message);
  }
}

/** Buttons that cannot be pressed lose the focus, which goes to what can be. */
function busy(is) {
  const focused = document.activeElement;
  stopping = false;
  $("draw").disabled = $("go").disabled = is;
  $("stop").hidden = !is;
  $("progress").hidden = !is;
  $("stage").setAttribute("aria-busy", String(is));
  if (is && (focused === $("draw") || focused === $("go"))) {
    $("stop").focus();
  } else if (!is && focused === $("stop")) {
    $("draw").focus();
  }
}

function called(body) {
  return (body.prompt || "Anything") + (body.fill ? ", filled in" : "") + ", by " + body.model;
}

function follow(id, body) {
  drawing = id;
  // Whoever loads the page anew follows it again.
  remember(UNDER_WAY, { id, ...body, fill: Boolean(body.fill) });
  select(null);
  leaveEditor();
  $("replay").hidden = true;
  $("progress").value = 0;
  $("empty").hidden = false;
  $("empty").textContent = "Noise …";
  $("live").hidden = true;
  $("live").classList.toggle("one", body.count === 1);
  $("told").textContent = "Waiting for a turn";
  $("stage-title").textContent = called(body);
  $("stage").scrollIntoView({ block: "nearest" });
  say("Drawing " + called(body));
  listen(id, body);
}

function listen(id, body) {
  frames = [];
  const stream = events = new EventSource("/api/drawings/" + id + "/events");
  events.addEventListener("open", () => {
    if (isLost) {
      isLost = false;
      fail("");
    }
  });
  events.addEventListener("step", event => {
    const frame = JSON.parse(event.data);
    frames.push(frame);
    show(frames.length - 1);
    $("progress").value = frame.step / frame.steps;
  });
  events.addEventListener("done", event => {
    const byKeys = document.activeElement === $("stop");
    end();
    const told = JSON.parse(event.data).pictures;
    keep(told.map((words, k) => ({
      drawing: id, picture: k, model: body.model, prompt: body.prompt, words,
    })));
    $("replay").hidden = frames.length < 2; // the server may have forgotten the steps
    $("when").max = frames.length - 1;
    $("when").value = frames.length - 1;
    if (frames.length) {
      show(frames.length - 1);
    }
    if (told.length === 1 || !frames.length) {
      select(gallery[0], frames.length > 0);
    }
    if (byKeys && body.fill && shown) {
      $("fill").focus(); // where it began
    }
    $("told").textContent = told.length === 1 ? "Done." : "Done. Choose one in the gallery to keep it.";
    say("Done: " + (told.length === 1 ? "1 picture" : told.length + " pictures") + " of " + called(body));
  });
  events.addEventListener("failed", event => {
    end();
    if (!frames.length) {
      $("empty").textContent = "Nothing was drawn.";
    }
    fail(JSON.parse(event.data).message);
  });
  events.onerror = () => {
    if (stream.readyState === EventSource.CLOSED) {
      listenAgain(id, body, stream);
    } else {
      lose(LOST);
    }
  };
}

function lose(text) {
  isLost = true;
  if ($("error").textContent !== text) {
    fail(text); // once, however often it is tried
  }
}

/** After an answer that was no stream; which one, the browser does not say. */
async function listenAgain(id, body, stream) {
  try {
    const answer = await ask("/api/drawings/" + id + "/events");
    answer.body?.cancel();
  } catch (e) {
    if (stream !== events) {
      return; // it has ended meanwhile
    }
    if (e.status && e.status !== 429) {
      end();
      fail(e.message);
      return;
    }
    lose(e.status ? e.message : LOST);
  }
  setTimeout(() => {
    if (stream === events) {
      listen(id, body);
    }
  }, PATIENCE);
}

async function stop() {
  stopping = true;
  $("told").textContent = "Stopping …";
  if (!drawing) {
    return; // as soon as the server has taken it
  }
  const stopped = drawing;
  try {
    await ask("/api/drawings/" + stopped, { method: "DELETE" });
  } catch (e) {
    if (drawing === stopped) {
      end();
      fail(e.message);
    }
  }
}

function end() {
  if (events) {
    events.close();
    events = null;
  }
  drawing = null;
  isLost = false;
  remember(UNDER_WAY, null);
  $("told").textContent = "";
  busy(false);
}

/** A moment of the drawing on the stage. */
function show(index) {
  const frame = frames[index];
  $("empty").hidden = true;
  $("live").hidden = false;
  $("live").src = frame.image;
  $("live").alt = $("stage-title").textContent + ", after step " + frame.step + " of " + frame.steps;
  $("told").textContent = "Step " + frame.step + " of " + frame.steps;
  $("when-told").textContent = frame.step;
  $("when").setAttribute("aria-valuetext", "after step " + frame.step + " of " + frame.steps);
}

function address(one) {
  return "/api/drawings/" + one.drawing + "/" + one.picture + ".png";
}

function what(one) {
  return (one.prompt || "Anything, by " + one.model) + (one.words.use === "inpainting" ? ", filled in" : "");
}

function which(one) {
  return " (seed " + one.words.seed + ", picture " + (one.picture + 1) + ")";
}

function title(one) {
  return what(one) + which(one);
}

/** A picture of the gallery on the stage; it may be there already, at the end of its steps. */
function select(one, isThere) {
  shown = one;
  $("actions").hidden = $("how").hidden = one === null;
  for (const button of document.querySelectorAll("#pictures button")) {
    button.setAttribute("aria-pressed", String(button.picture === one));
  }
  if (one === null) {
    return;
  }
  const of = offer.models.find(other => other.name === one.model);
  $("fill").hidden = !of || !of.fills; // where the model is gone, or the mask would be too large to send
  $("save").href = address(one);
  $("save").download = [one.model, one.prompt, one.words.seed, one.picture].join("-").replace(/[^\w-]+/g, "-") + ".png";
  $("words").replaceChildren(...Object.entries(one.words).flatMap(([name, value]) => {
    const dt = document.createElement("dt");
    const dd = document.createElement("dd");
    dt.textContent = name;
    dd.textContent = value;
    return [dt, dd];
  }));
  if (!isThere) {
    $("replay").hidden = true;
    $("empty").hidden = true;
    $("live").hidden = false;
    $("live").classList.add("one");
    $("live").src = address(one);
    $("live").alt = title(one);
    $("stage-title").textContent = title(one);
    $("told").textContent = "";
    leaveEditor();
  }
}

/** The picture of the gallery that is chosen cannot be loaded. */
function loseShown() {
  if (!shown) {
    return;
  }
  leaveEditor();
  select(null);
  $("live").hidden = true;
  $("empty").hidden = false;
  $("empty").textContent = "Nothing to see.";
  fail("The server no longer has this picture, or does not answer.");
}

/** An item of the gallery. */
function item(one) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  const image = document.createElement("img");
  button.type = "button";
  button.picture = one;
  button.setAttribute("aria-pressed", String(one === shown));
  image.src = address(one);
  image.alt = "";
  image.onerror = () => {
    // This one alone: drawing all anew would ask the server for each of them again.
    const next = item.nextElementSibling ?? item.previousElementSibling;
    if (item.contains(document.activeElement) && next) {
      next.firstElementChild.focus();
    }
    gallery = gallery.filter(other => other !== one);
    item.remove();
    $("gallery-empty").hidden = gallery.length > 0;
    remember(KEPT, gallery);
    if (shown === one) {
      select(null);
    }
  };
  const caption = document.createElement("span");
  caption.className = "caption";
  caption.textContent = what(one);
  caption.title = title(one); // long ones are cut
  const more = document.createElement("span"); // for those who hear it
  more.className = "spoken";
  more.textContent = which(one);
  button.append(image, caption, more);
  button.addEventListener("click", () => {
    if (events) {
      fail("Stop the drawing first, or wait for its end.");
      return;
    }
    fail("");
    select(one);
    $("stage").scrollIntoView({ block: "nearest" });
  });
  item.append(button);
  return item;
}

/** Adds pictures to the gallery; those that are there stay as they are, with the focus. */
function keep(pictures) {
  gallery = [...pictures, ...gallery].slice(0, MOST_KEPT);
  remember(KEPT, gallery);
  $("pictures").prepend(...pictures.map(item));
  while ($("pictures").childElementCount > gallery.length) {
    $("pictures").lastElementChild.remove();
  }
  $("gallery-empty").hidden = gallery.length > 0;
}

function leaveEditor() {
  $("editor").hidden = true;
}

function edit() {
  const of = offer.models.find(one => one.name === shown.model);
  $("editor").hidden = false;
  hole.open(address(shown), of.width, of.height);
  $("editor").scrollIntoView({ block: "nearest" });
  $("hole").focus();
}

function fillIn() {
  if (hole.isEmpty()) {
    fail("Paint a hole first: that is the part that is drawn anew.");
    return;
  }
  draw({ ...shown, mask: hole.mask() });
}

$("live").addEventListener("error", loseShown);
$("form").addEventListener("submit", event => {
  event.preventDefault();
  draw(null);
});
$("form").addEventListener("invalid", event => {
  const details = event.target.closest("details");
  if (details) {
    details.open = true; // what is wrong is in sight
  }
}, true);
$("stop").addEventListener("click", stop);
$("model").addEventListener("change", showChoices);
$("text").addEventListener("input", showGuidance);
$("steps").addEventListener("input", showNumbers);
$("guidance").addEventListener("input", showNumbers);
$("when").addEventListener("input", () => show(Number($("when").value)));
$("fill").addEventListener("click", edit);
$("go").addEventListener("click", fillIn);
$("leave").addEventListener("click", () => {
  leaveEditor();
  $("fill").focus();
});
$("right").addEventListener("click", () => hole.half(true));
$("bottom").addEventListener("click", () => hole.half(false));
$("clear").addEventListener("click", () => hole.clear());
$("brush").addEventListener("input", () => hole.brush = Number($("brush").value));

try {
  offer = await (await ask("/api/models")).json();
  offer.models.forEach(one => option($("model"), one.name, one.name));
  offer.samplers.forEach(one => option($("sampler"), one.text, one.label));
  $("count").max = offer.mostPictures;
  $("text").maxLength = offer.mostText;
  showChoices();
  keep(recall(KEPT, []));
  const underWay = recall(UNDER_WAY, null);
  if (underWay) {
    busy(true);
    follow(underWay.id, underWay);
  } else {
    $("draw").disabled = false;
  }
  document.documentElement.dataset.ready = "yes";
} catch (e) {
  fail(e.message);
}
