"use strict";
(() => {
  const table = document.querySelector("table.machines");
  const body = table.tBodies[0];
  const search = document.querySelector("input[type=search]");
  const shown = document.querySelector("output");
  const states = [...document.querySelectorAll("button[data-state]")];
  const headings = [...table.tHead.rows[0].cells];
  // Read once, because reading 2000 rows of the document at every key press is slow.
  const rows = [...body.rows].map((row) => ({
    row,
    state: row.dataset.state,
    text: row.textContent.toLocaleLowerCase(),
    keys: [...row.cells].map((cell) => cell.dataset.key ?? cell.textContent.trim()),
  }));
  const collator = new Intl.Collator(undefined, { numeric: true });
  let state = "";

  function filter() {
    const words = search.value.toLocaleLowerCase().split(/\s+/);
    let count = 0;
    for (const one of rows) {
      const matches = (!state || one.state === state) && words.every((word) => one.text.includes(word));
      one.row.hidden = !matches;
      count += matches;
    }
    shown.value = `${count.toLocaleString("en")} of ${rows.length.toLocaleString("en")} machines`;
  }

  function sort(column) {
    const heading = headings[column];
    const numeric = heading.classList.contains("number");
    const sign = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    headings.forEach((other) => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
    rows.sort((one, other) => {
      const [left, right] = [one.keys[column], other.keys[column]];
      // A machine without a value comes last in both directions.
      if (left === "" || right === "") return (left === "") - (right === "");
      return sign * (numeric ? left - right : collator.compare(left, right));
    });
    body.append(...rows.map((one) => one.row));
  }

  headings.forEach((heading, column) => heading.firstElementChild.addEventListener("click", () => sort(column)));
  states.forEach((button) =>
    button.addEventListener("click", () => {
      state = state === button.dataset.state ? "" : button.dataset.state;
      states.forEach((other) => other.setAttribute("aria-pressed", String(other.dataset.state === state)));
      filter();
    }),
  );
  search.addEventListener("input", filter);
  document.body.classList.add("scripted");
  // A browser keeps the text of the field when the page is loaded again.
  filter();
})();
