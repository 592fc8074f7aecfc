"use strict";
(() => {
  const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];
  const button = (text, label, act) => {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    made.setAttribute("aria-label", label);
    made.addEventListener("click", act);
    return made;
  };

  const sort = (table, head) => {
    const column = Number(head.dataset.column);
    const down = head.getAttribute("aria-sort") !== "descending";
    const key = (row) => {
      const cell = row.children[column];
      if (head.dataset.kind === "text") return cell.textContent.trim();
      return cell.dataset.sort === undefined ? null : Number(cell.dataset.sort);
    };
    const order = (one, two) => {
      const [a, b] = [key(one), key(two)];
      if (a === null || b === null) return (a === null) - (b === null);
      return (a < b ? -1 : a > b ? 1 : 0) * (down ? -1 : 1);
    };
    all("th", table.tHead).forEach((each) => each.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    table.tBodies[0].append(...[...table.tBodies[0].rows].sort(order));
  };
  for (const table of all("table.sortable")) {
    for (const head of all("th[data-column]", table)) {
      const text = head.textContent.trim();
      const made = button(text, `sort by ${head.title || text}`, () => sort(table, head));
      head.replaceChildren(made);
    }
  }

  const cells = (table) => {
    const text = (cell) => cell.textContent.replace(/\s+/g, " ").trim();
    const rows = [...table.tBodies[0].rows];
    const heads = [...rows[0].children].map((cell) => cell.dataset.label || "loss");
    return [heads, ...rows.map((row) => [...row.children].map(text))];
  };
  const markdown = (rows) => {
    const line = (row) => `| ${row.map((text) => text.replace(/\|/g, "\\|")).join(" | ")} |`;
    return [line(rows[0]), line(rows[0].map(() => "---")), ...rows.slice(1).map(line)].join("\n");
  };
  const csv = (rows) => {
    // A text that a spreadsheet would run as a formula gets an apostrophe; numbers stay.
    const safe = (text) => (/^[=@\t]|^[+\-](?![\d.])/.test(text) ? `'${text}` : text);
    const quoted = (text) => `"${safe(text).replace(/"/g, '""')}"`;
    return rows.map((row) => row.map(quoted).join(",")).join("\n");
  };
  const copy = async (text, from) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    const before = from.textContent;
    from.textContent = "copied";
    setTimeout(() => { from.textContent = before; }, 1200);
  };
  for (const tools of all(".tools")) {
    const table = document.getElementById(tools.dataset.table);
    for (const [text, form] of [["copy as Markdown", markdown], ["copy as CSV", csv]]) {
      tools.append(button(text, text, (event) => copy(form(cells(table)), event.target)));
    }
  }
  for (const pre of all("pre")) {
    const made = button("copy", "copy these lines", () => copy(pre.querySelector("code").textContent, made));
    made.className = "corner";
    pre.append(made);
  }

  const save = (figure) => {
    const drawn = figure.cloneNode(true);
    const [, , width, height] = figure.getAttribute("viewBox").split(/\s+/);
    drawn.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    drawn.setAttribute("width", width);
    drawn.setAttribute("height", height);
    drawn.setAttribute("style", "font-family:sans-serif");
    const colours = getComputedStyle(document.documentElement);
    const text = new XMLSerializer().serializeToString(drawn)
      .replace(/var\((--[\w-]+)\)/g, (_, name) => colours.getPropertyValue(name).trim());
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
    link.download = `${figure.id}.svg`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  for (const figure of all("svg[role=img]")) {
    const made = button("SVG", "save this figure as SVG", () => save(figure));
    const box = figure.parentElement;
    made.className = "corner";
    box.classList.add("has-corner");
    box.append(made);
  }

  const reveal = (id) => {
    const target = id && document.getElementById(id);
    const folded = target && target.closest("details");
    if (folded) folded.open = true;
  };
  for (const link of all("nav a")) {
    link.addEventListener("click", () => reveal(link.hash.slice(1)));
  }
  reveal(location.hash.slice(1));
  addEventListener("beforeprint", () => all("details").forEach((each) => { each.open = true; }));
})();
