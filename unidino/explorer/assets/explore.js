/* What the page does without the server: keys, the address, and pixels within windows. */
(function () {
  "use strict";
  const SIZES = [96, 160, 256, 384, 512, 1024, 2160];
  const state = { grid: null, chosen: null, windows: {}, colours: {}, point: null, tool: "pan" };
  const setProps = (id, props) => window.dash_clientside.set_props(id, props);
  const byId = (id) => document.getElementById(id);

  /* The token is kept as a cookie; links that are copied from the address bar are without it. */
  const given = new URLSearchParams(window.location.search);
  if (given.has("token")) {
    given.delete("token");
    const rest = given.toString();
    window.history.replaceState(null, "", window.location.pathname + (rest && "?" + rest));
  }

  function sizeOf(width) {
    const pixels = width * (window.devicePixelRatio || 1);
    return SIZES.find((size) => size >= pixels) || SIZES[SIZES.length - 1];
  }

  function sourceOf(image, size) {
    const data = image.dataset;
    const usesDefault = !state.plateWindows && !image.closest("#well-images") &&
      state.chosen && data.plate !== state.chosen.plate;
    const limits = !usesDefault && (state.windows[data.channel] || state.windows["*"]);
    if (data.layers) return compositeOf(data, size, usesDefault);
    const query = new URLSearchParams({
      plate: data.plate, well: data.well, field: data.field, channel: data.channel,
      size: size, v: data.version,
    });
    if (limits) {
      query.set("low", limits[0]);
      query.set("high", limits[1]);
    }
    return "image?" + query;
  }

  function compositeOf(data, size, usesDefault) {
    const query = new URLSearchParams({
      plate: data.plate, well: data.well, field: data.field, size: size, v: data.version,
    });
    Object.entries(JSON.parse(data.layers)).forEach(([channel, usual]) => {
      const colour = state.colours[channel] || usual;
      const limits = (!usesDefault && (state.windows[channel] || state.windows["*"])) || ["", ""];
      if (colour !== "off") query.append("layer", [colour, ...limits, channel].join(":"));
    });
    return "composite?" + query;
  }

  /* Images get their source when they appear, and again when their window changes. */
  function paintAll() {
    document.querySelectorAll("img.pixels").forEach((image) => {
      const source = sourceOf(image, sizeOf(image.parentElement.clientWidth || 160));
      if (image.getAttribute("src") === source) return;
      image.parentElement.classList.add("waiting");
      image.onload = () => image.parentElement.classList.remove("waiting", "failed");
      image.onerror = () => {
        image.parentElement.classList.remove("waiting");
        image.parentElement.classList.add("failed");
      };
      image.setAttribute("src", source);
    });
    document.querySelectorAll("[data-window]").forEach((text) => {
      const limits = state.windows[text.dataset.window];
      if (limits) text.textContent = limits[0] + " to " + limits[1];
    });
  }

  let timer = 0;
  function paintSoon() {
    if (timer) return;
    timer = window.setTimeout(() => {
      timer = 0;
      paintAll();
    }, 60);
  }

  const hasImages = (node) =>
    node.nodeType === 1 && (node.matches("img.pixels") || node.querySelector("img.pixels"));
  new MutationObserver((changes) => {
    const isChanged = changes.some((change) =>
      change.type === "attributes"
        ? change.target.matches("img.pixels")
        : Array.from(change.addedNodes).some(hasImages));
    if (isChanged) paintSoon();
  }).observe(document.documentElement, {
    subtree: true, childList: true, attributes: true,
    attributeFilter: ["data-plate", "data-well", "data-field", "data-channel", "data-version", "data-layers"],
  });
  window.addEventListener("resize", paintSoon);

  function nextWell(rowStep, columnStep) {
    const grid = state.grid;
    if (!grid || !grid.wells.length) return;
    const here = state.chosen && grid.wells.find((well) => well[0] === state.chosen.well);
    if (!here || state.chosen.plate !== grid.plate) {
      setProps("chosen", { data: { plate: grid.plate, well: (here || grid.wells[0])[0] } });
      return;
    }
    const ahead = grid.wells
      .map((well) => ({
        name: well[0],
        along: (well[1] - here[1]) * rowStep + (well[2] - here[2]) * columnStep,
        across: Math.abs(rowStep ? well[2] - here[2] : well[1] - here[1]),
      }))
      .filter((well) => well.along > 0)
      .sort((a, b) => a.across - b.across || a.along - b.along);
    if (ahead.length) setProps("chosen", { data: { plate: grid.plate, well: ahead[0].name } });
  }

  const ARROWS = {
    ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1],
  };
  const isTyping = (node) =>
    node.closest("input, textarea, select, [role=slider], [role=combobox], [role=listbox], " +
      "[aria-haspopup], .ag-root, [role=radiogroup], dialog");

  function onKey(event) {
    const box = event.target.closest ? isTyping(event.target) : null;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      if (event.target.id === "query") {
        event.preventDefault();
        run();
      }
      return;
    }
    if (event.key === "Escape" && box) event.target.blur();
    if (event.key === "Enter" && event.target.matches(".plane")) enlarge(event.target);
    if (box || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in ARROWS && byId("page").dataset.view === "wells") {
      event.preventDefault();
      nextWell(...ARROWS[event.key]);
    } else if (event.key === "[" || event.key === "]") {
      byId(event.key === "[" ? "field-back" : "field-on").click();
    } else if (event.key === "/") {
      event.preventDefault();
      setProps("view", { value: "sql" });
      window.setTimeout(() => byId("query").focus(), 50);
    }
  }
  document.addEventListener("keydown", onKey);

  /* Dash reads the text of a box when the box is left; a run right after typing needs it at once. */
  function run() {
    setProps("query", { value: byId("query").value });
    window.setTimeout(() => byId("run").click(), 0);
  }

  function enlarge(plane) {
    const image = plane.querySelector("img.pixels");
    if (!image) return;
    const dialog = document.createElement("dialog");
    dialog.className = "large";
    const large = document.createElement("img");
    large.alt = image.alt;
    large.src = sourceOf(image, SIZES[SIZES.length - 1]);
    const title = document.createElement("p");
    title.textContent = image.alt;
    dialog.append(title, large);
    dialog.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
  }
  document.addEventListener("click", (event) => {
    const plane = event.target.closest(".plane");
    if (plane) enlarge(plane);
  });

  /* The ring lies over the map, so that a click does not redraw 100,000 points. */
  function placeRing() {
    const plot = byId("map").querySelector(".js-plotly-plot");
    const ring = byId("ring");
    const axes = plot && plot._fullLayout;
    if (!axes || !axes.xaxis || !state.point) {
      ring.hidden = true;
      return;
    }
    if (!plot.dataset.ringed) {
      plot.dataset.ringed = "yes";
      ["plotly_afterplot", "plotly_relayouting", "plotly_relayout"].forEach((name) =>
        plot.on(name, placeRing));
    }
    const [x, y] = state.point;
    const left = axes.xaxis.l2p(x);
    const top = axes.yaxis.l2p(y);
    ring.hidden = left < 0 || top < 0 || left > axes.xaxis._length || top > axes.yaxis._length;
    ring.style.left = axes.xaxis._offset + left + "px";
    ring.style.top = axes.yaxis._offset + top + "px";
  }

  /* Handled here, since plotly drops the second of two quick clicks as a double click. */
  document.addEventListener("pointerdown", (event) => {
    const plot = event.target.closest && event.target.closest("#plate-map .js-plotly-plot");
    if (!plot || event.button !== 0 || !state.grid || !plot._fullLayout.xaxis) return;
    const { xaxis, yaxis } = plot._fullLayout;
    const box = plot.getBoundingClientRect();
    const column = Math.round(xaxis.p2l(event.clientX - box.left - xaxis._offset));
    const row = Math.round(yaxis.p2l(event.clientY - box.top - yaxis._offset));
    const hit = state.grid.wells.find((well) => well[1] === row && well[2] === column);
    if (hit) setProps("chosen", { data: { plate: state.grid.plate, well: hit[0] } });
  }, true);

  const pickedText = (wells) =>
    (wells || []).slice(0, 100).map((well) => well.plate + ":" + well.well).join(";");

  const none = () => window.dash_clientside.no_update;

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.unidino = {
    remember(grid, chosen) {
      state.grid = grid;
      state.chosen = chosen;
    },
    mark(mark) {
      if (!mark) return;
      const plate = byId("plate-map").querySelector(".js-plotly-plot");
      if (plate && plate.layout) window.Plotly.relayout(plate, { shapes: mark.frame });
      state.point = mark.point;
      placeRing();
    },
    showView(view, size, plateWindows) {
      state.plateWindows = Boolean(plateWindows && plateWindows.length);
      byId("page").dataset.view = view;
      byId("page").dataset.size = size;
      window.setTimeout(() => window.dispatchEvent(new Event("resize")), 0);
    },
    address(...values) {
      const names = ["dataset", "model", "normalization", "plate", "field", "colour",
        "expression", "condition", "method", "rule", "reading", "columns", "label", "among",
        "view", "second", "picked", "compound"];
      const defaults = { method: "umap", reading: "text", among: "all", view: "wells",
        columns: "compound,plate" };
      const query = new URLSearchParams();
      const chosen = values[names.length];
      if (chosen) query.set("well", chosen.well);
      names.forEach((name, i) => {
        const value = name === "picked" ? pickedText(values[i]) : values[i];
        const isDefault = value === defaults[name] || (name === "columns" && values[9] !== "columns");
        if (value !== null && value !== undefined && value !== "" && !isDefault) {
          query.set(name, value);
        }
      });
      if (!values[0]) return;
      window.history.replaceState(null, "", window.location.pathname + "?" + query);
    },
    paint(values, dragged, ids) {
      const windows = {};
      ids.forEach((id, i) => {
        windows[id.channel] = (dragged && dragged[i]) || values[i];
      });
      state.windows = windows;
      paintSoon();
      return windows;
    },
    colours(values, ids) {
      ids.forEach((id, i) => { state.colours[id.channel] = values[i]; });
      paintSoon();
      return none();
    },
    tool(tool, _drawn) {
      state.tool = tool;
      const plot = byId("map").querySelector(".js-plotly-plot");
      if (plot && plot.layout) window.Plotly.relayout(plot, { dragmode: tool });
      return none();
    },
    columnsBox(rule) {
      if (!byId("columns") || !byId("reading")) return none();
      byId("columns").closest(".field").classList.toggle("gone", rule !== "columns");
      byId("reading").closest(".field").classList.toggle("gone", rule === "columns");
      return none();
    },
    fieldOn: (clicks, options, field) => step(options, field, 1),
    fieldBack: (clicks, options, field) => step(options, field, -1),
    recent: (queries) =>
      (queries || []).map((query) => ({ value: query, label: query.replace(/\s+/g, " ") })),
  };

  function step(options, field, by) {
    if (!options || !options.length) return none();
    const at = options.findIndex((option) => option.value === field);
    const next = options[(at + by + options.length) % options.length];
    return next.value === field ? none() : next.value;
  }
})();
