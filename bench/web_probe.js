// Put into a page before its own scripts: watches frames, long tasks, rows, progress and what is drawn; changes nothing.
// The page answers for itself by `self.probe`; times are milliseconds of its own clock.
(() => {
  const probe = {
    frames: [], tasks: [], progress: [], keys: [], most: 0, jump: 0, loads: 0, counting: false,
    marks: {}, wanted: {},
    // When `test` first holds at a frame, its time is kept under `name`.
    when(name, test) { probe.wanted[name] = test; },
    reset() {
      for (const name of ["frames", "tasks", "keys"]) probe[name] = [];
      for (const name of ["most", "jump", "loads"]) probe[name] = 0;
    },
  };
  self.probe = probe;

  new PerformanceObserver((list) => {
    for (const one of list.getEntries()) probe.tasks.push([one.startTime, one.duration]);
  }).observe({ type: "longtask", buffered: true });

  const Plain = self.Worker;
  self.Worker = class extends Plain {
    constructor(...given) {
      super(...given);
      this.addEventListener("message", ({ data }) => {
        if (data.event?.event === "Progress") probe.progress.push([performance.now(), data.event.work, data.event.step]);
      });
    }
  };

  // From the key to the first task behind the frame that shows it.
  addEventListener("keydown", (event) => {
    requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.onmessage = () => probe.keys.push(performance.now() - event.timeStamp);
      channel.port2.postMessage(0);
    });
  }, true);

  // What the wheel asked for and how far the rows went must be the same once all is still, whatever was loaded between.
  let sinceWheel = 0;
  let asked = 0;
  addEventListener("wheel", ({ deltaY }) => {
    sinceWheel = 0;
    asked += deltaY;
  }, { capture: true, passive: true });

  let before = 0;
  let tops = new Map();
  let height = 0;
  let gone = 0;
  let loads = 0;
  let known = false;
  function look() {
    const rows = document.querySelectorAll("[role=listitem][data-key]");
    probe.most = Math.max(probe.most, rows.length);
    const sizer = rows[0]?.parentElement;
    const box = sizer?.parentElement;
    if (!box) return;
    const next = new Map();
    for (const row of rows) next.set(row.dataset.key, row.getBoundingClientRect().top);
    if (Math.abs(sizer.offsetHeight - height) > 500) loads += 1;
    const both = [...next.keys()].find((key) => tops.has(key));
    // Beyond an end the wheel asks in vain; over more than a page no row is there before and after.
    const end = box.scrollTop <= 0 || box.scrollTop >= box.scrollHeight - box.clientHeight - 1;
    if (both === undefined || end) known = false;
    else gone += tops.get(both) - next.get(both);
    height = sizer.offsetHeight;
    tops = next;
    if (sinceWheel < 5) return;
    if (known) {
      probe.jump = Math.max(probe.jump, Math.abs(gone - asked));
      probe.loads += loads;
    }
    [gone, asked, loads, known] = [0, 0, 0, true];
  }
  function frame(now) {
    sinceWheel += 1;
    if (probe.counting && before) probe.frames.push(now - before);
    before = now;
    for (const [name, test] of Object.entries(probe.wanted)) {
      if (!test()) continue;
      probe.marks[name] = performance.now();
      console.debug(`probe ${name}`);
      delete probe.wanted[name];
    }
    if (probe.counting) look();
    requestAnimationFrame(frame);
  }
  requestAnimationFrame(frame);
})();
