(() => {
  "use strict";
  // Where a page may not remember anything, it begins anew each time.
  const key = (name) => `ddpm4j ${location.pathname} ${name}`;
  const kept = (name) => {
    try {
      return sessionStorage.getItem(key(name));
    } catch {
      return null;
    }
  };
  const keep = (name, value) => {
    try {
      sessionStorage.setItem(key(name), value);
    } catch {}
  };

  const slider = document.getElementById("when");
  let touched = 0;
  let playing = 0;
  if (slider) {
    const frames = [...document.querySelectorAll("#frames img")];
    const shown = document.getElementById("shown");
    const play = document.getElementById("play");
    const last = frames.length - 1;
    const show = (index) => {
      frames.forEach((frame, i) => (frame.hidden = i !== index));
      slider.value = index;
      shown.textContent = Number(frames[index].dataset.step).toLocaleString("en");
      slider.setAttribute("aria-valuetext", `step ${shown.textContent}, picture ${index + 1} of ${frames.length}`);
    };
    const stop = () => {
      clearInterval(playing);
      playing = 0;
      play.textContent = "Play";
    };
    slider.addEventListener("input", () => {
      stop();
      touched = Date.now();
      show(Number(slider.value));
      keep("step", Number(slider.value) === last ? "last" : frames[slider.value].dataset.step);
      keep("focus", "slider");
    });
    slider.addEventListener("blur", () => keep("focus", ""));
    play.addEventListener("click", () => {
      if (playing) {
        stop();
        return;
      }
      let index = Number(slider.value) === last ? 0 : Number(slider.value);
      show(index);
      play.textContent = "Stop";
      playing = setInterval(() => {
        if (index === last) {
          stop();
        } else {
          show(++index);
        }
      }, 250);
    });
    const before = frames.findIndex((frame) => frame.dataset.step === kept("step"));
    show(before < 0 ? last : before);
    document.getElementById("controls").hidden = last === 0;
    if (kept("focus") === "slider") {
      slider.focus({ preventScroll: true });
    }
  }

  const reload = document.getElementById("reload");
  if (reload) {
    const seconds = Number(reload.dataset.seconds);
    document.getElementById("reloading").hidden = false;
    reload.checked = kept("reload") !== "no";
    reload.addEventListener("change", () => keep("reload", reload.checked ? "yes" : "no"));
    const age = () => (Date.now() - Date.parse(document.getElementById("written").dateTime)) / 1000;
    const tell = () => {
      const stale = document.getElementById("stale");
      stale.hidden = age() < Math.max(120, 10 * seconds);
      if (!stale.hidden) {
        stale.textContent = `Nothing new for ${Math.round(age() / 60)} minutes: a step takes long, or the process has ended without a word.`;
      }
    };
    tell();
    setInterval(() => {
      tell();
      if (reload.checked && !document.hidden && !playing && Date.now() - touched > 15000) {
        location.reload();
      }
    }, 1000 * seconds);
  }
})();
