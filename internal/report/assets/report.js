// Draws the charts of a report from the data block of the same page. Without it
// the page still has every word, figure and table.
(function () {
  "use strict";
  var root = document.documentElement;
  var data = JSON.parse(document.getElementById("data").textContent);
  var live = document.getElementById("live");
  var charts = [];

  // ---- colours: read from the style sheet, so that there is one palette
  var colour = {};
  function readPalette() {
    var css = getComputedStyle(root);
    ["page", "ink", "soft", "rule", "grid", "admitted", "throttled", "failed", "missed", "offered", "extra"].forEach(function (n) {
      colour[n] = css.getPropertyValue("--" + n).trim();
    });
  }
  readPalette();
  var bodyFont = getComputedStyle(document.body).fontFamily;
  var font = "12px " + bodyFont;

  // ---- figures
  function group(n) { return String(n).replace(/\B(?=(\d{3})+(?!\d))/g, ","); }
  function num(v) {
    if (v == null) return "–";
    var a = Math.abs(v);
    if (a >= 1000) return group(Math.round(v));
    if (a >= 10 || v === Math.round(v)) return String(Math.round(v * 10) / 10);
    return String(Math.round(v * 100) / 100);
  }
  function span(v) {
    if (v == null) return "–";
    if (v === 0) return "0 ms";
    if (v < 0.9995) return sig(v * 1000) + " µs";
    if (v < 999.5) return sig(v) + " ms";
    if (v < 59950) return sig(v / 1000) + " s";
    return clock(v / 1000);
  }
  function sig(v) { return String(+v.toPrecision(3)); }
  function percent(v) { return v == null ? "–" : num(v) + " %"; }
  function clock(s, hours) {
    if (s < 0) return "";
    var t = Math.round(s * 10) / 10, whole = Math.floor(t), frac = Math.round((t - whole) * 10);
    var h = Math.floor(whole / 3600), m = Math.floor(whole / 60) % 60, ss = whole % 60;
    var tail = String(ss).padStart(2, "0") + (frac ? "." + frac : "");
    return h || hours ? h + ":" + String(m).padStart(2, "0") + ":" + tail : m + ":" + tail;
  }

  // ---- drawing helpers on a chart's canvas; positions are in canvas pixels
  function withCtx(u, f) {
    u.ctx.save();
    u.ctx.setLineDash([]);
    f(u.ctx, uPlot.pxRatio, u.bbox);
    u.ctx.restore();
  }
  function label(ctx, px, text, x, y, fill, align) {
    ctx.font = (12 * px) + "px " + bodyFont;
    ctx.textAlign = align;
    ctx.textBaseline = "middle";
    ctx.lineJoin = "round";
    ctx.lineWidth = 4 * px;
    ctx.strokeStyle = colour.page;
    ctx.strokeText(text, x, y);
    ctx.fillStyle = fill;
    ctx.fillText(text, x, y);
  }

  // The stretches in which requests were refused, the moment it began and the
  // level that was admitted from then on.
  function shadeEpisodes(u) {
    withCtx(u, function (ctx, px, box) {
      ctx.globalAlpha = 0.09;
      ctx.fillStyle = colour.throttled;
      data.episodes.forEach(function (e) {
        var a = Math.max(u.valToPos(e[0], "x", true), box.left);
        var b = Math.min(u.valToPos(e[1], "x", true), box.left + box.width);
        if (b > a) ctx.fillRect(a, box.top, Math.max(b - a, px), box.height);
      });
    });
  }
  function markOnset(words) {
    return function (u) {
      if (!data.onset) return;
      withCtx(u, function (ctx, px, box) {
        var x = Math.round(u.valToPos(data.onset.at, "x", true));
        if (x < box.left || x > box.left + box.width) return;
        ctx.strokeStyle = colour.throttled;
        ctx.lineWidth = 1.25 * px;
        ctx.beginPath();
        ctx.moveTo(x, box.top);
        ctx.lineTo(x, box.top + box.height);
        ctx.stroke();
        if (!words) return;
        var narrow = box.width / px < 420;
        var text = narrow ? data.onset.brief : data.onset.text;
        var right = x - box.left < box.width / 2;
        label(ctx, px, text, x + (right ? 6 : -6) * px, box.top - 9 * px, colour.throttled, right ? "left" : "right");
      });
    };
  }
  function markPlateau(u) {
    var p = data.plateau;
    if (!p) return;
    withCtx(u, function (ctx, px, box) {
      var y = Math.round(u.valToPos(p.rate, "y", true));
      var from = Math.max(u.valToPos(p.from, "x", true), box.left);
      var to = Math.min(u.valToPos(p.to, "x", true), box.left + box.width);
      if (y < box.top || y > box.top + box.height) return;
      ctx.strokeStyle = colour.ink;
      ctx.lineWidth = px;
      ctx.setLineDash([2 * px, 4 * px]);
      ctx.beginPath();
      ctx.moveTo(box.left, y);
      ctx.lineTo(box.left + box.width, y);
      ctx.stroke();
      ctx.setLineDash([]);
      ctx.font = (12 * px) + "px " + bodyFont;
      var wide = ctx.measureText(p.text).width + 8 * px;
      if (to - from < wide) return;
      var at = clearSpot(u, from, to - wide, wide, y, px);
      label(ctx, px, p.text, at.x + 4 * px, at.y, colour.ink, "left");
    });
  }

  // The place beside a level where the fewest lines run through the label.
  function clearSpot(u, from, past, wide, level, px) {
    var best = null;
    for (var i = 0; i <= 8; i++) {
      var x = past - (past - from) * i / 8;
      [-11, 13].forEach(function (dy) {
        var y = level + dy * px, room = Infinity;
        for (var s = 1; s < u.data.length; s++) {
          if (!u.series[s].show) continue;
          for (var k = 0; k < u.data[0].length; k++) {
            var px0 = u.valToPos(u.data[0][k], "x", true);
            if (u.data[s][k] == null || px0 < x - 8 * px || px0 > x + wide + 8 * px) continue;
            var d = Math.abs(u.valToPos(u.data[s][k], "y", true) - y);
            if (d < room) room = d;
          }
        }
        room = Math.min(room, 9 * px);
        if (!best || room > best.room) best = { x: x, y: y, room: room };
      });
    }
    return best;
  }

  // A name as far as there is room for it beside a chart; the legend has all of it.
  function fitted(ctx, px, name) {
    ctx.font = (12 * px) + "px " + bodyFont;
    if (ctx.measureText(name).width <= 94 * px) return name;
    while (name && ctx.measureText(name + "…").width > 94 * px) name = name.slice(0, -1);
    return name.trim() + "…";
  }

  // Names at the ends of the lines, pushed apart where they would overlap.
  function nameLines(spec) {
    return function (u) {
      if (!spec.labelled) return;
      withCtx(u, function (ctx, px, box) {
        var marks = [];
        spec.series.forEach(function (s, i) {
          if (!u.series[i + 1].show) return;
          var d = u.data[i + 1], k = d.length - 1;
          var max = u.scales.x.max;
          while (k >= 0 && (d[k] == null || u.data[0][k] > max)) k--;
          if (k < 0) return;
          var y = u.valToPos(d[k], "y", true);
          marks.push({ y: Math.min(Math.max(y, box.top), box.top + box.height), s: s });
        });
        marks.sort(function (a, b) { return a.y - b.y; });
        var gap = 15 * px, floor = box.top + box.height;
        for (var i = 1; i < marks.length; i++) marks[i].y = Math.max(marks[i].y, marks[i - 1].y + gap);
        for (i = marks.length - 1; i >= 0; i--) {
          marks[i].y = Math.min(marks[i].y, floor - (marks.length - 1 - i) * gap);
        }
        marks.forEach(function (m) {
          label(ctx, px, fitted(ctx, px, m.s.name), box.left + box.width + 8 * px, m.y, colour[m.s.colour], "left");
        });
      });
    };
  }

  // ---- axes
  var seconds = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];
  function axis(more) {
    var a = {
      font: font, stroke: function () { return colour.soft; }, gap: 6, size: 30,
      grid: { stroke: function () { return colour.grid; }, width: 1 },
      ticks: { show: false }
    };
    for (var k in more) a[k] = more[k];
    return a;
  }
  function yRange(u, min, max) {
    if (max == null || max <= 0) return [0, 1];
    return [0, max * 1.06];
  }

  // round marks of a logarithmic axis, few enough to read
  function decades(u, i, min, max) {
    var out = [], p = Math.pow(10, Math.floor(Math.log10(min)));
    var marks = max / min > 300 ? [1] : [1, 2, 5];
    for (; p <= max; p *= 10) {
      marks.forEach(function (m) { if (m * p >= min && m * p <= max) out.push(+(m * p).toPrecision(1)); });
    }
    return out;
  }

  // isolated points would be invisible: a line needs two
  function lonely(u, i) {
    var d = u.data[i], out = [];
    for (var k = 0; k < d.length; k++) {
      if (d[k] != null && (k === 0 || d[k - 1] == null) && (k === d.length - 1 || d[k + 1] == null)) out.push(k);
    }
    return out.length ? out : null;
  }

  function draw(id, spec) {
    var fig = document.getElementById(id);
    if (!fig || !spec.x.length) return;
    var box = fig.querySelector(".plot");
    var legend = fig.querySelector(".legend");
    var values = [];

    var hint = document.createElement("span");
    hint.className = "v hint";
    hint.style.minWidth = "6em";

    spec.series.forEach(function (s, i) {
      var b = document.createElement("button");
      b.type = "button";
      b.setAttribute("aria-pressed", "true");
      b.title = "show or hide";
      var svg = '<svg width="26" height="8" aria-hidden="true"><line x1="0" y1="4" x2="26" y2="4" stroke-width="' + (s.width || 1.75) + '"/></svg>';
      b.innerHTML = svg;
      var ln = b.querySelector("line");
      ln.style.stroke = "var(--" + s.colour + ")";
      if (s.dash) ln.setAttribute("stroke-dasharray", s.dash.join(" "));
      b.appendChild(document.createTextNode(s.name));
      var v = document.createElement("span");
      v.className = "v";
      b.appendChild(v);
      values.push(v);
      b.addEventListener("click", function () {
        var on = b.getAttribute("aria-pressed") !== "true";
        b.setAttribute("aria-pressed", String(on));
        u.setSeries(i + 1, { show: on });
      });
      legend.appendChild(b);
    });
    legend.appendChild(hint);

    function width() { return Math.max(200, Math.floor(box.clientWidth || box.parentNode.clientWidth)); }
    function height(w) { return w < 480 ? Math.round(spec.height * 0.8) : spec.height; }
    function pad(w) {
      spec.labelled = spec.names !== false && w >= 620;
      if (!spec.labelled) return 14;
      return 104; // the same for all, so that their times stand above each other
    }
    function show(u) {
      var k = u.cursor.idx;
      values.forEach(function (v, i) {
        v.textContent = k == null ? "" : spec.value(u.data[i + 1][k]);
      });
      hint.textContent = k == null ? "" : spec.where(k);
    }

    var w = width();
    var right = pad(w);
    var opts = {
      width: w, height: height(w),
      padding: [spec.onset ? 20 : 8, function () { return right; }, 0, 0],
      legend: { show: false },
      cursor: {
        sync: spec.sync ? { key: "time", setSeries: false } : undefined,
        drag: { x: true, y: false, dist: 6 },
        points: { size: 6 }
      },
      scales: { x: spec.scaleX, y: spec.scaleY || { range: yRange } },
      axes: [
        axis(spec.axisX),
        axis({
          size: 52, splits: spec.scaleY && spec.scaleY.distr === 3 ? decades : undefined, filter: function (u, s) { return s; }, values: function (u, vals) { return vals.map(function (v) { return v == null ? "" : spec.tick(v); }); }
        })
      ],
      series: [{}].concat(spec.series.map(function (s, i) {
        var line = {
          label: s.name, width: s.width || 1.75, dash: s.dash, spanGaps: false,
          stroke: function () { return colour[s.colour]; },
          fill: s.fill ? function () { return colour[s.colour] + "1f"; } : undefined,
          paths: spec.stepped ? uPlot.paths.stepped({ align: 1 }) : undefined,
          points: {
            show: function () { return false; },
            filter: function (u, si, on) { return on ? null : lonely(u, si); },
            size: 7, stroke: function () { return colour[s.colour]; }, fill: function () { return colour[s.colour]; }
          }
        };
        // What is read seldom leaves points without a reading, which are no break.
        if (spec.widest) line.gaps = function (u, si, from, to, gaps) {
          return gaps.filter(function (g) { return u.posToVal(g[1], "x", true) - u.posToVal(g[0], "x", true) > spec.widest; });
        };
        return line;
      })),
      hooks: {
        drawAxes: spec.onset ? [shadeEpisodes] : [],
        draw: (spec.onset ? [markOnset(spec.onset === "words")] : []).concat(spec.plateau ? [markPlateau] : [], [nameLines(spec)]),
        setCursor: [show]
      }
    };
    var u = new uPlot(opts, [spec.x].concat(spec.series.map(function (s) { return s.data; })), box);

    function fit(forced) {
      var w = forced || width();
      right = pad(w);
      u.setSize({ width: w, height: height(w) });
    }
    if (window.ResizeObserver) {
      var seen = w;
      new ResizeObserver(function () {
        if (printing || width() === seen) return;
        seen = width();
        fit();
      }).observe(box.parentNode);
    }
    box.addEventListener("keydown", function (e) {
      var k = u.cursor.idx, last = spec.x.length - 1;
      if (e.key === "ArrowRight") k = k == null ? 0 : Math.min(k + 1, last);
      else if (e.key === "ArrowLeft") k = k == null ? last : Math.max(k - 1, 0);
      else if (e.key === "Home") k = 0;
      else if (e.key === "End") k = last;
      else if (e.key === "Escape") { u.setData(u.data); return; }
      else return;
      e.preventDefault();
      u.setCursor({ left: u.valToPos(spec.x[k], "x"), top: 10 }, true, true);
      live.textContent = spec.where(k) + ": " + spec.series.map(function (s) {
        return s.name + " " + spec.value(s.data[k]);
      }).join(", ");
    });
    charts.push({ u: u, fit: fit });
  }

  // ---- the charts
  var end = data.end;
  var mid = data.at.map(function (t, i) { return Math.round((t + data.len[i] / 2) * 1000) / 1000; });
  function overTime(more) {
    var spec = {
      x: mid, sync: true, height: 240, onset: true,
      scaleX: { time: false, range: function (u, a, b) { return b - a < (mid[mid.length - 1] - mid[0]) * 0.999 ? [a, b] : [0, end]; } },
      axisX: { incrs: seconds, space: 64, values: function (u, v) { return v.map(function (s) { return clock(s, end >= 3600); }); } },
      value: num, tick: num,
      where: function (k) { return clock(data.at[k]) + (data.len[k] > 1.5 ? " to " + clock(data.at[k] + data.len[k]) : ""); }
    };
    for (var k in more) spec[k] = more[k];
    spec.series = spec.series.filter(function (s) { return s.data && s.data.length; });
    return spec;
  }
  function start() {
    var r = data.rates;
    draw("chart-rates", overTime({
      height: 340, onset: "words", plateau: true, names: true,
      series: [
        { name: "planned", colour: "offered", dash: [2, 3], width: 1.25, data: r.planned },
        { name: "sent", colour: "offered", width: 1.25, data: r.sent },
        { name: "admitted", colour: "admitted", width: 2.25, data: r.admitted },
        { name: "throttled", colour: "throttled", dash: [7, 3], width: 2, data: r.throttled },
        { name: "failed", colour: "failed", dash: [2, 2], width: 2, data: r.failed },
        { name: "missed", colour: "missed", dash: [8, 3, 2, 3], width: 1.75, data: r.missed }
      ]
    }));

    var l = data.latency, lo = Infinity, hi = 0;
    [l.p50, l.p95, l.p99, l.refused].forEach(function (d) {
      (d || []).forEach(function (v) { if (v > 0) { lo = Math.min(lo, v); hi = Math.max(hi, v); } });
    });
    var log = hi > 30 * lo;
    var note = document.getElementById("latency-scale");
    if (note && log) note.textContent = "Logarithmic scale.";
    draw("chart-latency", overTime({
      value: span, tick: span, height: 280,
      scaleY: log ? { distr: 3, log: 10, range: [lo / 1.3, hi * 1.3] } : undefined,
      series: [
        { name: "p50", colour: "admitted", width: 2.25, data: l.p50 },
        { name: "p95", colour: "admitted", dash: [7, 3], data: l.p95 },
        { name: "p99", colour: "admitted", dash: [2, 2], data: l.p99 },
        { name: "p95 once sent", colour: "offered", dash: [2, 3], width: 1.25, data: l.service },
        { name: "throttled p50", colour: "throttled", width: 2, dash: [8, 3, 2, 3], data: l.refused }
      ]
    }));

    draw("chart-users", overTime({
      height: 200,
      series: [
        { name: "users", colour: "extra", width: 2, data: data.users },
        { name: "in flight", colour: "missed", dash: [5, 3], data: data.inflight }
      ]
    }));

    var styles = {
      2: [["admitted"], ["extra", [7, 3]], ["admitted", [2, 2]]], 3: [["extra"], ["extra", [2, 2]]],
      4: [["missed"], ["missed", [7, 3]], ["missed", [2, 2]]], 5: [["failed"], ["failed", [7, 3]], ["failed", [2, 2]]],
      n: [["ink", [2, 4]]], o: [["offered", [2, 3]]]
    };
    var used = {};
    draw("chart-codes", overTime({
      height: 240,
      series: data.codes.map(function (c) {
        var kind = c.label === "no answer" ? "n" : c.label.charAt(0);
        if (c.label === "429") return { name: "429", colour: "throttled", dash: [7, 3], width: 2, data: c.per_second };
        var set = styles[kind] || styles.o;
        var s = set[(used[kind] = (used[kind] || 0) + 1) - 1] || set[set.length - 1];
        return { name: c.label, colour: s[0], dash: s[1], data: c.per_second };
      })
    }));

    (data.watched || []).forEach(drawWatched);
    drawSpread();
  }

  // Figures of the system under test, on the same time axis. Colours say nothing
  // of outcomes here, so those of outcomes are not used, but for the limit.
  var lines = [["extra"], ["missed", [5, 3]], ["ink", [2, 4]], ["offered", [7, 3]], ["extra", [2, 2]], ["missed", [8, 3, 2, 3]],
    ["ink", [7, 3]], ["offered", [2, 3]], ["extra", [7, 3]], ["missed"], ["ink"], ["offered"]];
  var units = {
    "": num, "s": function (v) { return v == null ? "–" : span(v * 1000); }, "bytes": bytes,
    "bytes/s": function (v) { return v == null ? "–" : bytes(v) + "/s"; },
    "/s": function (v) { return v == null ? "–" : num(v) + "/s"; }, "%": percent
  };
  function bytes(v) {
    if (v == null) return "–";
    var u = ["B", "kB", "MB", "GB", "TB", "PB"], i = 0;
    while (Math.abs(v) >= 999.5 && i < u.length - 1) { v /= 1000; i++; }
    return (i ? sig(v) : String(Math.round(v))) + " " + u[i];
  }
  function drawWatched(w) {
    var n = 0;
    var say = Object.prototype.hasOwnProperty.call(units, w.unit) ? units[w.unit] : function (v) { return v == null ? "–" : num(v) + " " + w.unit; };
    draw("chart-" + w.id, overTime({
      height: w.lines.length > 4 ? 240 : 200, value: say, tick: w.unit === "s" || w.unit.indexOf("bytes") === 0 ? say : num, widest: w.every * 1.7,
      series: w.lines.map(function (l) {
        if (l.limit) return { name: l.name, colour: "failed", dash: [10, 4], width: 1.5, data: l.data };
        var s = lines[n++ % lines.length];
        return { name: l.name, colour: s[0], dash: s[1], width: n === 1 ? 2.25 : 1.75, data: l.data };
      })
    }));
  }

  function drawSpread() {
    var b = data.bands;
    if (!b || !b.from.length) return;
    var x = [], from = [], cols = { a: [], t: [] };
    var sum = { a: total(b.a), t: total(b.t) };
    function total(v) { return v.reduce(function (p, c) { return p + c; }, 0); }
    function push(at, i) {
      x.push(Math.max(at, 0.0005));
      from.push(i);
      ["a", "t"].forEach(function (k) {
        cols[k].push(i < 0 || !sum[k] ? 0 : b[k][i] / sum[k] * 100);
      });
    }
    push(Math.max(b.from[0], 0.0005) / 1.19, -1);
    for (var i = 0; i < b.from.length; i++) {
      push(b.from[i], i);
      if (i + 1 === b.from.length || b.from[i + 1] > b.to[i] * 1.01 + 0.0005) push(b.to[i], -1);
    }
    push(b.to[b.to.length - 1] * 1.19, -1);
    var series = [];
    if (sum.a) series.push({ name: "admitted", colour: "admitted", width: 1.75, fill: true, data: cols.a });
    if (sum.t) series.push({ name: "throttled", colour: "throttled", dash: [7, 3], width: 1.75, fill: true, data: cols.t });
    if (!series.length) return;
    draw("chart-spread", {
      x: x, series: series, height: 220, stepped: true, sync: false, names: false,
      scaleX: { time: false, distr: 3, log: 10, range: [x[0], x[x.length - 1]] },
      axisX: {
        space: 44,
        splits: function (u, i, min, max) {
          var out = decades(u, i, min, max);
          if (out.length * 60 > u.width) out = out.filter(function (v) { return /^1/.test(v.toExponential()); });
          return out;
        },
        filter: function (u, s) { return s; },
        values: function (u, v) { return v.map(span); }
      },
      value: percent, tick: percent,
      where: function (k) { return from[k] < 0 ? "" : span(b.from[from[k]]) + " to " + span(b.to[from[k]]); }
    });
  }

  // ---- theme
  var themes = ["auto", "light", "dark"], theme = "auto";
  var button = document.getElementById("theme");
  try { theme = localStorage.getItem("weir-theme") || "auto"; } catch (e) { /* storage may be closed to files */ }
  function setTheme(t) {
    theme = themes.indexOf(t) < 0 ? "auto" : t;
    if (theme === "auto") root.removeAttribute("data-theme"); else root.setAttribute("data-theme", theme);
    button.textContent = "Theme: " + theme;
    repaint();
  }
  function repaint() {
    readPalette();
    charts.forEach(function (c) { c.u.redraw(false, true); });
  }
  button.hidden = false;
  button.addEventListener("click", function () {
    setTheme(themes[(themes.indexOf(theme) + 1) % themes.length]);
    try { localStorage.setItem("weir-theme", theme); } catch (e) { /* see above */ }
  });
  if (window.matchMedia) {
    var dark = matchMedia("(prefers-color-scheme: dark)");
    if (dark.addEventListener) dark.addEventListener("change", repaint);
  }

  // ---- print: light colours and the width of the paper
  var printing = false;
  window.addEventListener("beforeprint", function () {
    printing = true;
    root.setAttribute("data-theme", "light");
    readPalette();
    charts.forEach(function (c) { c.fit(660); });
  });
  window.addEventListener("afterprint", function () {
    printing = false;
    setTheme(theme);
    charts.forEach(function (c) { c.fit(); });
  });

  // ---- tables can be taken along
  document.querySelectorAll("details.data").forEach(function (d) {
    var b = document.createElement("button");
    b.type = "button";
    b.textContent = "Copy table";
    b.addEventListener("click", function () {
      var text = Array.prototype.map.call(d.querySelectorAll("tr"), function (r) {
        return Array.prototype.map.call(r.children, function (c) { return c.textContent.trim(); }).join("\t");
      }).join("\n");
      function done(ok) {
        b.textContent = ok ? "Copied" : "Select and copy";
        setTimeout(function () { b.textContent = "Copy table"; }, 2000);
      }
      function select() {
        var range = document.createRange();
        range.selectNodeContents(d.querySelector("table"));
        getSelection().removeAllRanges();
        getSelection().addRange(range);
        done(false);
      }
      if (navigator.clipboard) navigator.clipboard.writeText(text).then(function () { done(true); }, select);
      else select();
    });
    var tools = document.createElement("div");
    tools.className = "tools";
    tools.appendChild(b);
    d.insertBefore(tools, d.children[1]);
  });

  setTheme(theme);
  start();
  root.setAttribute("data-ready", String(charts.length));
})();
