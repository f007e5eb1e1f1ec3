"use strict";
(() => {
  const told = JSON.parse(document.getElementById("state").textContent);
  const place = `tessera review ${told.domain} ${told.state}`;
  const cards = [...document.querySelectorAll(".card")];
  const byKey = Map.groupBy ? Map.groupBy(cards, (card) => card.dataset.key) : grouped(cards);
  let decisions = new Map(Object.entries(remembered() ?? told.decisions));

  function grouped(all) {
    const found = new Map();
    for (const card of all) found.set(card.dataset.key, [...(found.get(card.dataset.key) ?? []), card]);
    return found;
  }

  function remembered() {
    try { return JSON.parse(localStorage.getItem(place)); } catch { return null; } // some browsers refuse it to files
  }

  function remember() {
    try { localStorage.setItem(place, JSON.stringify(Object.fromEntries(decisions))); } catch { /* then only this tab knows */ }
  }

  // one decision a record, on every card that shows it
  function decide(card, what, toggle = true) {
    const key = card.dataset.key, now = decisions.get(key);
    if (now?.do === what && toggle) decisions.delete(key);
    else if (now?.do !== what) {
      const reason = JSON.parse(card.dataset.why)[what] ?? "";
      decisions.set(key, { do: what, reason, label: what === "relabel" ? card.dataset.suggested : "" });
    }
    show(key);
    remember();
    count();
  }

  function show(key) {
    const now = decisions.get(key);
    for (const card of byKey.get(key) ?? []) {
      if (now) card.dataset.do = now.do; else delete card.dataset.do;
      for (const button of card.querySelectorAll(".do button")) button.setAttribute("aria-pressed", String(button.dataset.do === now?.do));
      const [label, reason] = card.querySelectorAll("input");
      card.querySelector(".more").hidden = !now;
      label.hidden = now?.do !== "relabel";
      if (label !== document.activeElement) label.value = now?.label ?? "";
      if (reason !== document.activeElement) reason.value = now?.reason ?? "";
      for (const input of [label, reason]) input.removeAttribute("aria-invalid");
    }
  }

  function count() {
    const counts = ["keep", "drop", "relabel"].map((what) => [[...decisions.values()].filter((one) => one.do === what).length, what]);
    const words = counts.filter(([number]) => number).map(([number, what]) => `${number} ${what}`).join(", ");
    document.getElementById("count").textContent = words ? `${decisions.size} decided: ${words}` : "no decisions";
  }

  const clean = (text) => text.replace(/\s+/gu, " ").trim();

  // what is missing: [key, selector of the field, what to say]
  function faults() {
    const found = [];
    for (const [key, one] of decisions) {
      if (one.do === "relabel" && !one.label.trim()) found.push([key, ".label", "needs a label"]);
      else if (one.do === "relabel" && one.label === told.sources[key]) found.push([key, ".label", "has that label already"]);
      if (!clean(one.reason)) found.push([key, ".reason", "needs a reason"]);
    }
    return found;
  }

  // JSON strings are double-quoted YAML but for what YAML takes for unprintable
  function quoted(text) {
    const whole = text.toWellFormed ? text.toWellFormed() : text;
    const hex = (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`;
    return JSON.stringify(whole).replace(/[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g, hex);
  }

  function yaml() {
    const lines = [`# What a person decided on ${told.domain}; made by: python -m pipelines review ${told.domain}`];
    for (const what of ["keep", "drop", "relabel"]) {
      const rows = [...decisions].filter(([, one]) => one.do === what).sort(([a], [b]) => (a < b ? -1 : 1));
      if (rows.length) lines.push(`${what}:`);
      for (const [key, one] of rows) {
        const label = what === "relabel" ? `label: ${quoted(one.label)}, ` : "";
        lines.push(`  ${quoted(key)}: {${label}reason: ${quoted(clean(one.reason))}}`);
      }
    }
    return lines.join("\n") + "\n";
  }

  function download() {
    const wrong = faults();
    if (wrong.length) {
      const [key, field, words] = wrong[0];
      document.getElementById("count").textContent = `${wrong.length} to mend: a picture ${words}`;
      for (const [other, selector] of wrong) for (const card of byKey.get(other) ?? []) card.querySelector(selector).setAttribute("aria-invalid", "true");
      byKey.get(key)?.[0].querySelector(field).focus();
      return;
    }
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([yaml()], { type: "application/yaml" }));
    link.download = `${told.domain}.overrides.yaml`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  function move(card, step, wholeGroup) {
    const at = cards.indexOf(card);
    let next = at + step;
    if (wholeGroup) {
      const groups = [...document.querySelectorAll(".group")];
      const group = groups[groups.indexOf(card?.closest(".group")) + step];
      next = group ? cards.indexOf(group.querySelector(".card")) : at;
    }
    const target = cards[Math.max(0, Math.min(cards.length - 1, next))];
    target?.focus();
    target?.scrollIntoView({ block: "nearest" });
  }

  function pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const card = event.target.closest(".card");
    if (event.target.matches("input")) {
      if (event.key === "Escape" || event.key === "Enter") card.focus();
      return;
    }
    const moves = { ArrowRight: [1], ArrowLeft: [-1], j: [1], J: [-1], ArrowDown: [1, true], ArrowUp: [-1, true] };
    const hands = { k: "keep", d: "drop", r: "relabel" };
    if (moves[event.key]) move(card, ...moves[event.key]);
    else if (card && hands[event.key]) {
      decide(card, hands[event.key], false);
      if (event.key === "r") card.querySelector(".label").focus();
    } else if (card && event.key === "u") {
      decisions.delete(card.dataset.key);
      show(card.dataset.key); remember(); count();
    } else return;
    event.preventDefault();
  }

  function clicked(event) {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.id === "download") return download();
    if (button.id === "forget") {
      decisions = new Map(Object.entries(told.decisions));
      for (const key of byKey.keys()) show(key);
      remember(); count();
    } else if (button.matches(".all")) {
      for (const card of button.closest(".group").querySelectorAll(".card")) decide(card, button.dataset.do, false);
    } else {
      const card = button.closest(".card");
      decide(card, button.dataset.do);
      if (decisions.get(card.dataset.key)?.do === "relabel") card.querySelector(".label").focus();
    }
  }

  function typed(event) {
    const card = event.target.closest(".card"), one = decisions.get(card?.dataset.key);
    if (!one) return;
    one[event.target.matches(".label") ? "label" : "reason"] = event.target.value;
    show(card.dataset.key); remember(); count();
  }

  document.addEventListener("keydown", pressed);
  document.addEventListener("click", clicked);
  document.addEventListener("input", typed);
  for (const key of byKey.keys()) show(key);
  count();
})();
