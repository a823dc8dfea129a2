// Graph or table: the switch above a chart.

/** @param name of the switch; the chart has this id and its table `${name}-table` */
export function switches(name, card, draw) {
  const plot = document.getElementById(name);
  const into = document.getElementById(`${name}-table`);
  for (const input of document.querySelectorAll(`input[data-view="${name}"]`)) {
    input.addEventListener("change", () => {
      const asTable = input.value === "table";
      plot.hidden = asTable;
      into.hidden = !asTable;
      if (asTable && !into.firstChild) draw(into);
      if (!asTable) card.draw();
    });
  }
}
