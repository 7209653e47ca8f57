// The pair browser: search and filter over the pairs that the page carries, a screenful at a time.
"use strict";
(async () => {
  const root = document.getElementById("pair-browser");
  const field = (name) => root.querySelector(`[name="${name}"]`);
  const list = root.querySelector(".found"), count = root.querySelector(".count"), more = root.querySelector(".more");
  const packed = Uint8Array.from(atob(document.getElementById("pair-data").textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const columns = await new Response(stream).json();
  const pairs = columns.run.map((_, i) => Object.fromEntries(Object.keys(columns).map((name) => [name, columns[name][i]])));
  for (const pair of pairs) {
    pair.text = [pair.prompt, pair.chosen, pair.rejected].join("\n").toLowerCase();
    pair.gap = pair.chosen_characters - pair.rejected_characters;
  }
  const screenful = 12;
  let found = [], shown = 0;

  for (const name of ["run", "iteration"]) {
    for (const value of [...new Set(columns[name])]) field(name).append(new Option(value, value));
  }

  function element(tag, className, text) {
    const made = document.createElement(tag);
    made.className = className;
    made.textContent = text;
    return made;
  }

  function answer(pair, side) {
    const box = element("div", side, "");
    const facts = `${side}, reward ${pair[side + "_reward"].toFixed(2)}, ${pair[side + "_characters"].toLocaleString("en")} characters`;
    box.append(element("span", "role", facts), element("p", "answer", pair[side]));
    return box;
  }

  function card(pair) {
    const made = element("article", "pair", "");
    const answers = element("div", "answers", "");
    answers.append(answer(pair, "chosen"), answer(pair, "rejected"));
    const facts = `${pair.run}, iteration ${pair.iteration}, margin ${pair.margin.toFixed(2)}`;
    made.append(element("span", "role", facts), element("p", "turn", pair.prompt), answers);
    return made;
  }

  function show() {
    for (const pair of found.slice(shown, shown + screenful)) list.append(card(pair));
    shown = Math.min(shown + screenful, found.length);
    more.hidden = shown >= found.length;
  }

  function search() {
    const words = field("words").value.toLowerCase().split(/\s+/).filter(Boolean);
    const run = field("run").value, iteration = field("iteration").value, length = field("length").value;
    found = pairs.filter(
      (pair) =>
        (!run || pair.run === run) &&
        (!iteration || String(pair.iteration) === iteration) &&
        (!length || (length === "longer" ? pair.gap > 0 : pair.gap < 0)) &&
        words.every((word) => pair.text.includes(word)),
    );
    const order = { margin: (p) => -p.margin, small: (p) => p.margin, gap: (p) => -Math.abs(p.gap) }[field("order").value];
    if (order) found.sort((a, b) => order(a) - order(b));
    count.textContent = `${found.length.toLocaleString("en")} of ${pairs.length.toLocaleString("en")} pairs`;
    list.replaceChildren();
    shown = 0;
    show();
  }

  root.addEventListener("input", search);
  more.addEventListener("click", show);
  search();
})();
